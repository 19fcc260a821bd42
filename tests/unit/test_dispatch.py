"""The outbox workers: in order, at least once, and no receiver delays another."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from monitor.core.model.changes import Changes
from monitor.core.model.notice import (
    Delivered,
    DeliveryState,
    NoticeEvent,
    Refused,
    TryAgain,
)
from monitor.core.situation import Situation
from monitor.dispatch import Dispatch
from monitor.dispatch.journal import Journal
from monitor.notifiers.notifier import Manner
from tests.support.logs import capture_logs
from tests.support.notices import NOON, ScriptedNotifier, make_delivery, make_notice, make_pair

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from monitor.core.model.notice import Delivery, Earlier, Receipt

SOON = timedelta(seconds=5)
AGAIN = TryAgain(reason="timeout", error="too late")
UNTIL_LATER = TryAgain(reason="rate_limited", error="slow down", after=timedelta(minutes=10))


class World:
    """A situation, a store that can be broken, and what the dispatch reported."""

    def __init__(self) -> None:
        self.situation = Situation()
        self.stored: list[Delivery] = []
        self.receipts: list[tuple[str, Receipt]] = []
        self.store_fault: Callable[[], Any] | None = None
        self.jitter = 0.0
        self.changed = asyncio.Event()

    async def record(self, changes: Changes) -> None:
        if self.store_fault is not None:
            await self.store_fault()
        self.stored.extend(changes.deliveries)

    def queue(self, *deliveries: Delivery) -> None:
        self.situation.apply(Changes(deliveries=deliveries))

    def note(self, delivery: Delivery, receipt: Receipt) -> None:
        self.receipts.append((delivery.id, receipt))
        self.changed.set()

    def row(self, delivery: Delivery) -> Delivery:
        return self.situation.deliveries[delivery.id]

    def make(self, **parts: Any) -> Dispatch:
        notifiers = parts.pop("notifiers")
        wanted = {
            "clock": lambda: datetime.now(UTC),
            "on_receipt": self.note,
            "rng": lambda: self.jitter,
            "stop_grace": timedelta(milliseconds=50),
            "store_patience": timedelta(milliseconds=50),
        }

        return Dispatch(
            notifiers=notifiers,
            situation=self.situation,
            record=self.record,
            **{**wanted, **parts},
        )

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return once it is so; each receipt and each turn of the loop is a chance."""
        async with asyncio.timeout(30):
            while not condition():
                self.changed.clear()
                try:
                    await asyncio.wait_for(self.changed.wait(), 0.005)
                except TimeoutError:
                    continue

    @asynccontextmanager
    async def running(self, **parts: Any) -> AsyncIterator[Dispatch]:
        dispatch = self.make(**parts)
        dispatch.start()
        try:
            yield dispatch
        finally:
            await dispatch.stop()


@pytest.fixture
def world() -> World:
    return World()


def ids(deliveries: Sequence[Delivery]) -> list[str]:
    return [delivery.id for delivery in deliveries]


async def test_what_is_queued_is_delivered_and_recorded_before_and_after(world: World) -> None:
    notifier, delivery = ScriptedNotifier(), make_delivery()
    world.queue(delivery)

    async with world.running(notifiers={"oncall": notifier}) as dispatch:
        undelivered = await dispatch.drain(SOON)

    assert undelivered == 0
    assert [row.state for row in world.stored] == [
        DeliveryState.INFLIGHT,
        DeliveryState.DELIVERED,
    ]
    assert (world.stored[0].attempts, world.stored[1].reference) == (1, "ref-1")
    assert world.receipts == [(delivery.id, Delivered(reference="ref-1"))]


async def test_a_notice_queued_later_is_delivered_when_woken(world: World) -> None:
    notifier = ScriptedNotifier()
    async with world.running(notifiers={"oncall": notifier}) as dispatch:
        await asyncio.sleep(0)
        world.queue(make_delivery())
        dispatch.wake()
        await world.until(lambda: bool(notifier.arrived))


async def test_a_failed_attempt_is_made_again_until_it_works(world: World) -> None:
    notifier = ScriptedNotifier()
    notifier.script.extend([AGAIN, ConnectionError("boom"), AGAIN])
    delivery = make_delivery()
    world.queue(delivery)

    async with world.running(notifiers={"oncall": notifier}) as dispatch:
        undelivered = await dispatch.drain(SOON)

    row = world.row(delivery)
    assert (undelivered, row.state, row.attempts) == (0, DeliveryState.DELIVERED, 4)
    assert row.maybe_sent
    assert {message.key for message, _ in notifier.told} == {delivery.key}


