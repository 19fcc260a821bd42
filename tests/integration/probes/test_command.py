"""A command as a probe: its exit code, its output, and that nothing of it stays behind."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from monitor.core.expectations import compile_expectation
from monitor.core.judge import judge
from monitor.core.model.endpoint import ValueRule
from monitor.core.model.observation import Code, Phase
from monitor.core.model.verdict import Outcome
from monitor.probes import KINDS
from monitor.runner.tied import CommandsHere
from tests.support.http_probe import make_context
from tests.support.judging import make_check
from tests.support.probing import ask, judge_health, measured
from tests.support.waiting import until

if TYPE_CHECKING:
    from monitor.core.model.observation import Observation
    from monitor.core.model.verdict import Verdict

PLUGINS = Path("/usr/lib/nagios/plugins")


def script(folder: Path, *lines: str, name: str = "check.sh") -> Path:
    path = folder / name
    path.write_text("#!/bin/sh\n" + "\n".join(lines) + "\n")
    path.chmod(0o755)

    return path


async def run(folder: Path, *lines: str, timeout: float = 5, **options: Any) -> Observation:
    """Run a shell script once as a probe."""
    script(folder, *lines)

    return await ask("command", {"run": ["./check.sh"], **options}, base=folder, timeout=timeout)


def alive(text: str) -> list[str]:
    """Give the processes whose command line holds a text, without the dead."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            line = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            state = (path / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if text in line and state != "Z":
            found.append(line)

    return found


def guard_of(monitor: int) -> str:
    """Give the mark of the guard beside a process, which its command line holds."""
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            line = (path / "cmdline").read_bytes().rstrip(b"\0").decode()
            if parent == monitor and "\0MONITOR_RUN=" in line:
                return line.rpartition("\0")[2]

    raise AssertionError(f"process {monitor} has no guard")


def judge_value(seen: Observation, *, beside_health: bool = True) -> Verdict:
    """Judge the figure of an answer, which has to be below 10."""
    (below,) = compile_expectation({"value": {"lt": 10}}, "")
    rule = ValueRule(expectation=below, beside_health=beside_health)

    return judge(make_check(rule), seen)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


# How it ends


async def test_exit_0_is_healthy_and_its_output_is_known(tmp_path: Path) -> None:
    seen = await run(tmp_path, "echo one", "echo two >&2")

    assert seen.fault is None
    assert seen.values["exit_code"] == 0
    assert seen.values["output"] == "one\ntwo\n"
    assert seen.phases.keys() == {Phase.PROCESSING}
    assert measured(seen, "probe_command_exit_code") == 0
    assert judge_health("command", seen).outcome is Outcome.PASS


async def test_another_exit_code_fails_with_the_last_line_that_was_written(tmp_path: Path) -> None:
    seen = await run(tmp_path, "echo 40 tests", "echo '3 tests failed'", "echo", "exit 4")
    verdict = judge_health("command", seen)

    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons[0].code is Code.EXIT_CODE
    assert verdict.reasons[0].message == "exit code is 4, expected 0: 3 tests failed"


async def test_which_exit_codes_are_healthy_can_be_said(tmp_path: Path) -> None:
    seen = await run(tmp_path, "exit 4")

    assert judge_health("command", seen, {"exit_code": {"in": [0, 4]}}).outcome is Outcome.PASS


async def test_output_is_judged_as_text_as_json_and_as_a_figure(tmp_path: Path) -> None:
    document = await run(tmp_path, """echo '{"pending": 0, "state": "ok"}'""")
    figure = await run(tmp_path, "echo ' 12'")
    text = await run(tmp_path, "echo 12 rows")

    judged = judge_health("command", document, {"json": "$.pending", "equals": 0})
    assert judged.outcome is Outcome.PASS
    assert judge_health("command", text, {"output": {"contains": "12"}}).outcome is Outcome.PASS
    assert judge_health("command", figure, {"value": {"lt": 10}}).outcome is Outcome.FAIL
    assert figure.values["value"] == 12
    assert "value" not in text.values


