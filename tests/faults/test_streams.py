"""The program among broken standard streams: closed, full, or of few letters."""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import sys
from contextlib import asynccontextmanager, suppress
from subprocess import run
from typing import TYPE_CHECKING

import pytest

from tests.support.program import Daemon, daemon, environment
from tests.support.receiver import Receiver, serve_receiver
from tests.support.servers import unused_port
from tests.support.shop import Shop, open_shop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path
    from subprocess import CompletedProcess

PROGRAM = shlex.join([sys.executable, "-m", "monitor"])
CHECK = f"{PROGRAM} --config monitor.yml --cycles 1"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with a configuration whose only endpoint refuses the connection."""
    url = f"http://127.0.0.1:{unused_port()}/"
    (tmp_path / "monitor.yml").write_text(f"endpoints:\n  shop: {url}\n")

    return tmp_path


def shell(command: str, folder: Path, **environ: str) -> CompletedProcess[bytes]:
    """Run a command of a shell that knows `<(…)` to its end."""
    return run(
        ["/bin/bash", "-c", command],
        cwd=folder,
        env=environment(environ),
        capture_output=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_stream_that_is_closed_changes_no_verdict(closed: str, folder: Path) -> None:
    ended = shell(f"{CHECK} {closed}", folder)

    assert ended.returncode == 1
    assert ended.stderr == b""
    assert (b"FAIL" in ended.stdout) is (">&-" not in closed.replace("2>&-", ""))


def test_a_log_that_is_closed_before_the_start_never_becomes_the_store(folder: Path) -> None:
    ended = shell(f"{CHECK} 2>&-; {CHECK}", folder, MONITOR_LOG_LEVEL="debug")

    assert ended.returncode == 1
    assert b"corrupt" not in ended.stderr
    assert b"2 in a row" in ended.stdout


def test_a_full_disk_under_the_output_is_said_in_one_line(folder: Path) -> None:
    ended = shell(f"{CHECK} >/dev/full", folder)

    assert ended.returncode == 2
    assert ended.stderr == b"the output cannot be written: no space left on device\n"


def test_an_output_that_knows_few_letters_gets_the_others_escaped(folder: Path) -> None:
    ended = shell(CHECK, folder, PYTHONIOENCODING="latin-1")

    assert ended.returncode == 1
    assert ended.stdout.startswith(rb"\u2718 FAIL")


def test_a_configuration_may_come_through_a_pipe(folder: Path) -> None:
    ended = shell(f"{PROGRAM} --cycles 1 --config <(cat monitor.yml)", folder)

    assert ended.returncode == 1, ended.stderr
    assert b"shop.health" in ended.stdout


@pytest.mark.parametrize("empty", ["MONITOR_LOG_LEVEL", "MONITOR_LOG_FORMAT", "MONITOR_CYCLES"])
def test_a_variable_that_is_empty_is_not_set(empty: str, folder: Path) -> None:
    ended = shell(CHECK, folder, **{empty: ""})

    assert ended.returncode == 1
    assert ended.stderr == b""


def test_a_list_of_no_configurations_is_none(tmp_path: Path) -> None:
    ended = shell(f"{PROGRAM} --cycles 1", tmp_path, MONITOR_CONFIG=":")

    assert ended.returncode == 2
    assert b"no configuration" in ended.stderr


@asynccontextmanager
async def watching(
    folder: Path, *before: str, stderr: int | None = None
) -> AsyncIterator[tuple[Daemon, Shop, Receiver]]:
    """Watch a shop with a daemon that says all it can, and tell somebody."""
    async with open_shop() as shop, serve_receiver() as receiver:
        config = {
            "web": {"listen": "127.0.0.1:${PORT}"},
            "defaults": {"every": "200ms", "timeout": "200ms", "failure_threshold": 1},
            "notifiers": {"people": {"webhook": {"url": receiver.url()}}},
            "endpoints": {"shop": {"url": shop.url}},
        }
        (folder / "monitor.yml").write_text(json.dumps(config))
        environ = {"MONITOR_LOG_LEVEL": "debug"}
        async with daemon(folder, before=before, stderr=stderr, environ=environ) as running:
            yield running, shop, receiver


async def fail_and_recover(shop: Shop, receiver: Receiver) -> None:
    """Let the shop fail once, and be well again once people were told."""
    told = len(receiver.received)
    shop.status = 503
    await receiver.wait_for(told + 1)
    shop.status = 200
    await receiver.wait_for(told + 2)


@pytest.mark.parametrize("kind", ["pipe", "socket"])
async def test_a_log_that_nobody_reads_delays_nothing_and_says_later_what_is_missing(
    kind: str, tmp_path: Path
) -> None:
    """A socket is what the journal gives a service, and it may be stopped."""
    reads, writes = os.pipe() if kind == "pipe" else _pair()
    try:
        _fill(writes)
        async with watching(tmp_path, stderr=writes) as (running, shop, receiver):
            for _ in range(3):
                await fail_and_recover(shop, receiver)
            _drain(reads)
            await fail_and_recover(shop, receiver)
            said = _drain(reads)
            assert await running.stop() == 0
    finally:
        os.close(reads)
        os.close(writes)

    note, *lines = said.decode().splitlines()
    missing = re.fullmatch(r"(\d+) lines of the log could not be written", note)
    assert missing is not None
    assert int(missing[1]) > 6
    assert any("shop.health" in line for line in lines)


async def test_a_daemon_whose_streams_are_closed_works_all_the_same(tmp_path: Path) -> None:
    before = ("sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh")
    async with watching(tmp_path, *before) as (running, shop, receiver):
        await fail_and_recover(shop, receiver)

        assert await running.stop() == 0

    ended = shell(f"{PROGRAM} status --output json", tmp_path, PORT="1")
    assert b"corrupt" not in ended.stdout + ended.stderr
    assert [one["class"] for one in json.loads(ended.stdout)["incidents"]] == ["outage"]


def _pair() -> tuple[int, int]:
    reads, writes = socket.socketpair()

    return reads.detach(), writes.detach()


def _fill(writes: int) -> None:
    """Write until there is no room, then leave it as it was found: waiting for room."""
    os.set_blocking(writes, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writes, b"." * 4096)
    with suppress(BlockingIOError):
        while True:
            os.write(writes, b".")
    os.set_blocking(writes, True)


def _drain(reads: int) -> bytes:
    """Read what is there."""
    os.set_blocking(reads, False)
    found = b""
    with suppress(BlockingIOError):
        while chunk := os.read(reads, 65536):
            found += chunk

    return found
