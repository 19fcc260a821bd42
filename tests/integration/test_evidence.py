"""Evidence over real programs and a real monitor: once, bounded, masked, kept, never in the way."""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from monitor import operations
from monitor.config import ConfigError
from monitor.core.evidence import EVIDENCE
from monitor.evidence import AT_ONCE, MOST_WAITING
from monitor.rounds import Rounds, run_rounds
from monitor.runner.evidence import OUTPUT_LIMIT
from tests.support.hook_runner import runner_as_started
from tests.support.running import build, running
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.app import Monitor
    from monitor.core.model.incident import TimelineEntry

CANARY = "evidence-canary-2f7c"
CONFIG = """
store: sqlite:///monitor.db
endpoints:
  api: {{url: "http://127.0.0.1:1/", service: shop, every: 100ms, health: {{failure_threshold: 1}}}}
services:
  shop:
    evidence: {evidence}
"""
LOGS = f"[{{name: last logs, command: {{run: [./logs.sh], env: {{TOKEN: {CANARY}}}}}}}]"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tmp_path.chmod(0o755)
    write_script(tmp_path, "echo run >> runs", 'echo "out of memory, token $TOKEN"')

    return tmp_path


def write_script(folder: Path, *lines: str) -> None:
    path = folder / "logs.sh"
    path.write_text("#!/bin/sh\n" + "\n".join(lines) + "\n")
    path.chmod(0o755)


def runs(folder: Path) -> int:
    return len((folder / "runs").read_text().splitlines()) if (folder / "runs").exists() else 0


def lines(monitor: Monitor) -> list[TimelineEntry]:
    """Give all evidence, oldest first."""
    timelines = monitor.engine.situation.timelines.values()

    return [entry for timeline in timelines for entry in timeline if entry.event == EVIDENCE]


async def test_what_a_command_says_is_kept_with_the_incident_once(folder: Path) -> None:
    async with running(folder, CONFIG.format(evidence=LOGS)) as monitor:
        await until(lambda: lines(monitor))
        await monitor.evidence.settle()
        await until(lambda: len(monitor.engine.latest) == 1)

        [entry] = lines(monitor)
        [incident] = monitor.engine.situation.open_incidents()

    assert entry.incident == incident.id
    assert entry.text == "evidence last logs: exit 0"
    assert entry.evidence == "out of memory, token ***"
    assert dict(entry.details) == {"name": "last logs", "exit_code": "0"}
    assert runs(folder) == 1


COLOURED = "printf '%.6s\\033[1;31m%s\\033(B\\033[m\\n' $TOKEN ${TOKEN#??????}"
"""A program that writes half of its secret in red."""

CUT = f"""exec python3 -c 'import os
said = "a" * 100, os.environ["TOKEN"], "\\x1b[0m" * 17_000, "b" * ({OUTPUT_LIMIT} - 68_010)
print(*said, sep="", end="")
'"""
"""A program whose secret is where its output is cut, with so many colours that all else is kept."""


@pytest.mark.parametrize("script", [COLOURED, CUT], ids=["in colours", "cut"])
async def test_no_half_of_a_secret_is_shown(folder: Path, script: str) -> None:
    write_script(folder, script, "echo and on")
    async with running(folder, CONFIG.format(evidence=LOGS)) as monitor:
        await until(lambda: lines(monitor))
        [entry] = lines(monitor)

    assert entry.text.startswith("evidence last logs: exit 0")
    assert CANARY[:6] not in entry.evidence
    assert CANARY[-6:] not in entry.evidence
    assert script is CUT or entry.evidence == "***\nand on"


async def test_a_restart_runs_no_command_again_that_has_a_line(folder: Path) -> None:
    config = CONFIG.format(evidence=LOGS)
    async with running(folder, config) as monitor:
        await until(lambda: lines(monitor))
    async with running(folder, config) as monitor:
        await until(lambda: monitor.engine.latest)
        await monitor.evidence.settle()

    assert runs(folder) == 1


async def test_a_restart_in_the_middle_runs_it_once_more(folder: Path) -> None:
    write_script(folder, "echo run >> runs", "[ -e again ] || sleep 7441")
    config = CONFIG.format(evidence=LOGS)
    async with running(folder, config):
        await until(lambda: runs(folder) == 1)
    (folder / "again").touch()
    async with running(folder, config) as monitor:
        await until(lambda: lines(monitor))

    assert runs(folder) == 2


@pytest.mark.parametrize(
    ("script", "ending"),
    [
        (["echo no >&2", "exit 4"], "exit 4"),
        (["kill -9 $$"], "killed by signal 9"),
        (["exec sleep 7442"], "did not end within 300ms, stopped"),
    ],
)
async def test_however_it_ends_is_said(folder: Path, script: list[str], ending: str) -> None:
    write_script(folder, *script)
    evidence = "[{name: logs, command: {run: [./logs.sh], timeout: 300ms}}]"
    async with running(folder, CONFIG.format(evidence=evidence)) as monitor:
        await until(lambda: lines(monitor))
        [entry] = lines(monitor)

    assert entry.text == f"evidence logs: {ending}"