@pytest.mark.parametrize("said", ["echo 'connection refused' >&2", "echo 0", "echo '{}'"])
async def test_a_command_that_failed_brought_no_figure_whatever_it_wrote(
    tmp_path: Path, said: str
) -> None:
    seen = await run(tmp_path, said, "exit 2")
    alone = judge_value(seen, beside_health=False)

    assert judge_value(seen).outcome is Outcome.WAITING
    assert judge_health("command", seen).outcome is Outcome.FAIL
    assert alone.outcome is Outcome.UNKNOWN
    assert alone.reasons[0].code is Code.EXIT_CODE
    assert alone.reasons[0].message == ("./check.sh ended with exit code 2, and no value is known")


async def test_a_command_that_ends_well_without_a_figure_fails(tmp_path: Path) -> None:
    seen = await run(tmp_path, "echo nothing to count")

    assert judge_value(seen).outcome is Outcome.FAIL


async def test_a_plugin_that_warns_has_figures_all_the_same(tmp_path: Path) -> None:
    figures = await run(tmp_path, "echo 'SLOW | time=12s'", "exit 2", nagios=True)
    none = await run(tmp_path, "echo 'connect: refused'", "exit 2", nagios=True)
    another = await run(tmp_path, "echo 'no | time=12s'", "exit 2", nagios=True, perfdata="backlog")

    assert judge_value(figures).outcome is Outcome.FAIL
    assert judge_value(none).outcome is Outcome.WAITING
    assert judge_value(another).outcome is Outcome.WAITING


async def test_what_a_signal_killed_says_which(tmp_path: Path) -> None:
    seen = await run(tmp_path, "kill -SEGV $$")

    assert seen.fault is not None
    assert (seen.fault.code, seen.fault.own) == (Code.EXIT_CODE, False)
    assert seen.fault.message == "./check.sh was killed by signal 11 (SIGSEGV)"


async def test_what_hangs_is_stopped_with_its_children_within_the_timeout(tmp_path: Path) -> None:
    seen = await run(
        tmp_path, "trap '' TERM", "echo begun", "sleep 7411 &", "sleep 7411", timeout=1
    )

    assert seen.fault is not None
    assert seen.fault.code is Code.TIMEOUT
    assert seen.fault.message == "./check.sh did not end within 900ms, so it was stopped"
    assert seen.values["output"] == "begun\n"
    assert seen.duration < timedelta(seconds=1.5)
    assert not alive("sleep 7411")


async def test_what_it_leaves_behind_ends_with_it(tmp_path: Path) -> None:
    seen = await run(tmp_path, "sleep 7412 >/dev/null 2>&1 &", "echo done")

    assert seen.fault is None
    await until(lambda: not alive("sleep 7412"))


async def test_what_cannot_be_started_is_our_own_fault(tmp_path: Path) -> None:
    path = script(tmp_path, "exit 0")
    path.write_text("#!/no/such/interpreter\n")

    seen = await ask("command", ["./check.sh"], base=tmp_path)

    assert seen.fault is not None
    assert (seen.fault.code, seen.fault.own) == (Code.INTERNAL, True)
    said = "./check.sh could not be run: what its first line names is not there: /"
    assert seen.fault.message.startswith(said)


# What it may say


@pytest.mark.parametrize("nagios", [False, True])
async def test_endless_output_is_cut_and_its_end_kept(tmp_path: Path, nagios: bool) -> None:
    seen = await run(tmp_path, "head -c 3000000 /dev/zero | tr '\\0' x", "echo END", nagios=nagios)

    assert seen.body_truncated
    assert len(seen.body) == 64 * 1024
    assert seen.body.endswith(b"xEND\n")


