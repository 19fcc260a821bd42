"""How outbox rows go on: order, telling together, back-off, and what is never lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core import outbox
from monitor.core.model.changes import Changes
from monitor.core.model.endpoint import Severity
from monitor.core.model.incident import IncidentClass
from monitor.core.model.notice import (
    Delivered,
    DeliveryState,
    Earlier,
    NoticeEvent,
    Refused,
    TryAgain,
)
from monitor.core.outbox import Why
from monitor.core.situation import Situation
from tests.support.notices import NOON, make_delivery, make_notice, make_pair, make_rollback

if TYPE_CHECKING:
    from monitor.core.model.notice import Delivery, Receipt


def knowing(*rows: Delivery) -> Situation:
    situation = Situation()
    situation.apply(Changes(deliveries=rows))

    return situation


def test_only_the_oldest_notice_of_an_incident_is_next() -> None:
    opened = make_delivery(make_notice(sequence=1))
    updated = make_delivery(make_notice(NoticeEvent.UPDATED, sequence=2))
    other = make_delivery(make_notice(incident="api-1"))

    errands = outbox.plan_errands([opened, updated, other])

    assert [errand.message.id for errand in errands] == [opened.id, other.id]
    assert all(errand.covers == () for errand in errands)


def test_an_open_that_was_never_delivered_is_told_together_with_its_end() -> None:
    opened, resolved = make_pair()
    updated = make_delivery(make_notice(NoticeEvent.UPDATED, sequence=2))

    [errand] = outbox.plan_errands([opened, updated, resolved])

    assert errand.row == resolved
    assert errand.covers == (opened, updated)
    assert errand.message.key == resolved.key
    assert errand.message.notice.event is NoticeEvent.RESOLVED
    assert errand.message.notice.headline == (
        "shop was down from 2026-07-01 12:00:00 UTC to 2026-07-01 12:03:00 UTC: "
        "shop answers 500, expected 2xx, for 2 min (api.health, 5 times in a row). "
        "It is over: shop has recovered after 3 min (api.health)"
    )


def test_what_was_under_way_at_the_beginning_is_not_told_with_the_end() -> None:
    opened, resolved = make_pair()
    headline = f"{opened.notice.headline}; rollback from v42 to v41 under way"
    began = replace(opened.notice, headline=headline, rollback=make_rollback("executing"))

    [errand] = outbox.plan_errands([replace(opened, notice=began), resolved])

    assert "under way" not in errand.message.notice.headline
    assert f"{opened.notice.headline}. It is over" in errand.message.notice.headline


@pytest.mark.parametrize(
    ("state", "together"), [("uncertain", False), ("failed", False), ("blocked", True)]
)
def test_the_end_of_a_rollback_is_not_lost_in_that_of_the_next(state: str, together: bool) -> None:
    opened, resolved = make_pair()
    earlier = make_notice(
        NoticeEvent.ROLLBACK, sequence=2, rollback=replace(make_rollback(state), id="rb-0")
    )
    over = replace(resolved, notice=replace(resolved.notice, rollback=make_rollback()))

    [errand] = outbox.plan_errands([opened, make_delivery(earlier), over])

    assert errand.row == (over if together else opened)


def test_an_open_that_was_delivered_is_followed_by_its_end_alone() -> None:
    _, resolved = make_pair()

    [errand] = outbox.plan_errands([resolved])

    assert errand.message == resolved


def test_what_is_told_after_the_open_keeps_its_order() -> None:
    updated = make_delivery(make_notice(NoticeEvent.UPDATED, sequence=2))
    _, resolved = make_pair()

    [errand] = outbox.plan_errands([updated, resolved])

    assert (errand.row, errand.covers) == (updated, ())


@pytest.mark.parametrize(
    ("klass", "said"),
    [
        (IncidentClass.OUTAGE, "shop was down from"),
        (IncidentClass.FINDING, "shop needed attention from"),
        (IncidentClass.MONITOR, "the monitor's checks could not be judged from"),
    ],
)
def test_both_are_told_in_the_words_of_their_class(klass: IncidentClass, said: str) -> None:
    event = NoticeEvent.BLIND if klass is IncidentClass.MONITOR else NoticeEvent.OPENED
    opened = make_delivery(make_notice(event, klass=klass, severity=Severity.CRITICAL))
    resolved = make_delivery(make_notice(NoticeEvent.RESOLVED, klass=klass))

    [errand] = outbox.plan_errands([opened, resolved])

    assert errand.message.notice.headline.startswith(said)
    assert errand.message.notice.severity is Severity.CRITICAL


def test_delivering_both_settles_both() -> None:
    opened, resolved = make_pair()
    [errand] = outbox.plan_errands([opened, resolved])

    first, last = outbox.settle(outbox.begin(errand), Delivered(reference="c:1"), NOON, jitter=0.5)

    assert (first.id, first.state) == (opened.id, DeliveryState.DELIVERED)
    assert first.last_error == f"told together with {resolved.id}"
    assert first.reference is None
    assert (last.state, last.reference, last.attempts) == (DeliveryState.DELIVERED, "c:1", 1)


def test_a_refusal_buries_both_and_a_trouble_neither() -> None:
    opened, resolved = make_pair()
    errand = outbox.begin(outbox.plan_errands([opened, resolved])[0])

    refused = outbox.settle(errand, Refused(reason="refused", error="no"), NOON, jitter=0)
    again = outbox.settle(errand, TryAgain(reason="timeout", error="late"), NOON, jitter=0)

    assert [row.state for row in refused] == [DeliveryState.DEAD, DeliveryState.DEAD]
    assert [(row.id, row.state) for row in again] == [(resolved.id, DeliveryState.QUEUED)]


def test_beginning_counts_the_attempt() -> None:
    errand = outbox.begin(outbox.plan_errands([make_delivery()])[0])

    assert (errand.row.state, errand.row.attempts) == (DeliveryState.INFLIGHT, 1)


@pytest.mark.parametrize(
    ("reason", "maybe"),
    [
        (Why.TIMEOUT, True),
        (Why.CONNECTION_LOST, True),
        (Why.SERVER_ERROR, True),
        (Why.STOPPED, True),
        (Why.INTERNAL, True),
        (Why.UNREACHABLE, False),
        (Why.TLS, False),
        (Why.RATE_LIMITED, False),
    ],
)
def test_only_what_may_have_arrived_is_marked_as_a_possible_repeat(
    reason: Why, maybe: bool
) -> None:
    errand = outbox.begin(outbox.plan_errands([make_delivery()])[0])

    [row] = outbox.settle(errand, TryAgain(reason=reason, error="x"), NOON, jitter=0)

    assert row.maybe_sent is maybe


def test_once_a_possible_repeat_it_stays_one() -> None:
    errand = outbox.begin(outbox.plan_errands([make_delivery(maybe_sent=True)])[0])

    [row] = outbox.settle(errand, TryAgain(reason="unreachable", error="x"), NOON, jitter=0)

    assert row.maybe_sent


def test_an_attempt_that_was_stopped_is_due_at_once() -> None:
    errand = outbox.begin(outbox.plan_errands([make_delivery(attempts=9)])[0])

    [row] = outbox.settle(errand, TryAgain(reason=Why.STOPPED, error="x"), NOON, jitter=1)

    assert row.not_before == NOON


@pytest.mark.parametrize(
    ("attempts", "longest"), [(1, 1), (2, 2), (3, 4), (8, 128), (9, 256), (10, 300), (10**6, 300)]
)
def test_the_back_off_doubles_from_a_second_to_five_minutes(attempts: int, longest: int) -> None:
    assert outbox.back_off(attempts, jitter=1.0) == timedelta(seconds=longest)
    assert outbox.back_off(attempts, jitter=0.0) == timedelta()


@given(attempts=st.integers(0, 10_000), jitter=st.floats(0, 1))
def test_the_back_off_is_never_longer_than_five_minutes(attempts: int, jitter: float) -> None:
    assert timedelta() <= outbox.back_off(attempts, jitter=jitter) <= timedelta(minutes=5)


@pytest.mark.parametrize(
    ("wish", "seconds"),
    [
        (timedelta(seconds=30), 30),
        (timedelta(), 1),
        (timedelta(seconds=-3), 1),
        (timedelta(days=1), 3_600),
        (timedelta.max, 3_600),
    ],
)
def test_what_a_receiver_wishes_is_the_least_it_gets_within_an_hour(
    wish: timedelta, seconds: int
) -> None:
    errand = outbox.begin(outbox.plan_errands([make_delivery()])[0])
    receipt = TryAgain(reason="rate_limited", error="slow down", after=wish)

    [row] = outbox.settle(errand, receipt, NOON, jitter=1.0)

    assert row.not_before == NOON + timedelta(seconds=seconds)
    assert outbox.hold_until([row, make_delivery()]) == row.not_before


def test_an_ordinary_back_off_holds_nobody_else() -> None:
    errand = outbox.begin(outbox.plan_errands([make_delivery()])[0])

    [row] = outbox.settle(errand, TryAgain(reason="timeout", error="x"), NOON, jitter=1.0)

    assert outbox.hold_until([row]) is None


def test_what_was_in_flight_at_a_crash_is_queued_again_as_a_possible_repeat() -> None:
    flying = make_delivery(state=DeliveryState.INFLIGHT, attempts=2)

    [row] = outbox.take_up([flying, make_delivery(id="queued")], NOON)

    assert (row.state, row.maybe_sent, row.attempts) == (DeliveryState.QUEUED, True, 2)


def test_a_clock_that_was_set_back_between_two_processes_delays_no_notice_for_long() -> None:
    tomorrow = NOON + timedelta(days=1)
    failed = make_delivery(id="failed", not_before=tomorrow, attempts=3)
    often = make_delivery(id="often", not_before=tomorrow, attempts=30)
    asked = make_delivery(id="asked", not_before=tomorrow, asked_to_wait=True)
    soon = make_delivery(id="soon", not_before=NOON + timedelta(seconds=4), attempts=4)
    taken = outbox.take_up([failed, often, asked, soon], NOON)

    assert [(row.id, row.not_before) for row in taken] == [
        ("failed", NOON + timedelta(seconds=4)),
        ("often", NOON + outbox.LONGEST_WAIT),
        ("asked", NOON + outbox.LONGEST_WISH),
    ]


def test_the_thread_is_where_the_newest_told_notice_is() -> None:
    told = make_delivery(state=DeliveryState.DELIVERED, reference="c:1")
    moved = replace(
        make_delivery(make_notice(NoticeEvent.UPDATED, sequence=2), reference="c:2"),
        state=DeliveryState.DELIVERED,
    )
    foreign = make_delivery(notifier="other", reference="c:9")
    another = make_delivery(make_notice(incident="api-1", sequence=5), reference="c:8")
    [errand] = outbox.plan_errands([make_delivery(make_notice(NoticeEvent.RESOLVED))])

    assert outbox.find_earlier(knowing(moved, told, foreign, another), errand).reference == "c:2"
    assert outbox.find_earlier(knowing(foreign, another), errand) == Earlier()


def test_the_latest_wait_of_all_rows_counts() -> None:
    opened, resolved = make_pair()
    later = NOON + timedelta(minutes=5)

    [errand] = outbox.plan_errands([replace(opened, not_before=later), resolved])

    assert errand.not_before == later


events = st.sampled_from(
    [NoticeEvent.OPENED, NoticeEvent.UPDATED, NoticeEvent.ROLLBACK, NoticeEvent.RESOLVED]
)


@given(
    queue=st.lists(st.tuples(st.integers(0, 3), events), max_size=12),
    receipts=st.lists(st.sampled_from(["ok", "again", "no"]), max_size=40),
)
def test_nothing_is_lost_and_no_incident_is_told_out_of_order(
    queue: list[tuple[int, NoticeEvent]], receipts: list[str]
) -> None:
    rows = {
        row.id: row
        for number, (incident, event) in enumerate(queue)
        for row in [
            make_delivery(
                make_notice(event, incident=f"i-{incident}", sequence=number),
                queued_at=NOON + timedelta(seconds=number),
            )
        ]
    }
    meaning: dict[str, Receipt] = {
        "ok": Delivered(),
        "again": TryAgain(reason="timeout", error="x"),
        "no": Refused(reason="refused", error="x"),
    }
    told: list[tuple[str, int]] = []
    for said in [*receipts, *["ok"] * len(rows)]:
        pending = [row for row in rows.values() if row.pending]
        if not pending:
            break
        errand = outbox.begin(outbox.plan_errands(pending)[0])
        settled = outbox.settle(errand, meaning[said], NOON, jitter=0)
        rows.update({row.id: row for row in settled})
        if said == "ok":
            told.extend((row.notice.incident, row.notice.sequence) for row in errand.rows)

    assert all(not row.pending for row in rows.values())
    assert len(told) == len(set(told))
    for incident in {incident for incident, _ in told}:
        order = [sequence for named, sequence in told if named == incident]
        assert order == sorted(order)
