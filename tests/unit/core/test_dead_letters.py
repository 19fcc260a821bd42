"""Dead letters: which are queued again, in which order, and what is kept of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from monitor.core import outbox
from monitor.core.model.changes import Changes
from monitor.core.model.notice import DeliveryState, NoticeEvent
from monitor.core.situation import Situation
from tests.support.notices import NOON, make_delivery, make_notice, make_pair

if TYPE_CHECKING:
    from monitor.core.model.notice import Delivery


def knowing(*rows: Delivery) -> Situation:
    situation = Situation()
    situation.apply(Changes(deliveries=rows))

    return situation


def dead(row: Delivery) -> Delivery:
    return replace(row, state=DeliveryState.DEAD, attempts=3, last_error="answered 404")


def test_what_was_refused_is_queued_again_in_order_with_all_that_is_known_of_it() -> None:
    rows = [
        dead(make_delivery(make_notice(incident=f"i-{number}"), queued_at=NOON - after))
        for number, after in enumerate([timedelta(), timedelta(minutes=1)])
    ]
    foreign = dead(make_delivery(notifier="other"))

    found = outbox.requeue_dead("oncall", knowing(*rows, foreign))

    assert [row.notice.incident for row in found.rows] == ["i-1", "i-0"]
    assert {row.state for row in found.rows} == {DeliveryState.QUEUED}
    assert {(row.key, row.attempts) for row in found.rows} == {(row.key, 3) for row in rows}
    assert found.left == ()


def test_a_beginning_is_not_told_after_its_end() -> None:
    opened, resolved = make_pair()
    updated = make_delivery(make_notice(NoticeEvent.UPDATED, sequence=2))
    told = replace(updated, state=DeliveryState.DELIVERED)

    found = outbox.requeue_dead("oncall", knowing(dead(opened), told, dead(resolved)))

    assert [row.id for row in found.rows] == [resolved.id]
    assert [row.id for row in found.left] == [opened.id]


def test_a_beginning_that_was_refused_is_told_with_the_end_that_others_were_told_of() -> None:
    opened, _ = make_pair()
    theirs = make_pair(notifier="chat")[1]

    found = outbox.requeue_dead("oncall", knowing(dead(opened), theirs))

    assert [(row.notifier, row.notice.event) for row in found.rows] == [
        ("oncall", NoticeEvent.OPENED),
        ("oncall", NoticeEvent.RESOLVED),
    ]
    assert len({row.key for row in (*found.rows, theirs)}) == 3


def test_a_dead_letter_is_not_forgotten_for_all_that_is_told_later() -> None:
    letter = dead(make_delivery(make_notice(incident="old"), queued_at=NOON - timedelta(days=9)))
    situation = knowing(letter)
    for number in range(3_000):
        row = make_delivery(make_notice(incident=f"i-{number}"), state=DeliveryState.DELIVERED)
        situation.apply(Changes(deliveries=(row,)))

    assert len(situation.deliveries) < 3_000
    assert [row.id for row in outbox.requeue_dead("oncall", situation).rows] == [letter.id]


def test_dead_letters_are_bounded_the_newest_stay() -> None:
    situation = Situation()
    for number in range(4_000):
        at = NOON + timedelta(seconds=number)
        row = make_delivery(make_notice(incident=f"i-{number}"), queued_at=at)
        situation.apply(Changes(deliveries=(dead(row),)))

    kept = outbox.requeue_dead("oncall", situation).rows
    assert 1_000 <= len(kept) < 3_000
    assert kept[-1].notice.incident == "i-3999"