async def test_what_never_stops_to_write_is_stopped_at_its_timeout(tmp_path: Path) -> None:
    seen = await run(tmp_path, "exec yes", timeout=0.5)

    assert seen.fault is not None
    assert seen.fault.code is Code.TIMEOUT
    assert len(seen.body) == 64 * 1024


async def test_control_characters_are_not_shown(tmp_path: Path) -> None:
    seen = await run(tmp_path, r"printf '\033[31m\000\377 red \007'", "exit 1")

    (reason,) = judge_health("command", seen).reasons
    assert reason.message.isprintable()
    assert "red" in reason.message


async def test_secrets_of_its_environment_and_input_are_masked_in_what_it_says(
    tmp_path: Path,
) -> None:
    seen = await run(
        tmp_path,
        'echo "$TOKEN and $(cat)"',
        "exit 1",
        env={"TOKEN": "canary-1111"},
        stdin="canary-2222",
    )

    assert seen.values["output"] == "*** and ***\n"
    assert "canary" not in seen.body.decode() + str(judge_health("command", seen).reasons)


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(r"printf '%.6s\033[1m%s\n' $TOKEN ${TOKEN#??????}", id="in colours"),
        pytest.param("printf 'pad %s' $TOKEN; head -c 1019 /dev/zero | tr '\\0' b", id="cut"),
        pytest.param("printf %s $TOKEN; head -c 5115 /dev/zero | tr '\\0' b", id="cut as read"),
    ],
)
async def test_no_half_of_a_secret_is_shown(tmp_path: Path, line: str) -> None:
    seen = await run(tmp_path, line, "exit 1", env={"TOKEN": "canary-1111"}, output_limit="1KiB")

    shown = seen.body.decode() + str(seen.values) + str(judge_health("command", seen).reasons)
    assert len(seen.body) <= 1024
    assert "canary" not in shown
    assert "1111" not in shown


async def test_it_gets_a_small_environment_and_runs_where_it_is_told_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_PASSWORD", "canary")
    (tmp_path / "below").mkdir()

    seen = await run(tmp_path, "env", "pwd", env={"ASKED": "for"}, cwd="below")

    assert "canary" not in str(seen.values["output"])
    assert "ASKED=***" in str(seen.values["output"]) or "ASKED=for" in str(seen.values["output"])
    assert seen.body.endswith(f"{tmp_path}/below\n".encode())


# What is refused at load


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("./check.sh --now", "expected an argument list"),
        (["./none.sh"], "expected a program at"),
        (["no-such-program-anywhere"], "expected a program in PATH"),
        ({"run": []}, "at least 1"),
        ({"run": ["/bin/true"], "cwd": "none"}, "cwd: expected a directory"),
        ({"run": ["/bin/true"], "output_limit": "1GiB"}, "expected 1KiB to 1MiB"),
        ({"run": ["/bin/true"], "env": {"MONITOR_X": "y"}}, "set by the monitor"),
        ({"run": ["/bin/true"], "perfdata": "x"}, "expected nagios: true"),
        ({"run": ["/bin/true"], "warning": "pass"}, "expected nagios: true"),
    ],
)
def test_what_could_never_run_is_refused_when_it_is_loaded(
    tmp_path: Path, options: object, said: str
) -> None:
    with pytest.raises(ValidationError, match=said):
        KINDS["command"].options.model_validate(options, context={"base": tmp_path})


# Monitoring plugins


