"""Who is told instead where a receiver refuses or is silent: once, and never in a circle."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from monitor.core import outbox
from monitor.core.model.changes import Changes
from monitor.core.model.endpoint import Severity
from monitor.core.model.notice import DeliveryState, NoticeEvent
from monitor.core.model.service import Directory, Escalation, Route
from monitor.core.situation import Situation
from tests.support.notices import NOON, make_delivery, make_notice, make_pair, make_rollback

if TYPE_CHECKING:
    from monitor.core.model.notice import Delivery

NOTIFIERS = ("pager", "chat", "mail")
ROUTE = Route(name="route 1", notify=("pager",), fallback="chat")
LATER = NOON + timedelta(minutes=10)


def directory(*routes: Route) -> Directory:
    return Directory(services={}, notifiers=NOTIFIERS, routes=routes)


def knowing(*rows: Delivery) -> Situation:
    situation = Situation()
    situation.apply(Changes(deliveries=rows))

    return situation


def row(notifier: str = "pager", **parts: Any) -> Delivery:
    return make_delivery(notifier=notifier, **parts)


def dead(delivery: Delivery) -> Delivery:
    return replace(delivery, state=DeliveryState.DEAD)


def test_what_is_refused_goes_to_the_fallback_of_its_route_and_says_so() -> None:
    refused = dead(row())

    [instead] = outbox.stand_in([refused], directory(ROUTE), knowing(refused), LATER)

    assert (instead.notifier, instead.instead_of, instead.state) == (
        "chat",
        "pager",
        DeliveryState.QUEUED,
    )
    assert instead.notice.headline == f"{refused.notice.headline} (pager could not be told)"
    assert replace(instead.notice, headline="") == replace(refused.notice, headline="")
    assert instead.key == f"{refused.key}-instead"
    assert instead.queued_at == LATER


def test_where_the_rollback_stands_is_still_said_last() -> None:
    rollback = make_rollback("executing")
    headline = "shop answers 500; rollback from v42 to v41 under way"
    refused = dead(row(notice=make_notice(headline=headline, rollback=rollback)))

    [instead] = outbox.stand_in([refused], directory(ROUTE), knowing(refused), LATER)

    assert instead.notice.headline.startswith("shop answers 500")
    assert "pager could not be told" in instead.notice.headline


def test_it_is_told_once_whoever_asks_again() -> None:
    refused = dead(row())
    situation = knowing(refused)
    first = outbox.stand_in([refused], directory(ROUTE), situation, LATER)
    situation.apply(Changes(deliveries=first))
    assert outbox.stand_in([refused], directory(ROUTE), situation, LATER) == ()


@pytest.mark.parametrize("asked", ["the receiver again", "its fallback"])
def test_where_the_fallback_refuses_as_well_another_is_told_and_then_it_ends(asked: str) -> None:
    circle = directory(ROUTE, Route(name="route 2", notify=("chat",), fallback="pager", go_on=True))
    refused = dead(row())
    instead = [dead(one) for one in outbox.stand_in([refused], circle, knowing(refused), LATER)]
    situation = knowing(refused, *instead)
    again = [refused] if asked == "the receiver again" else instead

    [last] = outbox.stand_in(again, circle, situation, LATER)
    situation.apply(Changes(deliveries=(dead(last),)))

    assert last.notifier == "mail"
    assert last.id not in {refused.id, instead[0].id}
    for one in (refused, *instead, dead(last)):
        assert outbox.stand_in([one], circle, situation, LATER) == ()


def test_a_fallback_that_refuses_wakes_nobody_where_somebody_else_was_told() -> None:
    refused = dead(row())
    instead = dead(replace(row("chat", id="instead"), instead_of="pager"))
    told = row("mail", state=DeliveryState.DELIVERED)

    assert (
        outbox.stand_in([instead], directory(ROUTE), knowing(refused, instead, told), LATER) == ()
    )


def test_a_fallback_that_refused_long_ago_is_asked_again_where_the_receiver_is() -> None:
    instead = dead(replace(row("chat", id="shop-1/1/pager-instead"), instead_of="pager"))
    refused = dead(row(queued_at=LATER))

    [again] = outbox.stand_in([refused], directory(ROUTE), knowing(refused, instead), LATER)

    assert (again.notifier, again.id) == ("chat", instead.id)


def test_who_stands_in_for_one_that_is_gone_has_a_row_of_its_own() -> None:
    instead = replace(row("gone", id="shop-1/1/pager-instead"), instead_of="pager")
    refused = dead(row(queued_at=LATER))

    [again] = outbox.stand_in([refused], directory(ROUTE), knowing(refused, instead), LATER)

    assert (again.notifier, again.id) == ("chat", "shop-1/1/pager-instead-chat")


def test_the_route_of_the_severity_says_who_stands_in_and_an_escalation_has_one_too() -> None:
    routes = directory(
        Route(
            name="route 1",
            notify=("chat",),
            severities=frozenset({Severity.HIGH}),
            escalate=(Escalation(after=timedelta(minutes=5), notify=("pager",)),),
            fallback="mail",
        ),
        Route(name="route 2", notify=("pager",), fallback="chat"),
    )
    high, low = dead(row()), dead(row(notice=make_notice(severity=Severity.LOW)))

    named = [
        one.notifier
        for refused in (high, low)
        for one in outbox.stand_in([refused], routes, knowing(refused), LATER)
    ]

    assert named == ["mail", "chat"]


def test_without_a_fallback_another_is_told_where_nobody_else_was() -> None:
    refused = dead(row())
    lonely = directory(Route(name="route 1", notify=("pager",)))

    [instead] = outbox.stand_in([refused], lonely, knowing(refused), LATER)

    assert instead.notifier == "chat"
    assert outbox.stand_in([refused], directory(), knowing(refused, row("mail")), LATER) == ()


def test_if_all_refuse_each_is_tried_and_then_it_ends() -> None:
    rows = [dead(row(name)) for name in NOTIFIERS]

    assert outbox.stand_in([rows[0]], directory(), knowing(*rows), LATER) == ()
    [last] = outbox.stand_in([rows[0]], directory(), knowing(*rows[:2]), LATER)
    assert last.notifier == "mail"


def test_who_was_told_of_the_same_is_not_told_again() -> None:
    refused, told = dead(row()), row("chat", state=DeliveryState.DELIVERED)

    assert outbox.stand_in([refused], directory(ROUTE), knowing(refused, told), LATER) == ()


def test_the_end_goes_where_the_beginning_went() -> None:
    opened, resolved = make_pair(notifier="pager")
    situation = knowing(dead(opened), resolved)

    rows = outbox.stand_in([dead(opened)], directory(ROUTE), situation, LATER)

    assert [(one.notifier, one.notice.event) for one in rows] == [
        ("chat", NoticeEvent.OPENED),
        ("chat", NoticeEvent.RESOLVED),
    ]


@pytest.mark.parametrize(("age", "count"), [(59, 0), (60, 1), (3_600, 1)])
def test_after_a_minute_of_silence_the_fallback_is_told_as_well(age: int, count: int) -> None:
    waiting = row()
    situation = knowing(waiting)
    now = waiting.queued_at + timedelta(seconds=age)

    rows = outbox.stand_in_late("pager", directory(ROUTE), situation, now)

    assert len(rows) == count
    if count:
        assert rows[0].notice.headline.endswith("(pager could not be told so far)")
        situation.apply(Changes(deliveries=rows))
        assert outbox.stand_in_late("pager", directory(ROUTE), situation, now) == ()
        assert outbox.stand_in_late("chat", directory(ROUTE), situation, LATER) == ()


def test_silence_alone_takes_nothing_to_whom_no_route_names() -> None:
    alone = directory(Route(name="route 1", notify=("pager",)))

    assert outbox.stand_in_late("pager", alone, knowing(row()), LATER) == ()


def test_a_late_end_is_worth_telling_to_who_knows_the_beginning() -> None:
    opened, resolved = make_pair(notifier="pager")
    told = replace(opened, state=DeliveryState.DELIVERED)
    instead = replace(opened, id="instead", notifier="chat", instead_of="pager")

    def late(*rows: Delivery) -> list[NoticeEvent]:
        found = outbox.stand_in_late("pager", directory(ROUTE), knowing(*rows), LATER)
        return [one.notice.event for one in found]

    assert late(told, resolved) == []
    assert late(told, resolved, instead) == [NoticeEvent.RESOLVED]
    assert late(opened, resolved) == [NoticeEvent.OPENED, NoticeEvent.RESOLVED]


@pytest.mark.parametrize("event", [NoticeEvent.ACKNOWLEDGED, NoticeEvent.TEST])
def test_an_acknowledgement_or_a_test_goes_to_nobody_else(event: NoticeEvent) -> None:
    said = row(notice=make_notice(event))

    assert outbox.stand_in([dead(said)], directory(ROUTE), knowing(dead(said)), LATER) == ()
    assert outbox.stand_in_late("pager", directory(ROUTE), knowing(said), LATER) == ()