async def test_an_exception_is_logged_with_its_traceback_and_tried_again(world: World) -> None:
    notifier = ScriptedNotifier()
    notifier.script.append(RuntimeError("boom"))
    world.queue(make_delivery())

    with capture_logs() as lines:
        async with world.running(notifiers={"oncall": notifier}) as dispatch:
            await dispatch.drain(SOON)

    failed = [line["exc_info"] for line in lines if line["event"] == "delivery_failed"]
    assert [kind for kind, *_ in failed] == [RuntimeError]
    assert isinstance(world.receipts[0][1], TryAgain)
    assert world.receipts[0][1].error == "RuntimeError"
    assert len(notifier.arrived) == 1


async def test_the_beginning_is_told_before_the_end_and_both_in_one_thread(world: World) -> None:
    notifier = ScriptedNotifier()
    opened, resolved = make_pair()
    updated = make_delivery(make_notice(NoticeEvent.UPDATED, sequence=2))
    world.queue(opened)

    async with world.running(notifiers={"oncall": notifier}) as dispatch:
        await dispatch.drain(SOON)
        world.queue(updated, resolved)
        await dispatch.drain(SOON)

    assert notifier.told_ids == ids([opened, updated, resolved])
    assert [earlier.reference for _, earlier in notifier.told] == [None, "ref-1", "ref-1"]


async def test_an_open_that_never_arrived_is_told_with_its_end(world: World) -> None:
    notifier = ScriptedNotifier(then=UNTIL_LATER)
    opened, resolved = make_pair()
    world.queue(opened)
    async with world.running(notifiers={"oncall": notifier}):
        await world.until(lambda: len(world.receipts) == 1)
    world.queue(resolved)

    # Another process, an hour later.
    notifier.then = Delivered()
    later = datetime.now(UTC) + timedelta(hours=1)
    async with world.running(notifiers={"oncall": notifier}, clock=lambda: later) as dispatch:
        undelivered = await dispatch.drain(SOON)

    assert undelivered == 0
    assert notifier.told_ids == [opened.id, resolved.id]
    message = notifier.told[-1][0]
    assert message.key == resolved.key
    assert message.notice.headline.startswith("shop was down from 2026-07-01 12:00:00 UTC to")
    assert world.row(opened).last_error == f"told together with {resolved.id}"
    assert world.row(opened).state is DeliveryState.DELIVERED


async def test_other_incidents_pass_while_one_waits(world: World) -> None:
    world.jitter = 0.3
    notifier = ScriptedNotifier()
    notifier.script.append(AGAIN)
    stuck = make_delivery(make_notice(incident="stuck"), attempts=20, queued_at=NOON)
    world.queue(stuck, *(make_delivery(make_notice(incident=f"i-{n}")) for n in range(3)))

    async with world.running(notifiers={"oncall": notifier}) as dispatch:
        undelivered = await dispatch.drain(SOON)

    assert undelivered == 1
    assert len(notifier.arrived) == 3
    assert world.row(stuck).not_before is not None


async def test_an_incident_that_the_receiver_chokes_on_holds_up_no_other(world: World) -> None:
    class Choking(ScriptedNotifier):
        async def deliver(self, delivery: Delivery, earlier: Earlier) -> Receipt:
            receipt = await super().deliver(delivery, earlier)
            return AGAIN if delivery.notice.incident == "stuck" else receipt

    notifier = Choking()
    stuck = make_delivery(make_notice(incident="stuck"), queued_at=NOON)
    others = [make_delivery(make_notice(incident=f"i-{n}")) for n in range(3)]
    world.queue(stuck, *others)

    async with world.running(notifiers={"oncall": notifier}):
        await world.until(lambda: len(notifier.told) > 4)

    assert notifier.told_ids[:5] == ids([stuck, *others, stuck])


async def test_when_a_receiver_asks_to_wait_nothing_is_sent_to_it_meanwhile(world: World) -> None:
    notifier = ScriptedNotifier()
    notifier.script.append(UNTIL_LATER)
    world.queue(*(make_delivery(make_notice(incident=f"i-{n}")) for n in range(3)))

    async with world.running(notifiers={"oncall": notifier}) as dispatch:
        assert await dispatch.drain(SOON) == 3
    async with world.running(notifiers={"oncall": notifier}) as dispatch:
        assert await dispatch.drain(SOON) == 3

    assert len(notifier.told) == 1


