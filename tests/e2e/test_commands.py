"""Commands of a daemon: none of them outlives the monitor that wanted to know."""

from __future__ import annotations

import asyncio
import signal
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.hook_runner import runner_as_started
from tests.support.program import daemon, run
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.support.program import Daemon

CONFIG = """
web: {listen: "127.0.0.1:${PORT:-1}"}
endpoints:
  slow: {command: [./slow.sh], every: 20s, retry_every: 100ms, timeout: 2s}
"""
OTHER = """
web: {listen: "127.0.0.1:${PORT:-1}"}
endpoints:
  other: {command: [/bin/true], every: 20s}
"""


def write(folder: Path, timeout: str) -> str:
    """Write a command that fails at once, or takes for ever once it may; give what it runs."""
    # A number that no other process has, since processes are found by their arguments.
    forever = f"sleep {7000 + uuid.uuid4().int % 10**6}.5"
    program = folder / "slow.sh"
    program.write_text(
        f"#!/bin/sh\n[ -e forever ] || exit 1\ntrap '' TERM\n{forever} &\n{forever}\n"
    )
    program.chmod(0o755)
    (folder / "monitor.yml").write_text(CONFIG.replace("timeout: 2s", f"timeout: {timeout}"))

    return forever


def running_now(command: str) -> int:
    wanted = command.replace(" ", "\0") + "\0"
    found = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            found += (process / "cmdline").read_text() == wanted
        except (OSError, UnicodeDecodeError):
            continue

    return found


async def kill(monitor: Daemon, _folder: Path) -> None:
    await monitor.stop(signal.SIGKILL)


async def stop(monitor: Daemon, _folder: Path) -> None:
    assert await monitor.stop(signal.SIGTERM) == 0


async def reload(monitor: Daemon, folder: Path) -> None:
    (folder / "monitor.yml").write_text(OTHER)
    monitor.process.send_signal(signal.SIGHUP)


@pytest.mark.parametrize(
    ("end", "timeout"),
    [
        pytest.param(kill, "20s", id="killed"),
        pytest.param(stop, "2s", id="stopped"),  # which waits a while for probes
        pytest.param(reload, "20s", id="reloaded"),
    ],
)
async def test_a_command_ends_with_all_that_it_started(
    tmp_path: Path, end: Callable[[Daemon, Path], Awaitable[None]], timeout: str
) -> None:
    command = write(tmp_path, timeout)
    async with daemon(tmp_path) as monitor:
        (tmp_path / "forever").touch()
        await until(lambda: running_now(command) == 2)

        await end(monitor, tmp_path)

        async with asyncio.timeout(8):
            await until(lambda: running_now(command) == 0)


async def test_a_command_is_explained_by_probe(tmp_path: Path) -> None:
    write(tmp_path, "2s")
    (tmp_path / "slow.sh").write_text("#!/bin/sh\necho 3 tests failed\nexit 4\n")

    ended = await run("probe", "slow", cwd=tmp_path)

    assert ended.code == 1
    assert "exit code is 4, expected 0: 3 tests failed" in ended.out


async def test_with_a_runner_named_commands_are_left_to_it_by_probe_as_well(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    write(tmp_path, "15s")
    (tmp_path / "slow.sh").write_text('#!/bin/sh\necho "run by $PPID"\n')
    (tmp_path / "monitor.yml").chmod(0o644)
    with runner_as_started(tmp_path, "--probes") as (runner, started):
        environ = {"PROBE_RUNNER_SOCKET": str(runner.path)}
        once = await run("--cycles", "1", cwd=tmp_path, environ=environ)
        explained = await run("probe", "slow", cwd=tmp_path, environ=environ)

    assert (once.code, explained.code) == (0, 0), once.err + explained.err
    assert f"run by {started.processes[1].pid}" in explained.out
    assert len(started.processes) == 2


async def test_a_runner_that_is_named_and_not_there_makes_nothing_fail(tmp_path: Path) -> None:
    write(tmp_path, "2s")
    environ = {"PROBE_RUNNER_SOCKET": str(tmp_path / "none.sock")}

    ended = await run("--cycles", "1", cwd=tmp_path, environ=environ)

    assert ended.code == 3
    assert "the runner of probes cannot be reached" in ended.out