@pytest.mark.parametrize(
    ("code", "options", "outcome"),
    [
        (0, {}, Outcome.PASS),
        (1, {}, Outcome.FAIL),
        (1, {"warning": "pass"}, Outcome.PASS),
        (2, {}, Outcome.FAIL),
        (2, {"warning": "pass"}, Outcome.FAIL),
        (3, {}, Outcome.UNKNOWN),
        (4, {}, Outcome.UNKNOWN),
        (127, {}, Outcome.UNKNOWN),
    ],
)
async def test_the_codes_of_a_plugin_are_read_as_plugins_mean_them(
    tmp_path: Path, code: int, options: dict[str, Any], outcome: Outcome
) -> None:
    seen = await run(
        tmp_path, "echo 'DISK - 2% free | /=98%;80;90'", f"exit {code}", nagios=True, **options
    )
    read = KINDS["command"].options.model_validate(
        {"run": ["/bin/true"], "nagios": True, **options}
    )

    verdict = judge_health("command", seen, *read.healthy)
    assert verdict.outcome is outcome
    if outcome is not Outcome.PASS:
        assert verdict.reasons[0].message.endswith(": DISK - 2% free")
        assert verdict.reasons[0].code is Code.EXIT_CODE


async def test_performance_data_becomes_rows_a_value_and_series_in_base_units(
    tmp_path: Path,
) -> None:
    seen = await run(
        tmp_path, "echo \"OK | time=250ms;500;1000;0 '/var lib'=98%;80;90\"", nagios=True
    )
    named = await run(
        tmp_path,
        "echo \"OK | time=250ms '/var lib'=98%;80;90\"",
        nagios=True,
        perfdata="/var lib",
    )

    assert seen.values["value"] == 0.25
    assert named.values["value"] == 0.98
    assert seen.values["rows"] == [
        {"label": "time", "value": 0.25, "unit": "seconds", "warn": 0.5, "crit": 1.0, "min": 0.0},
        {"label": "/var lib", "value": 0.98, "unit": "ratio", "warn": 0.8, "crit": 0.9},
    ]
    assert measured(seen, "probe_command_perfdata_seconds", label="time") == 0.25
    assert measured(seen, "probe_command_perfdata_ratio", label="/var lib") == 0.98


async def test_a_plugin_with_thousands_of_figures_makes_few_series(tmp_path: Path) -> None:
    seen = await run(
        tmp_path,
        "printf 'OK |'; i=0; while [ $i -lt 3000 ]; do printf ' l%d=1' $i; i=$((i+1)); done",
        nagios=True,
    )

    assert len(seen.measures) == 1 + 20


@pytest.mark.needs(str(PLUGINS / "check_dummy"))
@pytest.mark.parametrize(
    ("code", "outcome"),
    [(0, Outcome.PASS), (1, Outcome.FAIL), (2, Outcome.FAIL), (3, Outcome.UNKNOWN)],
)
async def test_a_real_plugin_is_understood(code: int, outcome: Outcome) -> None:
    seen = await ask(
        "command", {"run": [str(PLUGINS / "check_dummy"), str(code), "words"], "nagios": True}
    )

    verdict = judge_health("command", seen)
    assert verdict.outcome is outcome
    assert code == 0 or verdict.reasons[0].message.endswith(": words")


@pytest.mark.needs(str(PLUGINS / "check_disk"))
async def test_the_figures_of_a_real_plugin_are_read() -> None:
    disk = await ask(
        "command",
        {"run": [str(PLUGINS / "check_disk"), "-w", "1%", "-c", "1%", "-p", "/"], "nagios": True},
    )
    load = await ask(
        "command",
        {"run": [str(PLUGINS / "check_load"), "-w", "9e9", "-c", "9e9"], "nagios": True},
    )
    status = os.statvfs("/")

    used = measured(disk, "probe_command_perfdata_bytes", label="/")
    assert used is not None
    assert used == pytest.approx((status.f_blocks - status.f_bfree) * status.f_frsize, rel=0.1)
    rows: Any = load.values["rows"]
    assert {one["label"] for one in rows} == {"load1", "load5", "load15"}


# What happens around it


async def test_a_cancelled_look_ends_the_command_with_its_children(tmp_path: Path) -> None:
    script(tmp_path, "trap '' TERM", "sleep 7413 &", "sleep 7413")
    options = KINDS["command"].options.model_validate(["./check.sh"], context={"base": tmp_path})
    probe = KINDS["command"].make(options, make_context(20))
    looking = asyncio.create_task(probe.observe())
    await until(lambda: len(alive("sleep 7413")) == 2)

    looking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await looking

    await until(lambda: not alive("sleep 7413"))
    await probe.close()