async def test_drain_does_not_wait_for_what_will_not_be_tried_in_time(world: World) -> None:
    world.queue(make_delivery())
    started = asyncio.get_running_loop().time()

    async with world.running(notifiers={"oncall": ScriptedNotifier(then=UNTIL_LATER)}) as dispatch:
        undelivered = await dispatch.drain(timedelta(minutes=5))

    assert undelivered == 1
    assert asyncio.get_running_loop().time() - started < 5


async def test_drain_ends_with_its_grace_when_a_receiver_hangs(world: World) -> None:
    world.queue(make_delivery())

    async with world.running(notifiers={"oncall": ScriptedNotifier(gate=asyncio.Event())}) as one:
        assert await one.drain(timedelta(milliseconds=50)) == 1


async def test_a_wall_clock_that_is_set_back_delays_nothing(world: World) -> None:
    ahead = timedelta()
    notifier = ScriptedNotifier()
    notifier.script.append(AGAIN)
    world.jitter = 0.2
    world.queue(make_delivery())

    def clock() -> datetime:
        return datetime.now(UTC) + ahead

    async with world.running(notifiers={"oncall": notifier}, clock=clock) as dispatch:
        await world.until(lambda: bool(world.receipts))
        ahead = -timedelta(hours=9)
        dispatch.wake()
        await world.until(lambda: bool(notifier.arrived))