async def test_300_megabytes_are_cut_to_their_end(folder: Path) -> None:
    write_script(folder, "head -c 300M /dev/zero | tr '\\0' x", "echo", "echo the end")
    async with running(folder, CONFIG.format(evidence=LOGS)) as monitor:
        await until(lambda: lines(monitor))
        [entry] = lines(monitor)

    assert len(entry.evidence) == 16 * 1024
    assert entry.evidence.endswith("x\nthe end")


async def test_later_notices_show_it(folder: Path) -> None:
    config = CONFIG.format(evidence=LOGS) + "notifiers: {log: {log: {}}}\n"
    async with running(folder, config) as monitor:
        await until(lambda: lines(monitor))
        [incident] = monitor.engine.situation.open_incidents()
        await operations.acknowledge(incident.id, "ana", monitor.desk)
        newest = max(
            monitor.engine.situation.deliveries.values(), key=lambda one: one.notice.sequence
        )

    assert newest.notice.evidence == (("last logs", "out of memory, token ***"),)


async def test_a_storm_starts_a_few_at_a_time_and_says_what_was_dropped(folder: Path) -> None:
    write_script(folder, "echo run >> runs", "touch running.$$", "sleep 0.02", "rm running.$$")
    many = 70
    endpoints = "\n".join(
        f'  e{number}: {{url: "http://127.0.0.1:1/", service: s{number}, '
        "health: {failure_threshold: 1}}"
        for number in range(many)
    )
    services = "\n".join(
        f"  s{number}: {{evidence: [{{name: logs, command: [./logs.sh]}}]}}"
        for number in range(many)
    )
    text = f"store: sqlite:///monitor.db\nendpoints:\n{endpoints}\nservices:\n{services}\n"
    most = 0
    async with running(folder, text, oneshot=True) as monitor:
        await asyncio.gather(*(monitor.pipeline.run(one, True) for one in monitor.watched))
        while len(lines(monitor)) < many:
            most = max(most, len(list(folder.glob("running.*"))))
            await asyncio.sleep(0.005)

        said = [entry.text for entry in lines(monitor)]

    dropped = [text for text in said if text.endswith(f"since {MOST_WAITING} others were waiting")]
    assert len(said) == many
    assert runs(folder) == many - len(dropped)
    assert len(dropped) >= 10
    assert 1 <= most <= AT_ONCE


async def test_a_run_that_ends_by_itself_waits_for_it(folder: Path) -> None:
    write_script(folder, "sleep 0.5", "echo late but there")
    async with running(folder, CONFIG.format(evidence=LOGS), oneshot=True) as monitor:
        rounds = Rounds(endpoints=monitor.watched, cycles=1, every=timedelta(seconds=1))
        finished = await run_rounds(monitor, rounds, asyncio.Event())
        [entry] = lines(monitor)

    assert finished.cycles == 1
    assert entry.evidence == "late but there"


async def test_stopping_does_not_wait_for_what_hangs(folder: Path) -> None:
    write_script(folder, "echo $$ > child", "exec sleep 7443")
    async with running(folder, CONFIG.format(evidence=LOGS)) as monitor:
        await until((folder / "child").exists)
        await until((folder / "child").read_text)
        begun = asyncio.get_running_loop().time()
        await monitor.evidence.stop(timedelta())
        took = asyncio.get_running_loop().time() - begun

    assert took < 5
    await until(lambda: _gone(int((folder / "child").read_text())))


async def test_under_systemd_it_runs_outside_by_its_name_alone(folder: Path) -> None:
    write_script(folder, "echo run >> runs", 'echo "$MONITOR_INCIDENT_ID $MONITOR_SERVICE"')
    config = CONFIG.format(evidence=LOGS)
    (folder / "monitor.yml").write_text(config)
    (folder / "monitor.yml").chmod(0o644)
    with runner_as_started(folder, "--probes") as (runner, started):
        async with running(folder, config, probe_runner=runner.path) as monitor:
            await until(lambda: lines(monitor))
            [entry] = lines(monitor)

    assert entry.text == "evidence last logs: exit 0"
    assert entry.evidence == f"{entry.incident} shop"
    assert len(started.processes) == 1


async def test_a_reload_takes_changed_commands_over(folder: Path) -> None:
    async with running(folder, CONFIG.format(evidence="[]")) as monitor:
        await until(monitor.engine.situation.open_incidents)
        (folder / "monitor.yml").write_text(CONFIG.format(evidence=LOGS))
        reloaded = await monitor.reload()
        await until(lambda: lines(monitor))

    assert reloaded.problems == ()
    assert runs(folder) == 1


@pytest.mark.parametrize(
    ("evidence", "why"),
    [
        ("[{name: logs}]", "command"),
        ("[{name: logs, command: ./logs.sh}]", "expected an argument list"),
        ("[{name: logs, command: [./none.sh]}]", "expected a program at"),
        (
            "[{name: logs, command: {run: [./logs.sh], timeout: 3m}}]",
            "expected a timeout above 0 and up to 2m",
        ),
        (
            "[{name: a, command: [./logs.sh]}, {name: a, command: [./logs.sh]}]",
            "two are named a",
        ),
    ],
)
async def test_what_could_not_be_run_is_refused_at_load(
    folder: Path, evidence: str, why: str
) -> None:
    with pytest.raises(ConfigError, match=why):
        await build(folder, CONFIG.format(evidence=evidence))


def _gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True

    return False
