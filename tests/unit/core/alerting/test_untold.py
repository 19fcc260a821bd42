"""What reached nobody who is there still is told by the routes of now, when those change."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from monitor.core import outbox
from monitor.core.model.changes import Changes
from monitor.core.model.endpoint import Severity
from monitor.core.model.notice import DeliveryState
from tests.support.attending import Watch, make_route

if TYPE_CHECKING:
    from tests.support.attending import Told

DELIVERED, DEAD, QUEUED = DeliveryState.DELIVERED, DeliveryState.DEAD, DeliveryState.QUEUED


def watch_a_failure(**states: DeliveryState) -> Watch:
    """Let something fail, and leave what was queued for each notifier in a state."""
    watch = Watch(notifiers=tuple(states))
    watch.fail()
    settle(watch, **states)

    return watch


def settle(watch: Watch, **states: DeliveryState) -> None:
    rows = [
        replace(row, state=states[row.notifier])
        for row in watch.situation.deliveries.values()
        if row.notifier in states
    ]
    watch.situation.apply(Changes(deliveries=tuple(rows)))


def reload(watch: Watch, *notifiers: str) -> list[Told]:
    """Take over other notifiers; give what is told thereby."""
    before = len(watch.heard)
    watch.seconds += 60
    watch.directory = replace(watch.directory, notifiers=notifiers)
    watch.restart()

    return watch.heard[before:]


@pytest.mark.parametrize("state", [QUEUED, DEAD])
def test_who_takes_the_place_of_one_that_was_not_reached_is_told_once(state: DeliveryState) -> None:
    watch = watch_a_failure(pager=state, events=DELIVERED)
    incident = watch.incident()
    assert incident is not None

    assert reload(watch, "pager2", "events") == [(60, "pager2", "opened")]
    assert reload(watch, "pager2", "events") == []
    assert watch.incident() == incident, "its clock goes on, events knew of it"

    settle(watch, pager2=DEAD)
    assert reload(watch, "pager2", "events") == [], "who refused it is not asked for ever"
    watch.recover()
    assert watch.heard[-1][1:] == ("events", "resolved")


def test_who_takes_the_place_of_one_that_was_told_hears_nothing_where_others_know() -> None:
    watch = watch_a_failure(pager=DELIVERED, events=DELIVERED)

    assert reload(watch, "pager2", "events") == []


def test_only_the_routes_of_now_are_told() -> None:
    watch = watch_a_failure(pager=QUEUED, events=DELIVERED)
    watch.directory = replace(watch.directory, routes=(make_route("pager2", "events"),))

    assert reload(watch, "chat", "pager2", "events") == [(60, "pager2", "opened")]


def test_what_is_withheld_is_told_once_nothing_withholds_it() -> None:
    watch = watch_a_failure(pager=QUEUED, events=DELIVERED)
    watch.hold()

    assert reload(watch, "pager2", "events") == []
    watch.release()
    assert watch.heard[-1][1:] == ("pager2", "opened")


def test_a_dead_letter_told_nobody() -> None:
    watch = watch_a_failure(pager=DEAD)
    [refused] = watch.situation.deliveries.values()
    instead = replace(refused, id="instead", notifier="chat", instead_of="pager", state=DELIVERED)
    watch.situation.apply(Changes(deliveries=(instead,)))
    route = replace(make_route("pager"), fallback="mail")
    watch.directory = replace(watch.directory, routes=(route,))
    incident = watch.incident()

    assert reload(watch, "pager", "mail") == [(60, "pager", "opened")], "it may be mended"
    assert watch.incident() == incident, "its clock goes on"

    settle(watch, pager=DEAD)
    again = [one for one in watch.situation.deliveries.values() if one.notifier == "pager"]
    rows = outbox.stand_in(again, watch.directory, watch.situation, watch.now)
    watch.situation.apply(Changes(deliveries=rows))
    watch.recover()

    assert [row.notifier for row in rows] == ["mail"]
    assert [told[1:] for told in watch.heard[2:]] == [("mail", "resolved")]


def test_who_refused_the_beginning_is_told_it_with_the_next_change_and_not_the_end_alone() -> None:
    watch = watch_a_failure(pager=DEAD, chat=DELIVERED)
    watch.fail(Severity.LOW)

    assert {told[1:] for told in watch.heard[2:]} == {("pager", "opened"), ("chat", "updated")}

    settle(watch, pager=DEAD, chat=DELIVERED)
    assert reload(watch, "pager", "chat") == []


def test_what_somebody_has_taken_on_is_not_told_anew_whatever_the_notifiers_are_called() -> None:
    watch = watch_a_failure(pager=DELIVERED)
    watch.acknowledge()

    assert reload(watch, "pager2") == []
    assert reload(watch, "pager3") == []
    watch.recover()
    assert watch.heard[-1][1:] == ("pager3", "resolved")


def test_what_changes_about_it_is_told_by_the_routes_of_now() -> None:
    watch = watch_a_failure(pager=DELIVERED)
    watch.acknowledge()
    reload(watch, "pager2")
    watch.fail(Severity.LOW)

    assert watch.heard[-1][1:] == ("pager2", "opened")
    assert watch.told[-1].notice.acknowledged_by == "ana"


@pytest.mark.parametrize("state", [QUEUED, DELIVERED])
def test_a_notifier_that_comes_back_is_told_the_end_it_was_not_there_for(
    state: DeliveryState,
) -> None:
    watch = watch_a_failure(pager=state, events=DELIVERED)
    reload(watch, "pager2", "events")
    watch.recover()
    ended = [told for told in watch.heard if told[2] == "resolved"]

    assert sorted(name for _, name, _ in ended) == sorted(
        ["events"] if state is DELIVERED else ["events", "pager2"]
    )
    assert reload(watch, "pager", "events") == [(120, "pager", "resolved")]
    assert reload(watch, "pager", "events") == []


def test_who_refused_the_beginning_is_told_no_end_later() -> None:
    watch = watch_a_failure(pager=DEAD, events=DELIVERED)
    watch.recover()

    assert reload(watch, "pager", "events") == []


@pytest.mark.parametrize(("state", "ends"), [(QUEUED, 1), (DELIVERED, 0)])
def test_after_days_only_what_still_waits_is_told_with_its_end(
    state: DeliveryState, ends: int
) -> None:
    watch = watch_a_failure(pager=state, events=DELIVERED)
    reload(watch, "events")
    watch.recover()
    watch.wait(2 * 86_400)

    assert [told[1:] for told in reload(watch, "pager", "events")] == [("pager", "resolved")] * ends