async def test_a_bug_in_what_follows_a_delivery_does_not_silence_the_receiver(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitor.dispatch.worker._REST_AFTER_A_BUG", timedelta(milliseconds=1))
    reports = iter([ZeroDivisionError("a bug")])
    notifier = ScriptedNotifier()
    world.queue(*(make_delivery(make_notice(incident=f"i-{n}")) for n in range(3)))

    def report(_delivery: Delivery, _receipt: Receipt) -> None:
        for error in reports:
            raise error

    with capture_logs() as lines:
        async with world.running(notifiers={"oncall": notifier}, on_receipt=report) as dispatch:
            assert await dispatch.drain(SOON) == 0

    assert len(notifier.told) == 3
    assert [line["event"] for line in lines if line["log_level"] == "error"] == [
        "notifier_stumbled"
    ]


async def test_an_end_that_comes_during_a_storm_is_still_told_with_its_beginning(
    world: World,
) -> None:
    notifier = ScriptedNotifier(gate=asyncio.Event())
    pairs = [make_pair(f"i-{number}") for number in range(3)]
    world.queue(*(opened for opened, _ in pairs))

    async with world.running(notifiers={"oncall": notifier}) as dispatch:
        await world.until(lambda: bool(notifier.told))
        world.queue(pairs[2][1])
        dispatch.wake()
        assert notifier.gate is not None
        notifier.gate.set()
        assert await dispatch.drain(SOON) == 0

    assert notifier.told_ids == [pairs[0][0].id, pairs[1][0].id, pairs[2][1].id]


async def test_a_refusal_is_a_dead_letter_and_loud(world: World) -> None:
    notifier = ScriptedNotifier()
    notifier.script.append(Refused(reason="refused", error="answered 404 no_service"))
    delivery = make_delivery()
    world.queue(delivery)

    with capture_logs() as lines:
        async with world.running(notifiers={"oncall": notifier}) as dispatch:
            assert await dispatch.drain(SOON) == 0

    assert world.row(delivery).state is DeliveryState.DEAD
    [loud] = [line for line in lines if line["log_level"] == "error"]
    assert (loud["event"], loud["error"]) == ("notice_undeliverable", "answered 404 no_service")


async def test_trouble_is_logged_once_and_its_end_once(world: World) -> None:
    notifier = ScriptedNotifier()
    notifier.script.extend([AGAIN] * 5)
    world.queue(make_delivery())

    with capture_logs() as lines:
        async with world.running(notifiers={"oncall": notifier}) as dispatch:
            await dispatch.drain(SOON)

    events = [line["event"] for line in lines if line["log_level"] in ("warning", "info")]
    assert events == ["notice_delayed", "notice_delivered_late"]


async def test_a_receiver_that_hangs_delays_no_other(world: World) -> None:
    hanging, working = ScriptedNotifier(gate=asyncio.Event()), ScriptedNotifier()
    world.queue(make_delivery(notifier="slow"), make_delivery(notifier="fast"))

    async with world.running(notifiers={"slow": hanging, "fast": working}):
        await world.until(lambda: bool(working.arrived))

    assert hanging.arrived == []


async def test_an_attempt_that_hangs_ends_at_the_deadline(world: World) -> None:
    notifier = ScriptedNotifier(gate=asyncio.Event())
    world.queue(make_delivery())

    async with world.running(
        notifiers={"oncall": notifier}, deadline=timedelta(milliseconds=20)
    ) as dispatch:
        await world.until(lambda: bool(world.receipts))
        assert notifier.gate is not None
        notifier.gate.set()
        assert await dispatch.drain(SOON) == 0

    assert world.receipts[0][1] == TryAgain(
        reason="timeout", error="the attempt did not end in time"
    )


async def test_what_was_in_flight_at_a_crash_is_sent_again_as_a_possible_repeat(
    world: World,
) -> None:
    notifier = ScriptedNotifier()
    world.queue(make_delivery(state=DeliveryState.INFLIGHT, attempts=1))

    async with world.running(notifiers={"oncall": notifier}) as dispatch:
        await dispatch.drain(SOON)

    assert [message.maybe_sent for message, _ in notifier.told] == [True]


async def test_stop_lets_the_attempt_under_way_end_and_starts_no_other(world: World) -> None:
    notifier = ScriptedNotifier(gate=asyncio.Event())
    first = make_delivery(queued_at=NOON)
    second = make_delivery(make_notice(incident="other"))
    world.queue(first, second)
    dispatch = world.make(notifiers={"oncall": notifier}, stop_grace=SOON)
    dispatch.start()
    await world.until(lambda: bool(notifier.told))

    stopping = asyncio.create_task(dispatch.stop())
    await asyncio.sleep(0)
    assert notifier.gate is not None
    notifier.gate.set()
    await stopping

    assert world.row(first).state is DeliveryState.DELIVERED
    assert world.row(second) == second
    assert len(notifier.told) == 1


async def test_stop_keeps_what_hangs_in_the_queue(world: World) -> None:
    delivery = make_delivery()
    world.queue(delivery)

    async with world.running(notifiers={"oncall": ScriptedNotifier(gate=asyncio.Event())}):
        await world.until(lambda: world.row(delivery).state is DeliveryState.INFLIGHT)

    row = world.stored[-1]
    assert (row.state, row.maybe_sent) == (DeliveryState.QUEUED, True)
    assert row.last_error == "the monitor stopped during the attempt"


async def test_stop_does_not_wait_for_one_that_will_not_be_cancelled(world: World) -> None:
    release = asyncio.Event()

    class Stubborn(ScriptedNotifier):
        async def deliver(self, delivery: Delivery, earlier: Earlier) -> Receipt:
            while not release.is_set():
                try:
                    await release.wait()
                except asyncio.CancelledError:
                    continue
            return Delivered()

    delivery = make_delivery()
    world.queue(delivery)
    async with world.running(notifiers={"oncall": Stubborn()}):
        await world.until(lambda: world.row(delivery).state is DeliveryState.INFLIGHT)

    assert world.row(delivery).pending
    release.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)


@pytest.mark.parametrize("breaks", ["raises", "hangs"])
async def test_people_are_told_although_the_store_is_broken(world: World, breaks: str) -> None:
    async def fail() -> None:
        if breaks == "hangs":
            await asyncio.Event().wait()
        raise OSError("No space left on device")

    world.store_fault = fail
    notifier = ScriptedNotifier()
    world.queue(make_delivery(), make_delivery(make_notice(incident="other")))

    with capture_logs() as lines:
        async with world.running(notifiers={"oncall": notifier}) as dispatch:
            assert await dispatch.drain(SOON) == 0

    assert len(notifier.arrived) == 2
    assert [line["event"] for line in lines if line["log_level"] == "error"] == [
        "telling_from_memory"
    ]


