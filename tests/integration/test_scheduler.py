"""When probes start: on the slot, never twice at a time, whatever takes long or jumps."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
import time_machine
import uvloop

from monitor.core.model.endpoint import Endpoint
from monitor.scheduler import Calendar, Scheduler

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

MS = timedelta(milliseconds=1)


def endpoint(name: str = "shop", *, every: int = 100, retry_every: int = 10_000) -> Endpoint:
    """Make an endpoint; times are in milliseconds."""
    return Endpoint(
        name=name,
        service=name,
        kind="url",
        target="http://shop.test/",
        every=every * MS,
        retry_every=retry_every * MS,
        timeout=timedelta(seconds=1),
        checks=(),
    )


@dataclass
class Stage:
    """A scheduler that runs, and what it did: starts as (name, scheduled, loop time)."""

    takes: timedelta = timedelta()
    settled: bool = True
    starts: list[tuple[str, bool, float]] = field(default_factory=list)
    lags: list[timedelta] = field(default_factory=list)
    skips: dict[str, int] = field(default_factory=dict)
    running: int = 0
    most: int = 0
    finished: int = 0
    cancelled: int = 0

    def __post_init__(self) -> None:
        self.scheduler = Scheduler(
            probe=self.probe, settled=lambda _endpoint: self.settled, meter=self
        )
        self.task: asyncio.Task[None] | None = None

    async def probe(self, endpoint: Endpoint, scheduled: bool) -> None:
        self.starts.append((endpoint.name, scheduled, asyncio.get_running_loop().time()))
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await asyncio.sleep(self.takes.total_seconds())
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1
        self.finished += 1

    def lagged(self, lag: timedelta) -> None:
        self.lags.append(lag)

    def skipped(self, endpoint: str, slots: int) -> None:
        self.skips[endpoint] = self.skips.get(endpoint, 0) + slots

    def begin(self, *endpoints: Endpoint) -> None:
        self.scheduler.watch(endpoints)
        self.task = asyncio.create_task(self.scheduler.run())

    async def started(self, count: int) -> None:
        """Wait until so many probes were started."""
        async with asyncio.timeout(5):
            while len(self.starts) < count:
                await asyncio.sleep(0.002)

    async def end(self, grace: timedelta = 100 * MS) -> None:
        await self.scheduler.stop(grace)
        if self.task is not None:
            await asyncio.wait_for(self.task, 1)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = Stage()
    yield stage
    await stage.end()


def gaps(stage: Stage) -> list[float]:
    times = [at for _, _, at in stage.starts]

    return [later - earlier for earlier, later in pairwise(times)]


async def test_an_endpoint_is_probed_once_per_interval(stage: Stage) -> None:
    stage.begin(endpoint(every=100))
    await stage.started(5)

    assert sum(gaps(stage)) / 4 == pytest.approx(0.1, abs=0.03)
    assert stage.skips == {}
    assert len(stage.lags) == 5
    assert max(stage.lags) < 80 * MS


async def test_a_few_endpoints_all_start_at_once(stage: Stage) -> None:
    began = time.monotonic()
    stage.begin(*(endpoint(f"shop-{number}", every=60_000) for number in range(5)))
    await stage.started(5)

    assert time.monotonic() - began < 0.5


async def test_many_endpoints_are_spread_over_the_interval(stage: Stage) -> None:
    stage.begin(*(endpoint(f"shop-{number}", every=400) for number in range(40)))
    await stage.started(40)
    times = [at for _, _, at in stage.starts[:40]]

    assert times[-1] - times[0] > 0.25


async def test_the_first_round_ends_within_one_interval_and_leaves_even_places(
    stage: Stage,
) -> None:
    stage.begin(*(endpoint(f"shop-{number}", every=1_000) for number in range(50)))
    await stage.started(100)
    first, second = stage.starts[:50], stage.starts[50:100]

    assert {name for name, _, _ in first} == {name for name, _, _ in second}
    assert first[-1][2] - first[0][2] == pytest.approx(0.784, abs=0.06)
    assert second[-1][2] - second[0][2] == pytest.approx(0.98, abs=0.06)
    assert second[0][2] - first[0][2] == pytest.approx(1.0, abs=0.06)
    assert stage.skips == {}


async def test_a_slow_probe_never_overlaps_and_its_missed_slots_are_counted(stage: Stage) -> None:
    stage.takes = 130 * MS
    stage.begin(endpoint(every=50))
    await stage.started(5)

    assert stage.most == 1
    assert all(gap == pytest.approx(0.15, abs=0.04) for gap in gaps(stage))
    assert 7 <= stage.skips["shop"] <= 9, "two slots for each of the four probes that ended"


async def test_a_process_that_slept_makes_up_for_nothing(stage: Stage) -> None:
    stage.begin(endpoint(every=50))
    await stage.started(2)
    time.sleep(0.4)
    before = len(stage.starts)
    await stage.started(before + 1)
    at_once = len(stage.starts) - before
    await asyncio.sleep(0.03)

    elapsed = (stage.starts[before][2] - stage.starts[0][2]) / 0.05
    assert at_once == 1
    assert len(stage.starts) <= before + 2
    assert before + stage.skips["shop"] == pytest.approx(elapsed, abs=1.1), "each slot once"
    assert max(stage.lags) > 250 * MS


async def test_an_unsettled_endpoint_is_probed_sooner(stage: Stage) -> None:
    stage.settled = False
    stage.begin(endpoint(every=500, retry_every=100))
    await stage.started(6)

    assert [scheduled for _, scheduled, _ in stage.starts] == [True, *[False] * 4, True]
    assert gaps(stage)[:4] == pytest.approx([0.1] * 4, abs=0.04)
    assert stage.skips == {}


async def test_retry_samples_end_when_the_endpoint_has_settled(stage: Stage) -> None:
    stage.settled = False
    stage.begin(endpoint(every=300, retry_every=50))
    await stage.started(3)
    stage.settled = True
    await stage.started(5)

    assert [scheduled for _, scheduled, _ in stage.starts].count(True) == 2


async def test_a_retry_interval_that_is_no_shorter_changes_nothing(stage: Stage) -> None:
    stage.settled = False
    stage.begin(endpoint(every=60, retry_every=60))
    await stage.started(4)

    assert all(scheduled for _, scheduled, _ in stage.starts)


async def test_a_slot_that_finds_a_retry_sample_running_is_late_and_not_missed(
    stage: Stage,
) -> None:
    stage.settled = False
    stage.takes = 80 * MS
    stage.begin(endpoint(every=200, retry_every=80))
    await stage.started(7)

    scheduled = [at for _, scheduled, at in stage.starts if scheduled]
    assert stage.most == 1
    assert stage.skips == {}
    assert len(scheduled) >= 2
    assert max(stage.lags) > 20 * MS
    assert scheduled[1] - scheduled[0] < 0.35


async def test_a_retry_sample_that_outlasts_two_slots_misses_one(stage: Stage) -> None:
    stage.settled = False
    stage.begin(endpoint(every=100, retry_every=60))
    await stage.started(1)
    stage.takes = 300 * MS
    await stage.started(3)

    assert [scheduled for _, scheduled, _ in stage.starts] == [True, False, True]
    assert 1 <= stage.skips["shop"] <= 3


async def test_a_reload_keeps_places_and_takes_what_is_new(stage: Stage) -> None:
    kept, gone = endpoint("kept", every=200), endpoint("gone", every=200)
    stage.begin(kept, gone)
    await stage.started(2)
    await asyncio.sleep(0.1)
    for _ in range(100):
        stage.scheduler.watch([replace(kept, target="http://other.test/"), endpoint("new")])
    await stage.started(5)
    of_kept = [at for name, _, at in stage.starts if name == "kept"]

    assert of_kept[1] - of_kept[0] == pytest.approx(0.2, abs=0.05)
    assert [name for name, _, _ in stage.starts].count("gone") == 1
    assert [name for name, _, _ in stage.starts].count("new") >= 1
    assert stage.most == 1


async def test_a_reload_keeps_the_retry_that_is_planned(stage: Stage) -> None:
    stage.settled = False
    watched = endpoint(every=5_000, retry_every=150)
    stage.begin(watched)
    await stage.started(1)
    await asyncio.sleep(0.05)
    stage.scheduler.watch([watched])
    await stage.started(2)

    assert gaps(stage)[0] == pytest.approx(0.15, abs=0.05)
    assert not stage.starts[1][1]


async def test_an_endpoint_whose_interval_changes_is_still_not_probed_twice_at_a_time(
    stage: Stage,
) -> None:
    stage.takes = 200 * MS
    stage.begin(endpoint(every=1_000))
    await stage.started(1)
    stage.scheduler.watch([endpoint(every=80)])
    await stage.started(3)

    assert stage.most == 1


async def test_stopping_waits_for_what_runs_and_starts_nothing_more(stage: Stage) -> None:
    stage.takes = 150 * MS
    stage.begin(endpoint(every=50))
    await stage.started(1)
    await stage.scheduler.stop(timedelta(seconds=2))
    await asyncio.sleep(0.1)

    assert len(stage.starts) == 1
    assert (stage.finished, stage.cancelled) == (1, 0)


async def test_stopping_cancels_what_does_not_end_in_time(stage: Stage) -> None:
    stage.takes = timedelta(seconds=30)
    stage.begin(endpoint("one"), endpoint("two"))
    await stage.started(2)
    stage.scheduler.watch([endpoint("one")])
    began = time.monotonic()
    await stage.scheduler.stop(100 * MS)

    assert time.monotonic() - began < 1
    assert (stage.finished, stage.cancelled) == (0, 2), "also what a reload removed"


async def test_stopping_with_nothing_running_returns_at_once(stage: Stage) -> None:
    stage.begin()
    await asyncio.sleep(0)
    await stage.scheduler.stop(timedelta(seconds=30))

    assert stage.starts == []


@pytest.mark.parametrize(
    "new_loop",
    [
        pytest.param(asyncio.new_event_loop, id="asyncio"),
        pytest.param(uvloop.new_event_loop, id="uvloop"),
    ],
)
def test_a_loop_that_stood_still_is_known_to_probes_that_ran_meanwhile(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def story() -> tuple[bool, bool, bool, bool]:
        stage = Stage()
        stage.begin(endpoint(every=100))
        await stage.started(1)
        loop = asyncio.get_running_loop()
        started = loop.time()
        await asyncio.sleep(0.02)
        calm = stage.scheduler.stalled_since(started)
        time.sleep(1.3)
        at_once = stage.scheduler.stalled_since(started)
        await asyncio.sleep(0.05)
        later = stage.scheduler.stalled_since(started)
        of_the_next = stage.scheduler.stalled_since(loop.time())
        await stage.end()

        return calm, at_once, later, of_the_next

    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert runner.run(story()) == (False, True, True, False)


async def test_probes_that_end_while_the_daemon_drains_are_not_taken_for_stalled(
    stage: Stage,
) -> None:
    stage.begin(endpoint())
    await stage.started(1)
    started = asyncio.get_running_loop().time()
    await stage.end()
    await asyncio.sleep(1.2)

    assert not stage.scheduler.stalled_since(started)


async def test_each_tick_is_told_with_how_late_it_is(stage: Stage) -> None:
    ticks: list[timedelta] = []
    stage.scheduler.on_tick = lambda _now, late: ticks.append(late)
    stage.begin(endpoint(every=20))
    await stage.started(3)
    time.sleep(0.3)
    await stage.started(5)

    assert ticks[0] == timedelta()
    assert 150 * MS < max(ticks) < 1000 * MS


async def test_without_a_schedule_nothing_counts_as_stalled() -> None:
    scheduler = Stage().scheduler

    assert not scheduler.stalled_since(asyncio.get_running_loop().time())


@pytest.mark.parametrize("jump", [-3600, 86_400], ids=["an hour back", "a day ahead"])
async def test_a_clock_that_jumps_moves_no_slot(stage: Stage, jump: int) -> None:
    with time_machine.travel(time.time(), tick=True) as clock:
        stage.begin(endpoint(every=60))
        await stage.started(2)
        clock.shift(jump)
        await stage.started(6)

    assert sum(gaps(stage)) / 5 == pytest.approx(0.06, abs=0.03)
    assert stage.skips == {}


async def run_calendar(*, jump: float) -> tuple[int, int]:
    """Give the runs of a chore after a jump, and the runs after it was planned anew."""
    runs = 0

    async def chore() -> None:
        nonlocal runs
        runs += 1

    with time_machine.travel(time.time(), tick=True) as clock:
        calendar = Calendar()
        calendar.every(100 * MS, chore)
        calendar.start()
        async with asyncio.timeout(5):
            while runs < 2:
                await asyncio.sleep(0.005)
        clock.shift(jump)
        await asyncio.sleep(0.15)
        runs = 0
        await asyncio.sleep(0.25)
        before = runs
        calendar.plan_anew()
        runs = 0
        await asyncio.sleep(0.35)
        calendar.stop()

    return before, runs


async def test_a_chore_goes_on_after_the_clock_was_set_back() -> None:
    before, runs = await run_calendar(jump=-3600)

    assert before == 0, "APScheduler alone waits for the hour to pass: why it is planned anew"
    assert 2 <= runs <= 4


async def test_a_chore_does_not_make_up_for_a_day_that_never_was() -> None:
    _, runs = await run_calendar(jump=86_400)

    assert 2 <= runs <= 4


async def test_a_calendar_that_stopped_runs_nothing_and_may_be_stopped_again() -> None:
    runs = 0

    async def chore() -> None:
        nonlocal runs
        runs += 1

    calendar = Calendar()
    calendar.every(20 * MS, chore)
    calendar.start()
    calendar.stop()
    calendar.stop()
    await asyncio.sleep(0.06)

    assert runs == 0


async def test_what_has_just_changed_is_looked_at_at_once_and_keeps_its_slots(
    stage: Stage,
) -> None:
    stage.begin(endpoint(every=60_000), endpoint("other", every=60_000))
    await stage.started(2)

    stage.scheduler.hasten("shop")
    stage.scheduler.hasten("nobody")
    await stage.started(3)

    assert stage.starts[2][:2] == ("shop", False)
    assert stage.skips == {}


async def test_what_is_looked_at_already_is_not_looked_at_twice(stage: Stage) -> None:
    stage.takes = 100 * MS
    stage.begin(endpoint(every=60_000))
    await stage.started(1)

    stage.scheduler.hasten("shop")
    await asyncio.sleep(0.15)

    assert (stage.most, len(stage.starts)) == (1, 1)
