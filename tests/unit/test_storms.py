"""The outbox workers in storms and long outages, over hours of simulated time."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from monitor.core.model.changes import Changes
from monitor.core.model.endpoint import Severity
from monitor.core.model.notice import (
    Delivered,
    DeliveryState,
    NoticeEvent,
    Refused,
    TryAgain,
)
from monitor.core.model.service import Directory, Route
from monitor.core.situation import Situation
from monitor.dispatch import Dispatch
from monitor.notifiers.notifier import Manner
from tests.support.logs import capture_logs
from tests.support.notices import ScriptedNotifier, make_delivery, make_notice, make_rollback
from tests.support.simulated import SimulatedLoop, simulate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from monitor.core.model.notice import Delivery, Earlier, Receipt

MANY = int(os.environ.get("STORM", "500"))
"""How many incidents begin in one second; 10000 takes some seconds."""

DOWN = TryAgain(reason="unreachable", error="no connection")
LOST = TryAgain(reason="timeout", error="too late")
SLACK = Manner(digests=True, every=timedelta(seconds=1), burst=3)
PAGER = Manner(digests=True, every=timedelta(milliseconds=500), burst=5, tracks=True)
MACHINE = Manner(digests=False)


class Receiver(ScriptedNotifier):
    """Notes when each message arrived, and may be away for a while."""

    def __init__(self, loop: SimulatedLoop, manner: Manner, away: Receipt | None = None) -> None:
        super().__init__(manner=manner)
        self.loop = loop
        self.away = away
        self.attempts: list[float] = []
        self.times: list[float] = []

    async def deliver(self, delivery: Delivery, earlier: Earlier) -> Receipt:
        self.attempts.append(self.loop.time())
        if self.away is not None:
            self.script.append(self.away)
        receipt = await super().deliver(delivery, earlier)
        if self.arrived and self.arrived[-1] is delivery:
            self.times.append(self.loop.time())

        return receipt

    def lines(self) -> list[tuple[str, NoticeEvent, bool]]:
        """Give what it was told, message for message: the incident, what of it, and if it ended."""
        told = []
        for message in self.arrived:
            lines = message.notice.lines or (message.notice,)
            told += [(one.incident, one.event, one.resolved_at is not None) for one in lines]

        return told


class Stage:
    """A dispatch in simulated time, with what it was given to tell."""

    def __init__(
        self, loop: SimulatedLoop, receivers: Mapping[str, Receiver], routes: Iterable[Route] = ()
    ) -> None:
        self.loop = loop
        self.receivers = receivers
        self.situation = Situation()
        self.commits: list[tuple[Delivery, ...]] = []
        self.dispatch = Dispatch(
            notifiers=receivers,
            situation=self.situation,
            record=self._record,
            clock=loop.wall,
            on_receipt=lambda _delivery, _receipt: None,
            rng=Random(7).random,
            directory=lambda: Directory(
                services={}, notifiers=tuple(receivers), routes=tuple(routes)
            ),
        )

    async def _record(self, changes: Changes) -> None:
        self.commits.append(changes.deliveries)

    def tell(self, incident: str, event: NoticeEvent, *names: str, **parts: Any) -> None:
        """Queue a notice for these receivers, or for all."""
        now = self.loop.wall()
        number = len(self.situation.deliveries_of(incident)) + 1
        over = now if event is NoticeEvent.RESOLVED else None
        notice = make_notice(
            event,
            incident=incident,
            service=incident,
            sequence=number,
            **{"at": now, "resolved_at": over, **parts},
        )
        rows = tuple(make_delivery(notice, notifier=name) for name in names or self.receivers)
        self.situation.apply(Changes(deliveries=rows))
        self.dispatch.wake()

    @property
    def pending(self) -> int:
        return sum(row.pending for row in self.situation.deliveries.values())

    async def until_told(self, longest: timedelta) -> None:
        end = self.loop.time() + longest.total_seconds()
        while self.pending and self.loop.time() < end:
            await asyncio.sleep(1)


def assert_paced(receiver: Receiver) -> None:
    """No span of time saw more attempts than the burst and what came back in it."""
    times, manner = receiver.attempts, receiver.manner
    every, burst = manner.every.total_seconds(), manner.burst
    for first in range(len(times)):
        last = first + burst
        if last < len(times):
            assert times[last] - times[first] >= every - 1e-6


@pytest.mark.parametrize(
    ("away", "count"), [(DOWN, 500), (LOST, 200)], ids=["no connection", "no answer"]
)
def test_after_an_hour_without_receivers_all_changes_are_told_in_order_with_their_times(
    away: TryAgain, count: int
) -> None:
    random = Random(7)
    changes: list[tuple[str, NoticeEvent]] = []

    async def story(loop: SimulatedLoop) -> Stage:
        stage = Stage(
            loop,
            {
                "slack": Receiver(loop, SLACK, away),
                "pager": Receiver(loop, PAGER, away),
                "machine": Receiver(loop, MACHINE, away),
            },
        )
        stage.dispatch.start()
        going: list[str] = []
        for number in range(count):
            await asyncio.sleep(3_600 / count)
            if going and random.random() < 0.45:
                change = (going.pop(random.randrange(len(going))), NoticeEvent.RESOLVED)
            else:
                change = (f"i-{number}", NoticeEvent.OPENED)
                going.append(change[0])
            changes.append(change)
            stage.tell(*change)
        for receiver in stage.receivers.values():
            receiver.away = None
        await stage.until_told(timedelta(minutes=30))
        await stage.dispatch.stop()

        return stage

    stage = simulate(story)

    assert stage.pending == 0
    for receiver in stage.receivers.values():
        told = receiver.lines()
        ended = [incident for incident, event in changes if event is NoticeEvent.RESOLVED]
        assert {incident for incident, _, over in told if over} == set(ended)
        assert {incident for incident, _, _ in told} == {incident for incident, _ in changes}
        for incident in {incident for incident, _ in changes}:
            said = [event for name, event, _ in told if name == incident]
            assert len(said) == len(set(said))
            assert said in (
                [NoticeEvent.OPENED],
                [NoticeEvent.RESOLVED],
                [NoticeEvent.OPENED, NoticeEvent.RESOLVED],
            )
        assert_paced(receiver)
    slack = stage.receivers["slack"].arrived
    assert len(slack) < 80
    assert len({line.at for message in slack for line in message.notice.lines}) > 0.4 * count


def test_thousands_of_incidents_in_a_second_are_told_within_the_pace_and_none_is_lost() -> None:
    async def story(loop: SimulatedLoop) -> Stage:
        stage = Stage(
            loop,
            {
                "slack": Receiver(loop, SLACK),
                "pager": Receiver(loop, PAGER),
                "mail": Receiver(loop, Manner(digests=True)),
                "machine": Receiver(loop, MACHINE),
            },
        )
        stage.dispatch.start()
        for number in range(MANY):
            stage.tell(f"i-{number}", NoticeEvent.OPENED)
            await asyncio.sleep(1 / MANY)
        await stage.until_told(timedelta(minutes=5))
        await stage.dispatch.stop()

        return stage

    stage = simulate(story)

    assert stage.pending == 0
    for name, receiver in stage.receivers.items():
        assert len(receiver.lines()) == MANY
        assert len({incident for incident, _, _ in receiver.lines()}) == MANY
        assert_paced(receiver)
        if name != "machine":
            assert len(receiver.arrived) < 15
        assert max(receiver.times) < 60
    assert stage.receivers["mail"].times[0] < 1


def test_in_a_storm_that_goes_on_there_is_a_message_every_ten_seconds() -> None:
    async def story(loop: SimulatedLoop) -> Receiver:
        mail = Receiver(loop, Manner(digests=True))
        stage = Stage(loop, {"mail": mail})
        stage.dispatch.start()
        for number in range(200):
            stage.tell(f"i-{number}", NoticeEvent.OPENED)
            await asyncio.sleep(0.3)
        await stage.until_told(timedelta(minutes=1))
        await stage.dispatch.stop()

        return mail

    mail = simulate(story)

    single = [one for one in mail.arrived if not one.notice.lines]
    digests = [one for one in mail.arrived if one.notice.lines]
    assert len(single) == 9
    assert 5 <= len(digests) <= 7
    assert sum(len(one.notice.lines) for one in digests) == 191


def test_what_is_worst_is_told_first_and_before_it_what_somebody_has_to_press() -> None:
    async def story(loop: SimulatedLoop) -> list[str]:
        paced = Manner(every=timedelta(seconds=1), digests=False)
        pager = Receiver(loop, paced)
        stage = Stage(loop, {"pager": pager})
        approval = replace(make_rollback("blocked"), approvable=True)
        stage.tell("low", NoticeEvent.OPENED, severity=Severity.LOW)
        stage.tell("high", NoticeEvent.OPENED)
        stage.tell("approve", NoticeEvent.OPENED, severity=Severity.LOW, rollback=approval)
        stage.tell("critical", NoticeEvent.OPENED, severity=Severity.CRITICAL)
        stage.dispatch.start()
        await stage.until_told(timedelta(minutes=1))
        await stage.dispatch.stop()

        return [one.notice.incident for one in pager.arrived]

    assert simulate(story) == ["approve", "critical", "high", "low"]


def test_what_begins_waits_for_no_end_of_the_storm_before() -> None:
    async def story(loop: SimulatedLoop) -> tuple[Stage, float]:
        stage = Stage(loop, {"pager": Receiver(loop, PAGER)})
        stage.dispatch.start()
        for event in (NoticeEvent.OPENED, NoticeEvent.RESOLVED):
            for number in range(200):
                stage.tell(f"i-{number}", event)
            await asyncio.sleep(20)
        began = loop.time()
        stage.tell("new", NoticeEvent.OPENED)
        await stage.until_told(timedelta(minutes=5))
        await stage.dispatch.stop()

        return stage, began

    stage, began = simulate(story)

    pager = stage.receivers["pager"]
    told = {one.notice.incident: at for one, at in zip(pager.arrived, pager.times, strict=True)}
    assert stage.pending == 0
    assert max(pager.times) > began + 60
    assert told["new"] < began + 15


def test_a_restart_gives_a_receiver_no_fresh_burst() -> None:
    async def story(loop: SimulatedLoop) -> list[float]:
        slack = Receiver(loop, SLACK)
        before = Stage(loop, {"slack": slack})
        before.dispatch.start()
        for number in range(3):
            before.tell(f"i-{number}", NoticeEvent.OPENED)
        await asyncio.sleep(0.1)
        await before.dispatch.stop()

        after = Stage(loop, {"slack": slack})
        after.situation.apply(before.situation.everything())
        for number in range(3, 6):
            after.tell(f"i-{number}", NoticeEvent.OPENED)
        after.dispatch.start()
        await after.until_told(timedelta(minutes=1))
        await after.dispatch.stop()

        return slack.times

    assert simulate(story) == pytest.approx([0, 0, 0, 1, 2, 3])


def test_draining_gathers_nothing() -> None:
    async def story(loop: SimulatedLoop) -> float:
        stage = Stage(loop, {"mail": Receiver(loop, Manner(digests=True))})
        stage.dispatch.start()
        for number in range(20):
            stage.tell(f"i-{number}", NoticeEvent.OPENED)
            await asyncio.sleep(0.1)
        assert await stage.dispatch.drain(timedelta(seconds=5)) == 0
        await stage.dispatch.stop()
        assert len(stage.receivers["mail"].arrived) == 10

        return loop.time()

    assert simulate(story) < 3


def test_a_refused_notice_is_told_by_the_fallback_within_the_same_commit() -> None:
    async def story(loop: SimulatedLoop) -> Stage:
        routes = [Route(name="route 1", notify=("pager",), fallback="slack")]
        refused = Refused(reason="refused", error="invalid routing key")
        receivers = {"pager": Receiver(loop, PAGER, refused), "slack": Receiver(loop, SLACK)}
        stage = Stage(loop, receivers, routes)
        stage.dispatch.start()
        stage.tell("i-1", NoticeEvent.OPENED, "pager")
        await stage.until_told(timedelta(seconds=30))
        await stage.dispatch.stop()

        return stage

    stage = simulate(story)

    [told] = stage.receivers["slack"].arrived
    assert told.notice.headline.endswith("(pager could not be told)")
    assert stage.loop.time() < 3
    [both] = [rows for rows in stage.commits if any(row.instead_of for row in rows)][:1]
    assert {row.state for row in both} == {DeliveryState.DEAD, DeliveryState.QUEUED}


def test_a_receiver_that_is_silent_for_a_minute_has_its_fallback_told_and_then_it_is_loud() -> None:
    async def story(loop: SimulatedLoop) -> tuple[Stage, list[int]]:
        routes = [Route(name="route 1", notify=("pager",), fallback="slack")]
        receivers = {"pager": Receiver(loop, PAGER, DOWN), "slack": Receiver(loop, SLACK)}
        stage = Stage(loop, receivers, routes)
        stage.dispatch.start()
        stage.tell("i-1", NoticeEvent.OPENED, "pager")
        await asyncio.sleep(290)
        loud = [len(logged())]
        await asyncio.sleep(30)
        loud.append(len(logged()))
        stage.receivers["pager"].away = None
        await stage.until_told(timedelta(minutes=10))
        await asyncio.sleep(10)
        await stage.dispatch.stop()

        return stage, loud

    with capture_logs() as lines:

        def logged() -> list[object]:
            return [line for line in lines if line["event"] == "notices_undelivered"]

        stage, loud = simulate(story)

    pager, slack = stage.receivers["pager"], stage.receivers["slack"]
    assert [one.instead_of for one in slack.arrived] == ["pager"]
    assert 60 <= slack.times[0] <= 66
    assert [one.notice.event for one in pager.arrived] == [NoticeEvent.OPENED]
    assert loud == [0, 1]
    assert [line["event"] for line in lines].count("notices_delivered_again") == 1


def test_whoever_asks_for_a_day_is_left_alone_for_an_hour_while_the_fallback_is_told() -> None:
    asks = TryAgain(reason="rate_limited", error="answered 429", after=timedelta(days=1))

    async def story(loop: SimulatedLoop) -> Stage:
        routes = [Route(name="route 1", notify=("pager",), fallback="slack")]
        receivers = {"pager": Receiver(loop, PAGER, asks), "slack": Receiver(loop, SLACK)}
        stage = Stage(loop, receivers, routes)
        stage.dispatch.start()
        stage.tell("i-1", NoticeEvent.OPENED, "pager")
        await asyncio.sleep(10)
        stage.receivers["pager"].away = None
        stage.tell("i-2", NoticeEvent.OPENED, "pager")
        await stage.until_told(timedelta(hours=2))
        await stage.dispatch.stop()

        return stage

    stage = simulate(story)

    pager, slack = stage.receivers["pager"], stage.receivers["slack"]
    assert [one.instead_of for one in slack.arrived] == ["pager", "pager"]
    assert all(60 <= at <= 80 for at in slack.times)
    assert [round(at) for at in pager.attempts[:2]] == [0, 3_600]
    assert {incident for incident, _, _ in pager.lines()} == {"i-1", "i-2"}


def test_a_receiver_that_fails_for_an_hour_is_tried_seldom_and_told_once_and_in_order() -> None:
    fails = TryAgain(reason="server_error", error="answered 503")

    async def story(loop: SimulatedLoop) -> Stage:
        stage = Stage(loop, {"machine": Receiver(loop, MACHINE, fails)})
        stage.dispatch.start()
        stage.tell("i-1", NoticeEvent.OPENED)
        stage.tell("i-1", NoticeEvent.ACKNOWLEDGED)
        await asyncio.sleep(3_600)
        stage.receivers["machine"].away = None
        await stage.until_told(timedelta(minutes=10))
        await stage.dispatch.stop()

        return stage

    stage = simulate(story)

    [machine] = stage.receivers.values()
    steps = [later - at for at, later in pairwise(machine.attempts)]
    assert [event for _, event, _ in machine.lines()] == [
        NoticeEvent.OPENED,
        NoticeEvent.ACKNOWLEDGED,
    ]
    assert 12 < len(machine.attempts) < 60
    assert all(step <= min(2**number, 300) + 1 for number, step in enumerate(steps[:-1]))


class Asked(Receiver):
    """Says whether it has a message; what it takes may be lost on the way back."""

    def __init__(self, loop: SimulatedLoop, *, loses: bool, answers: bool = True) -> None:
        super().__init__(loop, SLACK)
        self.loses = loses
        self.answers = answers
        self.has: dict[str, str] = {}
        self.asked = 0

    async def deliver(self, delivery: Delivery, earlier: Earlier) -> Receipt:
        receipt = await super().deliver(delivery, earlier)
        if len(self.attempts) > 1:
            return receipt
        if not self.loses:
            self.has[delivery.key] = "c:7"

        return LOST

    async def find(self, delivery: Delivery, earlier: Earlier) -> Delivered | None:
        self.asked += 1
        if not self.answers:
            await asyncio.Event().wait()
        found = self.has.get(delivery.key)

        return Delivered(reference=found) if found else None


@pytest.mark.parametrize(
    ("loses", "answers", "posts"), [(False, True, 1), (True, True, 2), (True, False, 2)]
)
def test_who_can_be_asked_is_asked_before_a_message_is_sent_again(
    loses: bool, answers: bool, posts: int
) -> None:
    async def story(loop: SimulatedLoop) -> Stage:
        stage = Stage(loop, {"slack": Asked(loop, loses=loses, answers=answers)})
        stage.dispatch.start()
        stage.tell("i-1", NoticeEvent.OPENED)
        await stage.until_told(timedelta(minutes=2))
        await stage.dispatch.stop()

        return stage

    stage = simulate(story)

    slack = stage.receivers["slack"]
    assert isinstance(slack, Asked)
    [row] = stage.situation.deliveries.values()
    assert (row.state, len(slack.attempts), slack.asked) == (DeliveryState.DELIVERED, posts, 1)
    assert row.reference == ("c:7" if not loses else "ref-2")


def test_a_beginning_that_may_have_arrived_is_looked_for_before_its_end_is_told() -> None:
    async def story(loop: SimulatedLoop) -> Stage:
        stage = Stage(loop, {"slack": Asked(loop, loses=False)})
        stage.dispatch.start()
        stage.tell("i-1", NoticeEvent.OPENED)
        await asyncio.sleep(0.01)
        stage.tell("i-1", NoticeEvent.RESOLVED)
        await stage.until_told(timedelta(minutes=2))
        await stage.dispatch.stop()

        return stage

    slack = simulate(story).receivers["slack"]

    assert [(one.notice.event, earlier.reference) for one, earlier in slack.told] == [
        (NoticeEvent.OPENED, None),
        (NoticeEvent.RESOLVED, "c:7"),
    ]