async def test_a_store_that_works_again_can_fail_anew_and_that_is_told(world: World) -> None:
    async def fail() -> None:
        raise OSError("disk")

    with capture_logs() as lines:
        async with world.running(notifiers={"oncall": ScriptedNotifier()}) as dispatch:
            for number, fault in enumerate([fail, None, fail]):
                world.store_fault = fault
                world.queue(make_delivery(make_notice(incident=f"i-{number}")))
                await dispatch.drain(SOON)

    assert [line["event"] for line in lines].count("telling_from_memory") == 2


async def test_a_store_that_recovers_while_two_rows_are_written_is_not_called_broken() -> None:
    works_again, hangs = asyncio.Event(), asyncio.Event()
    turns = iter((None, works_again, hangs))

    async def record(_changes: Changes) -> None:
        if (event := next(turns)) is None:
            raise OSError("disk")
        await event.wait()

    journal = Journal(Situation(), record, SOON)
    with capture_logs() as lines:
        await journal.write((make_delivery(),))
        await journal.write((make_delivery(),))
        works_again.set()
        await journal.write((make_delivery(),))
        hangs.set()
        await journal.close()

    assert [line["event"] for line in lines] == ["telling_from_memory"]


async def test_a_reload_keeps_the_worker_of_what_did_not_change(world: World) -> None:
    kept = ScriptedNotifier(gate=asyncio.Event())
    world.queue(make_delivery(notifier="kept"))

    async with world.running(notifiers={"kept": kept}) as dispatch:
        await world.until(lambda: bool(kept.told))
        await dispatch.replace({"kept": kept, "new": ScriptedNotifier()})
        assert kept.gate is not None
        kept.gate.set()
        assert await dispatch.drain(SOON) == 0

    assert len(kept.told) == 1


async def test_a_reload_hands_the_queue_to_the_changed_notifier(world: World) -> None:
    old, new = ScriptedNotifier(gate=asyncio.Event()), ScriptedNotifier()
    delivery = make_delivery()
    world.queue(delivery)

    async with world.running(notifiers={"oncall": old}) as dispatch:
        await world.until(lambda: bool(old.told))
        await dispatch.replace({"oncall": new})
        assert await dispatch.drain(SOON) == 0

    assert (len(old.arrived), ids(new.arrived)) == (0, [delivery.id])


async def test_what_is_queued_for_a_removed_notifier_stays_and_is_logged(world: World) -> None:
    delivery = make_delivery(notifier="gone")
    world.queue(delivery)

    with capture_logs() as lines:
        async with world.running(notifiers={"gone": ScriptedNotifier(then=UNTIL_LATER)}) as one:
            await world.until(lambda: bool(world.receipts))
            await one.replace({})
            assert await one.drain(SOON) == 0
        async with world.running(notifiers={}):
            pass

    assert world.row(delivery).pending
    orphans = [line for line in lines if line["event"] == "notices_without_notifier"]
    assert [(line["notifier"], line["undelivered"]) for line in orphans] == [("gone", 1)] * 2


async def test_before_the_start_nothing_is_told_and_a_reload_hires_nobody(world: World) -> None:
    notifier = ScriptedNotifier()
    world.queue(make_delivery())
    dispatch = world.make(notifiers={})

    await dispatch.replace({"oncall": notifier})

    assert await dispatch.drain(SOON) == 1
    assert notifier.told == []
    await dispatch.stop()


async def test_five_hundred_incidents_are_all_told_after_the_network_comes_back(
    world: World,
) -> None:
    notifier = ScriptedNotifier(
        then=TryAgain(reason="unreachable", error="no connection"), manner=Manner(digests=False)
    )
    pairs = [make_pair(f"i-{number}") for number in range(250)]
    world.queue(*(opened for opened, _ in pairs))

    async with world.running(notifiers={"oncall": notifier}) as dispatch:
        await world.until(lambda: len(world.receipts) >= 300)
        world.queue(*(resolved for _, resolved in pairs[:125]))
        notifier.then = Delivered()
        assert await dispatch.drain(timedelta(seconds=20)) == 0

    told: dict[str, list[str]] = {}
    for one in notifier.arrived:
        was = " and was" if one.notice.headline.startswith("shop was down from") else ""
        told.setdefault(one.notice.incident, []).append(f"{one.notice.event}{was}")
    assert len(told) == 250
    for number, (_, resolved) in enumerate(pairs):
        both = (["opened", "resolved"], ["resolved and was"])
        said = told[resolved.notice.incident]
        assert said in both if number < 125 else said == ["opened"]
