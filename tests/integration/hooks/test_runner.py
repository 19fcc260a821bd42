from __future__ import annotations

import asyncio
import os
import resource
import signal
import sys
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest

from monitor.runner import Finished, local, run_command
from monitor.runner.local import run_command as run_locally

if TYPE_CHECKING:
    from collections.abc import Callable


async def run(source: str, **options: Any) -> Finished:
    """Run a Python program in an environment of its own."""
    settings: dict[str, Any] = {
        "env": {"PATH": os.environ["PATH"]},
        "stdin": b"",
        "timeout": timedelta(seconds=20),
        "kill_after": timedelta(seconds=0.3),
        **options,
    }

    return await run_locally([sys.executable, "-S", "-c", source], **settings)


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False

    return state != "Z"


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


async def test_a_bug_in_the_watching_is_raised_and_keeps_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(_order: object) -> Finished:
        raise ZeroDivisionError

    monkeypatch.setattr(local, "run_here", broken)

    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(run("pass"), 5)


@pytest.mark.parametrize("code", [0, 1, 2, 75, 127, 255])
async def test_an_exit_code_is_reported(code: int) -> None:
    finished = await run(f"raise SystemExit({code})")

    assert finished == Finished(exit_code=code)


async def test_a_signal_is_reported() -> None:
    finished = await run("import os; os.kill(os.getpid(), 9)")

    assert finished == Finished(signal=signal.SIGKILL)


async def test_standard_output_and_error_are_kept_in_order() -> None:
    finished = await run("import os; os.write(1, b'one\\n'); os.write(2, b'two\\n')")

    assert finished.output == "one\ntwo\n"


async def test_standard_input_arrives_whole_and_ends() -> None:
    sent = b"x" * 300_000

    finished = await run("import sys; print(len(sys.stdin.read()))", stdin=sent)

    assert finished.output == "300000\n"


async def test_a_program_that_does_not_listen_is_no_trouble() -> None:
    finished = await run("import os; os.close(0); print('done')", stdin=b"x" * 300_000)

    assert (finished.exit_code, finished.output) == (0, "done\n")


async def test_it_gets_exactly_the_environment_it_is_given() -> None:
    finished = await run(
        "import os; print(sorted(os.environ))", env={"PATH": "/bin", "ONLY": "this"}
    )

    assert "ONLY" in finished.output
    assert "HOME" not in finished.output


async def test_it_runs_where_it_is_told_to(tmp_path: Path) -> None:
    finished = await run("import os; print(os.getcwd())", cwd=tmp_path)

    assert finished.output.strip() == str(tmp_path)


async def test_one_that_hangs_is_stopped_at_its_timeout() -> None:
    begun = monotonic()

    finished = await run("import time; time.sleep(60)", timeout=timedelta(seconds=0.5))

    assert finished.timed_out
    assert finished.signal == signal.SIGTERM
    assert monotonic() - begun < 10


async def test_one_that_ignores_the_request_to_stop_is_killed() -> None:
    finished = await run(
        "import signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)",
        timeout=timedelta(seconds=2),
    )

    assert finished.timed_out
    assert finished.signal == signal.SIGKILL
    assert finished.output == "ready\n"


async def test_one_that_tidies_up_after_the_request_to_stop_has_time_to() -> None:
    finished = await run(
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('tidy'), sys.exit(3)))\n"
        "time.sleep(60)",
        timeout=timedelta(seconds=2),
        kill_after=timedelta(seconds=5),
    )

    assert (finished.timed_out, finished.exit_code, finished.output) == (True, 3, "tidy\n")


CHILD = (
    "import os, signal, sys, time\n"
    "child = os.fork()\n"
    "if not child:\n"
    "    {prepare}\n"
    "    time.sleep(60)\n"
    "    os._exit(0)\n"
    "print(child, flush=True)\n"
)


async def test_children_are_stopped_with_it() -> None:
    source = CHILD.format(prepare="signal.signal(signal.SIGTERM, signal.SIG_IGN)")

    finished = await run(source + "time.sleep(60)", timeout=timedelta(seconds=2))

    child = int(finished.output)
    await until(lambda: not is_alive(child))
    assert finished.timed_out


