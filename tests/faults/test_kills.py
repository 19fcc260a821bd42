"""The program killed at any system call: no alert is lost, and nothing is done twice."""

from __future__ import annotations

import asyncio
import os
from random import Random
from typing import TYPE_CHECKING, Final

import pytest

from tests.support.lives import Rounds, Service
from tests.support.stories import Tale, Tally, neighbourhood
from tests.support.tracing import choose

if TYPE_CHECKING:
    from pathlib import Path

POINTS: Final = int(os.environ.get("KILL_POINTS", "40"))
"""At how many moments each of the stories is cut short."""

SEED: Final = int(os.environ.get("KILL_SEED", "1"))
AT_ONCE: Final = 3
_MANY: Final = 100
_SERVICE_IN_A_STORM: Final = pytest.param(
    Service, Tale.STORM, False, 0.1, id="as a service, a storm"
)


@pytest.mark.needs("strace", "prometheus-alertmanager")
@pytest.mark.timeout(120 + 10 * POINTS)
@pytest.mark.parametrize(
    ("life", "tale", "runner", "share"),
    [
        pytest.param(Rounds, Tale.TOLD, False, 0.4, id="as rounds, told"),
        pytest.param(Service, Tale.TOLD, False, 0.6, id="as a service, told"),
        pytest.param(Service, Tale.ATTENDED, False, 0.15, id="as a service, attended"),
        pytest.param(Rounds, Tale.STORM, False, 0.1, id="as rounds, a storm"),
        pytest.param(Rounds, Tale.ROLLED_BACK, False, 0.3, id="as rounds, rolled back"),
        pytest.param(Service, Tale.ROLLED_BACK, False, 0.4, id="as a service, rolled back"),
        pytest.param(Service, Tale.ROLLED_BACK, True, 0.3, id="by the hook runner, rolled back"),
        pytest.param(Service, Tale.REMEDIED, False, 0.2, id="as a service, remedied"),
        pytest.param(Service, Tale.REMEDIED, True, 0.1, id="by the hook runner, remedied"),
        pytest.param(Service, Tale.APPROVED, False, 0.2, id="as a service, approved"),
        # What happens in a storm is gathered for ten seconds.
        *([_SERVICE_IN_A_STORM] if POINTS >= _MANY else []),
    ],
)
async def test_killed_at_any_call_it_loses_no_alert_and_has_each_effect_at_most_once(
    life: type[Rounds | Service],
    tale: Tale,
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
            folder, tale=tale, runner=runner, random=Random(random.random())
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
    assert (tally.taken_on > 0) is (tale is Tale.ATTENDED)
    assert bool(tally.digests) is bool(tally.stand_ins) is (tale is Tale.STORM)
    assert not runner or "uncertain" not in tally.ends
