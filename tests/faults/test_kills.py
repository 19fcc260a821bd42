"""The program killed at any system call: no alert is lost, and nothing is done twice."""

from __future__ import annotations

import asyncio
import os
from random import Random
from typing import TYPE_CHECKING, Final

import pytest

from tests.support.lives import Rounds, Service
from tests.support.stories import Tally, neighbourhood
from tests.support.tracing import choose

if TYPE_CHECKING:
    from pathlib import Path

POINTS: Final = int(os.environ.get("KILL_POINTS", "40"))
"""At how many moments each of the two stories is cut short."""

SEED: Final = int(os.environ.get("KILL_SEED", "1"))
AT_ONCE: Final = 3


@pytest.mark.needs("strace")
@pytest.mark.timeout(120 + 10 * POINTS)
@pytest.mark.parametrize(
    ("life", "rolls_back", "runner", "share"),
    [
        pytest.param(Rounds, False, False, 0.4, id="as rounds, an incident is told"),
        pytest.param(Service, False, False, 0.6, id="as a service, an incident is told"),
        pytest.param(Rounds, True, False, 0.3, id="as rounds, a deploy is rolled back"),
        pytest.param(Service, True, False, 0.4, id="as a service, a deploy is rolled back"),
        pytest.param(Service, True, True, 0.3, id="as a service, the hook runner rolls back"),
    ],
)
async def test_killed_at_any_call_it_loses_no_alert_and_has_each_effect_at_most_once(
    life: type[Rounds | Service],
    rolls_back: bool,
    runner: bool,
    share: float,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """The story is told again for each moment, and the program is killed at it.

    What was not told by then is told by the next process, and it may be killed as well.
    """
    random = Random(SEED)
    points = round(POINTS * share)
    folder = tmp_path_factory.mktemp("kills")  # short, for the socket in it

    async def tell(folder: Path, count: int) -> Tally:
        async with neighbourhood(
            folder, rolls_back=rolls_back, runner=runner, random=Random(random.random())
        ) as around:
            living = life(around)
            moments = await living.rehearse()
            return await living.kill(choose(moments, count, random))

    counts = [points // AT_ONCE + (number < points % AT_ONCE) for number in range(AT_ONCE)]
    told = await asyncio.gather(
        *(tell(folder / str(number), count) for number, count in enumerate(counts))
    )
    tally = sum(told, Tally())
    print(f"\n{tally}")

    assert tally.broken == []
    assert tally.killed > 0.6 * points
    assert not runner or "uncertain" not in tally.ends