async def test_a_hundred_at_once_are_run_a_few_at_a_time(tmp_path: Path) -> None:
    commands = CommandsHere(at_once=4)
    script(
        tmp_path,
        f"mkdir {tmp_path}/on/$$",
        f"ls {tmp_path}/on | wc -l",
        f"rmdir {tmp_path}/on/$$",
    )
    (tmp_path / "on").mkdir()
    options = KINDS["command"].options.model_validate(["./check.sh"], context={"base": tmp_path})
    probe = KINDS["command"].make(options, make_context(20, commands=commands))
    before = descriptors()

    seen = await asyncio.gather(*(probe.observe() for _ in range(100)))
    await commands.close()

    assert all(one.fault is None for one in seen)
    assert max(int(str(one.values["output"])) for one in seen) <= 4
    assert descriptors() <= before


async def test_who_finds_no_place_in_time_blames_nobody_else(tmp_path: Path) -> None:
    commands = CommandsHere(at_once=1)
    script(tmp_path, "sleep 7414", name="slow.sh")
    read = KINDS["command"].options.model_validate
    slow = KINDS["command"].make(
        read(["./slow.sh"], context={"base": tmp_path}), make_context(3, commands=commands)
    )
    quick = KINDS["command"].make(
        read(["/bin/true"], context={"base": tmp_path}), make_context(0.5, commands=commands)
    )
    looking = asyncio.create_task(slow.observe())
    await until(lambda: alive("sleep 7414"))

    seen = await quick.observe()
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
    await until(lambda: not alive("sleep 7414"))
    again = await quick.observe()
    await commands.close()

    assert seen.fault is not None
    assert (seen.fault.code, seen.fault.own) == (Code.INTERNAL, True)
    assert "1 commands run at once" in seen.fault.message
    assert again.fault is None


async def test_a_monitor_that_is_killed_leaves_no_command_behind(tmp_path: Path) -> None:
    script(tmp_path, "sleep 7415 &", "setsid sleep 7415 &", "sleep 7415")
    program = f"""
import asyncio
from pathlib import Path
from monitor.probes import KINDS
from tests.support.http_probe import make_context

context = {{"base": Path("{tmp_path}")}}
options = KINDS["command"].options.model_validate(["./check.sh"], context=context)
asyncio.run(KINDS["command"].make(options, make_context(60)).observe())
"""
    monitor = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, cwd=Path(__file__).parents[3]
    )
    await until(lambda: len(alive("sleep 7415")) == 3)

    monitor.kill()
    await monitor.wait()

    await until(lambda: not alive("sleep 7415"))


async def test_a_monitor_that_is_killed_while_it_begins_leaves_no_command_behind(
    tmp_path: Path,
) -> None:
    script(tmp_path, "echo >> begun", "sleep 7416 &", "sleep 7416")
    program = f"""
import asyncio
from pathlib import Path
from monitor.probes import KINDS
from monitor.runner.tied import CommandsHere
from tests.support.http_probe import make_context

context = {{"base": Path("{tmp_path}")}}
options = KINDS["command"].options.model_validate(["./check.sh"], context=context)

async def main():
    commands = CommandsHere(at_once=50)
    context = make_context(60, commands=commands)
    probes = [KINDS["command"].make(options, context) for _ in range(50)]
    await asyncio.gather(*(probe.observe() for probe in probes))

asyncio.run(main())
"""
    monitor = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, cwd=Path(__file__).parents[3]
    )
    await until((tmp_path / "begun").exists)
    guard = guard_of(monitor.pid)

    monitor.kill()
    await monitor.wait()

    await until(lambda: not alive(guard))  # it has looked three times for what began meanwhile
    assert not alive("sleep 7416")
