"""The power fails at any moment: what a commit was acknowledged for is there, and nothing torn."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Final

import pytest

from monitor.store import Store
from tests.support.power import STRACE, Call, Machine, read_trace
from tests.support.stored import NOON

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[2]
POINTS: Final = int(os.environ.get("POWER_POINTS", "100"))
"""At how many moments the power fails."""

COMMITS: Final = 40


def record(folder: Path, *how: str) -> list[Call]:
    """Let a program commit, and give all that it did to its disk."""
    state = folder / "state"
    state.mkdir()
    trace = folder / "trace"
    subprocess.run(
        [
            *(*STRACE, "-o", trace, sys.executable, str(HERE / "committing.py")),
            *(str(state / "monitor.db"), str(COMMITS), *how),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
        timeout=60,
    )
    calls = read_trace(trace, state)
    trace.unlink()

    return [call for call in calls if not call.path.name.endswith((".lock", "-shm"))]


async def find_losses(folder: Path, calls: list[Call], points: int) -> list[str]:
    """Cut the power at so many moments, start again each time, and say what was lost."""
    losses = []
    machine = Machine()
    moments = {index * len(calls) // points for index in range(points)}
    for index, call in enumerate(calls):
        machine.take(call)
        if index in moments:
            disk = folder / f"disk-{index}"
            disk.mkdir()
            machine.lose_power(disk, Random(index))
            if loss := await find_loss(disk / "monitor.db", machine.told):
                losses.append(f"call {index} ({call.name} {call.path.name}): {loss}")

    return losses


async def find_loss(path: Path, told: int) -> str:
    """Start on what is left; say what is missing of what was told."""
    store = await Store.open(path, holder="after the power failed")
    situation = await store.load()
    timeline = await store.timeline("i1")
    results = await store.results("api", NOON, 10**6)
    await store.close()
    if store.set_aside is not None:
        return f"the store was found corrupt after {told} commits"

    incident, step = situation.incidents.get("i1"), situation.steps.get("r1.1.1")
    found = incident.sequence if incident else 0
    whole = found == len(timeline) == len(results) // 20 == (step.attempt if step else 0)
    if not whole:
        return f"{found} and {len(timeline)} and {len(results)}: a bundle was torn"

    return "" if told <= found <= told + 1 else f"{told} were told, {found} are there"


@pytest.mark.needs("strace")
@pytest.mark.timeout(60 + POINTS)
async def test_what_was_told_survives_a_loss_of_power_at_any_moment(tmp_path: Path) -> None:
    calls = record(tmp_path)

    losses = await find_losses(tmp_path, calls, POINTS)

    assert sum(call.name == "sync" for call in calls) > 2 * COMMITS
    assert losses == []


@pytest.mark.needs("strace")
async def test_a_store_that_does_not_sync_would_be_found_out(tmp_path: Path) -> None:
    calls = record(tmp_path, "careless")

    assert await find_losses(tmp_path, calls, 20) != []
