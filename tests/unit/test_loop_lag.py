"""How late the event loop is: measured only while somebody asks, and small delays are none."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

import pytest

from monitor import loop_lag as module
from monitor.loop_lag import LoopLag


@pytest.fixture(autouse=True)
def busy_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the machine that runs the tests be as late as it likes, within reason."""
    monkeypatch.setattr(module, "TOLERATED", timedelta(milliseconds=60))


async def test_a_loop_that_is_held_up_again_and_again_is_late_by_the_sum() -> None:
    with LoopLag().measured() as lateness:
        for _ in range(3):
            time.sleep(0.15)
            await asyncio.sleep(0.03)

    assert timedelta(milliseconds=300) < lateness.total < timedelta(seconds=2)


async def test_a_beat_that_is_overdue_at_the_end_counts() -> None:
    with LoopLag().measured() as lateness:
        await asyncio.sleep(0)
        time.sleep(0.2)

    assert lateness.total > timedelta(milliseconds=150)


async def test_a_loop_that_waits_is_not_late() -> None:
    with LoopLag().measured() as lateness:
        await asyncio.sleep(0.1)

    assert lateness.total == timedelta()


async def test_each_who_listens_is_told_of_its_own_time() -> None:
    lag = LoopLag()
    with lag.measured() as all_of_it:
        time.sleep(0.15)
        await asyncio.sleep(0.03)
        with lag.measured() as the_end:
            await asyncio.sleep(0.03)

    assert all_of_it.total > timedelta(milliseconds=100)
    assert the_end.total == timedelta()


async def test_nothing_beats_where_nobody_listens() -> None:
    lag = LoopLag()
    with lag.measured():
        await asyncio.sleep(0)
    beat = lag._next
    time.sleep(0.15)
    with lag.measured() as lateness:
        await asyncio.sleep(0)

    assert beat is not None
    assert beat.cancelled()
    assert lateness.total == timedelta()
