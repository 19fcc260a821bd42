"""The runner of probes over real sockets and programs: once per key, and only while one waits."""

from __future__ import annotations

import asyncio
import json
import socket
from dataclasses import replace
from datetime import timedelta
from time import time
from typing import TYPE_CHECKING, Any

import pytest

from monitor.core.model.observation import Code
from monitor.probes import KINDS
from monitor.runner.elsewhere import CommandsElsewhere
from monitor.runner.protocol import LARGEST_ORDER, Malformed
from monitor.runner.records import FRESH, Keys
from monitor.runner.tied_protocol import (
    LARGEST_INPUT,
    TiedOrder,
    make_key,
    read_order,
    read_sight,
    write_order,
)
from tests.support.hook_runner import listening, probe_runner_here, runner_as_started
from tests.support.http_probe import make_context
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from monitor.core.model.observation import Observation
    from monitor.runner.tied import Commands
    from tests.support.hook_runner import Runner

CONFIG = """
endpoints:
  shop: {command: {run: [./check.sh, --quick], env: {TOKEN: probe-canary-1b2c}}, timeout: 5s}
  page: {url: "http://127.0.0.1:1/"}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a configuration, and a script that notes each of its runs."""
    tmp_path.chmod(0o755)
    (tmp_path / "monitor.yml").write_text(CONFIG)
    (tmp_path / "monitor.yml").chmod(0o644)
    write_script(tmp_path, "echo run >> runs", 'echo "$1 $TOKEN"')

    return tmp_path


def write_script(folder: Path, *lines: str) -> None:
    path = folder / "check.sh"
    path.write_text("#!/bin/sh\n" + "\n".join(lines) + "\n")
    path.chmod(0o755)


def runs(folder: Path) -> int:
    path = folder / "runs"

    return len(path.read_text().splitlines()) if path.exists() else 0


def read_options(folder: Path, *run: str) -> Any:
    data = {"run": list(run or ("./check.sh", "--quick")), "env": {"TOKEN": "probe-canary-1b2c"}}

    return KINDS["command"].options.model_validate(data, context={"base": folder})


async def look(
    folder: Path, commands: Commands, *run: str, timeout: float = 5, name: str = "shop"
) -> Observation:
    context = replace(make_context(timeout, commands=commands), endpoint=name)
    seen: Observation = await KINDS["command"].make(read_options(folder, *run), context).observe()

    return seen


def order(folder: Path, **changes: Any) -> TiedOrder:
    right = TiedOrder(
        name="shop", fingerprint=read_options(folder).fingerprint, key=make_key(time())
    )

    return replace(right, **changes)