async def test_a_child_in_the_background_that_holds_the_output_is_not_waited_for() -> None:
    begun = monotonic()

    finished = await run(CHILD.format(prepare="pass"))

    os.kill(int(finished.output), signal.SIGKILL)
    assert finished.exit_code == 0
    assert monotonic() - begun < 10


async def test_a_child_that_left_the_session_does_not_hold_up_the_end() -> None:
    begun = monotonic()
    source = CHILD.format(prepare="os.setsid()")

    finished = await run(source + "time.sleep(60)", timeout=timedelta(seconds=2))

    with suppress(ProcessLookupError):
        os.kill(int(finished.output), signal.SIGKILL)
    assert finished.timed_out
    assert monotonic() - begun < 10


async def test_a_flood_is_drained_and_only_its_end_is_kept() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    finished = await run(
        "import os\n"
        "chunk = b'0123456789abcde\\n' * 65536\n"
        "for _ in range(300):\n"
        "    view = memoryview(chunk)\n"
        "    while view: view = view[os.write(1, view):]\n"
        "os.write(1, b'the end')",
        output_limit=64 * 1024,
    )

    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert finished.exit_code == 0
    assert finished.truncated
    assert len(finished.output) == 64 * 1024
    assert finished.output.endswith("the end")
    assert grown < 20 * 1024  # KiB


async def test_a_flood_without_end_ends_at_the_timeout() -> None:
    finished = await run(
        "import os\nwhile True: os.write(1, b'y' * 4096)", timeout=timedelta(seconds=0.5)
    )

    assert finished.timed_out
    assert finished.truncated


async def test_output_that_is_no_text_is_kept_readable() -> None:
    finished = await run("import os; os.write(1, b'\\xff\\xfe ok')")

    assert finished.output.endswith(" ok")


@pytest.mark.parametrize(
    ("argv", "problem"),
    [
        pytest.param(["/nowhere/at/all"], "No such file or directory", id="not found"),
        pytest.param(["{folder}/plain.txt"], "Permission denied", id="not executable"),
        pytest.param(["{folder}"], "Permission denied", id="a folder"),
        pytest.param(["{folder}/garbage"], "Exec format error", id="no program"),
        pytest.param(["/bin/echo", "x" * 3_000_000], "Argument list too long", id="too long"),
        pytest.param(["/bin/echo", "a\0b"], "null byte", id="a NUL in an argument"),
    ],
)
async def test_what_cannot_be_started_is_a_problem_and_no_error(
    tmp_path: Path, argv: list[str], problem: str
) -> None:
    (tmp_path / "plain.txt").write_text("#!/bin/sh\n")
    garbage = tmp_path / "garbage"
    garbage.write_bytes(b"\x00\x01\x02")
    garbage.chmod(0o755)

    finished = await run_command(
        [part.replace("{folder}", str(tmp_path)) for part in argv],
        env={},
        stdin=b"",
        timeout=timedelta(seconds=5),
    )

    assert problem in finished.problem
    assert finished.exit_code is None


async def test_a_directory_that_is_gone_is_a_problem(tmp_path: Path) -> None:
    finished = await run("pass", cwd=tmp_path / "gone")

    assert "gone" in finished.problem


async def test_a_call_that_is_cancelled_leaves_the_program_running(tmp_path: Path) -> None:
    begun, done = tmp_path / "begun", tmp_path / "done"
    source = (
        "import os, pathlib, time\n"
        f"pathlib.Path({str(begun)!r}).write_text(str(os.getpid()))\n"
        "time.sleep(0.5)\n"
        f"pathlib.Path({str(done)!r}).touch()\n"
    )
    call = asyncio.create_task(run(source))
    await until(begun.exists)

    call.cancel()
    with suppress(asyncio.CancelledError):
        await call

    await until(done.exists)


def test_a_loop_that_is_closed_meanwhile_is_no_trouble(tmp_path: Path) -> None:
    begun = tmp_path / "begun"

    async def start() -> None:
        source = f"import pathlib, time; pathlib.Path({str(begun)!r}).touch(); time.sleep(0.3)"
        call = asyncio.create_task(run(source))
        await until(begun.exists)
        call.cancel()

    asyncio.run(start())

    import threading

    for thread in threading.enumerate():
        if thread.name.startswith("run "):
            thread.join(5)
            assert not thread.is_alive()
