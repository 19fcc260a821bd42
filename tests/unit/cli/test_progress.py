"""Progress of a run: on a terminal, once it takes longer than a second, and gone afterwards."""

from __future__ import annotations

import asyncio
import io
from datetime import timedelta
from types import SimpleNamespace

import pytest

from monitor.cli import progress as progress_module
from monitor.cli.progress import Progress
from monitor.rounds import Rounds
from tests.support.watching import make_endpoint

CLEAR = "\r\x1b[2K"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def see(written: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in for standard error, which pytest itself replaces from phase to phase."""
    monkeypatch.setattr(progress_module, "sys", SimpleNamespace(stderr=written))


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    written = Terminal()
    see(written, monkeypatch)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(progress_module, "_PATIENCE", 0.02)
    monkeypatch.setattr(progress_module, "_REFRESH", 0.02)

    return written


def make_rounds(cycles: int = 3) -> Rounds:
    endpoints = (make_endpoint(name="a"), make_endpoint(name="b"))

    return Rounds(endpoints=endpoints, cycles=cycles, every=timedelta(seconds=1))


async def shown(terminal: Terminal, text: str) -> None:
    async with asyncio.timeout(5):
        while text not in terminal.getvalue():
            await asyncio.sleep(0.005)


async def test_it_counts_endpoints_and_rounds_and_clears_its_line(terminal: Terminal) -> None:
    rounds = make_rounds()
    first, second = rounds.endpoints

    with Progress(rounds) as progress:
        await shown(terminal, "round 1 of 3: 0 of 2 endpoints")
        progress.probed(1, first)
        await shown(terminal, "round 1 of 3: 1 of 2 endpoints")
        progress.probed(1, second)
        await shown(terminal, "round 1 of 3 is done, the next is to come")
        progress.probed(2, first)
        await shown(terminal, "round 2 of 3: 1 of 2 endpoints")
        progress.probed(0, first)
        await shown(terminal, "verifying the rollback")

    assert terminal.getvalue().endswith(CLEAR)


async def test_a_quick_run_shows_nothing(terminal: Terminal) -> None:
    with Progress(make_rounds()):
        pass

    assert terminal.getvalue() == ""


async def test_a_dumb_terminal_is_left_alone(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "dumb")

    with Progress(make_rounds()):
        await asyncio.sleep(0.06)

    assert terminal.getvalue() == ""


async def test_what_is_no_terminal_is_left_alone(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    see(written := io.StringIO(), monkeypatch)

    with Progress(make_rounds()):
        await asyncio.sleep(0.06)

    assert written.getvalue() == terminal.getvalue() == ""


async def test_each_round_is_told_above_the_line_that_moves(terminal: Terminal) -> None:
    rounds = make_rounds()
    first, second = rounds.endpoints

    with Progress(rounds, tuple) as progress:
        await shown(terminal, "round 1 of 3: 0 of 2 endpoints")
        progress.probed(1, first)
        assert "nothing fails" not in terminal.getvalue()
        progress.probed(1, second)
        progress.probed(0, first)
        progress.probed(0, second)

    assert terminal.getvalue().count(f"{CLEAR}round 1 of 3: nothing fails\n") == 1


async def test_rounds_are_told_where_there_is_no_terminal_as_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = io.StringIO()
    see(written, monkeypatch)
    rounds = make_rounds()

    with Progress(rounds, tuple) as progress:
        for endpoint in rounds.endpoints:
            progress.probed(2, endpoint)

    assert written.getvalue() == "round 2 of 3: nothing fails\n"