def say(runner: Runner, line: bytes) -> list[bytes]:
    """Send bytes as they are, and give the lines that come back."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(30)
        connection.connect(str(runner.path))
        connection.sendall(line)
        return connection.makefile("rb").readlines()


async def test_a_command_is_run_as_here_and_its_secrets_stay_there(folder: Path) -> None:
    with probe_runner_here(folder) as runner:
        seen = await look(folder, CommandsElsewhere(runner.path))

    assert seen.fault is None
    assert seen.values["exit_code"] == 0
    assert seen.values["output"] == "--quick ***\n"
    assert runs(folder) == 1


async def test_the_installed_runner_answers_on_its_standard_input(folder: Path) -> None:
    write_script(folder, "echo no >&2", "exit 3")
    with runner_as_started(folder, "--probes") as (runner, _):
        seen = await look(folder, CommandsElsewhere(runner.path))

    assert seen.fault is None
    assert seen.values["exit_code"] == 3
    assert seen.values["output"] == "no\n"
    assert seen.duration < timedelta(seconds=0.5)  # its own time, and not that of the runner


async def test_what_hangs_is_stopped_at_the_timeout_of_the_endpoint(folder: Path) -> None:
    config = folder / "monitor.yml"
    config.write_text(config.read_text().replace("timeout: 5s", "timeout: 500ms"))
    write_script(folder, "echo begun", "exec sleep 7421")
    with probe_runner_here(folder) as runner:
        seen = await look(folder, CommandsElsewhere(runner.path), timeout=0.5)

    assert seen.fault is not None
    assert (seen.fault.code, seen.fault.own) == (Code.TIMEOUT, False)
    assert seen.values["output"] == "begun\n"


async def test_who_leaves_ends_the_command(folder: Path) -> None:
    write_script(folder, "trap 'echo ended > ended; exit' TERM", "touch begun", "sleep 7422 & wait")
    with probe_runner_here(folder) as runner:
        looking = asyncio.create_task(look(folder, CommandsElsewhere(runner.path)))
        await until((folder / "begun").exists)
        looking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await looking

        await until((folder / "ended").exists)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"fingerprint": "0" * 64}, "shop has another command in the configuration now"),
        ({"name": "page"}, "there is no such endpoint, or it runs no command"),
        ({"name": "other"}, "there is no such endpoint"),
        ({"key": make_key(time() - 3600)}, "the order is of another time"),
        ({"key": make_key(time() + 3600)}, "the order is of another time"),
        ({"key": "../../etc/passwd"}, "key: expected a time"),
    ],
)
def test_what_is_not_configured_so_is_refused(
    folder: Path, changes: dict[str, str], why: str
) -> None:
    with probe_runner_here(folder) as runner:
        (line,) = say(runner, write_order(order(folder, **changes)))

    assert why in read_sight(line).denied
    assert runs(folder) == 0


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"\n", id="nothing"),
        pytest.param(b"[]\n", id="a list"),
        pytest.param(b'{"wish": "run"}\n', id="a step"),
        pytest.param(b"\xff\xfe\n", id="no text"),
        pytest.param(b"[" * 100_000 + b"\n", id="deep"),
        pytest.param(b"x" * (LARGEST_ORDER + 10) + b"\n", id="long"),
    ],
)
def test_what_is_no_order_is_refused(folder: Path, line: bytes) -> None:
    with probe_runner_here(folder) as runner:
        (answer,) = say(runner, line)

    assert read_sight(answer).denied
    assert runs(folder) == 0


def test_an_argument_list_is_no_part_of_an_order(folder: Path) -> None:
    data = json.loads(write_order(order(folder)))
    additions: list[dict[str, Any]] = [{"run": ["/bin/true"]}, {"env": {}}, {"timeout": 3600}]
    for more in additions:
        with pytest.raises(Malformed):
            read_order(json.dumps({**data, **more}).encode())


@pytest.mark.parametrize(
    ("purpose", "told"),
    [
        ("probe", {"variables": {"MONITOR_X": "1"}}),
        ("probe", {"input": "{}"}),
        ("evidence", {"input": "{}"}),
        ("notice", {"variables": {"PATH": "/tmp"}}),
        ("notice", {"variables": {"MONITOR_X=1\nPATH": "/tmp"}}),
        ("notice", {"variables": {"MONITOR_X": "a\0b"}}),
        ("notice", {"variables": {"MONITOR_X": 1}}),
        ("notice", {"variables": {"MONITOR_X": "x" * 4_001}}),
        ("notice", {"variables": {f"MONITOR_{'X' * n}": "" for n in range(1, 50)}}),
        ("notice", {"variables": []}),
        ("notice", {"input": "x" * (LARGEST_INPUT + 1)}),
        ("notice", {"input": {}}),
        ("rollback", {}),
    ],
)
def test_a_command_is_told_nothing_but_what_it_may_be(
    folder: Path, purpose: str, told: dict[str, Any]
) -> None:
    data = {**json.loads(write_order(order(folder))), "purpose": purpose, **told}

    with pytest.raises(Malformed):
        read_order(json.dumps(data).encode())


def test_a_key_is_used_once(folder: Path) -> None:
    line = write_order(order(folder))
    with probe_runner_here(folder) as runner:
        first, again = say(runner, line), say(runner, line)

    assert [read_sight(one).begun for one in first] == [True, False]
    assert [read_sight(one).denied for one in again] == ["this was run already"]
    assert runs(folder) == 1


def test_what_is_kept_does_not_grow(tmp_path: Path) -> None:
    keys, now = Keys(tmp_path), time()
    for age in range(100):
        assert keys.claim(make_key(now - age * 60))

    keys.prune(now)

    kept = len(list(tmp_path.iterdir()))
    assert 0 < kept <= 2 * FRESH // timedelta(minutes=1) + 1


async def test_a_configuration_that_others_may_write_runs_nothing(folder: Path) -> None:
    (folder / "monitor.yml").chmod(0o666)
    with probe_runner_here(folder) as runner:
        seen = await look(folder, CommandsElsewhere(runner.path))

    assert seen.fault is not None
    assert (seen.fault.code, seen.fault.own) == (Code.INTERNAL, True)
    assert "the configuration is not root's alone" in seen.fault.message
    assert runs(folder) == 0


def hang_up(connection: socket.socket) -> None:
    connection.recv(LARGEST_ORDER)


def begin_and_end(connection: socket.socket) -> None:
    connection.recv(LARGEST_ORDER)
    connection.sendall(b'{"begun": true, "denied": "", "finished": null}\n')


def talk_nonsense(connection: socket.socket) -> None:
    connection.recv(LARGEST_ORDER)
    connection.sendall(b"HTTP/1.1 400 Bad Request\n")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (hang_up, "the runner of probes is full, or ended before it began"),
        (talk_nonsense, "the runner of probes is full, or ended before it began"),
        (begin_and_end, "the runner of probes ended while the command ran"),
    ],
)
async def test_a_runner_that_fails_is_our_own_fault(
    folder: Path, answer: Callable[[socket.socket], None], said: str
) -> None:
    with listening(folder, answer) as runner:
        seen = await look(folder, CommandsElsewhere(runner.path))

    assert seen.fault is not None
    assert (seen.fault.code, seen.fault.own) == (Code.INTERNAL, True)
    assert said in seen.fault.message


async def test_a_runner_that_is_not_there_is_our_own_fault(folder: Path) -> None:
    seen = await look(folder, CommandsElsewhere(folder / "none.sock"))

    assert seen.fault is not None
    assert (seen.fault.code, seen.fault.own) == (Code.INTERNAL, True)
    assert seen.fault.message == (
        "the runner of probes cannot be reached: No such file or directory"
    )


async def test_a_hundred_at_once_reach_the_runner_a_few_at_a_time(folder: Path) -> None:
    inside, most = 0, 0

    def count(connection: socket.socket) -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        connection.recv(LARGEST_ORDER)
        inside -= 1

    with listening(folder, count) as runner:
        commands = CommandsElsewhere(runner.path)
        seen = await asyncio.gather(*(look(folder, commands) for _ in range(100)))

    assert all(one.fault is not None and one.fault.own for one in seen)
    assert runner.asked == 100
    assert most <= 8
