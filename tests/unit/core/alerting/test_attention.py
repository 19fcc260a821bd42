"""What the clock does about an incident that goes on: reminders, escalation, missed targets."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from monitor.core.alerting import attend
from monitor.core.alerting.targets import Target, end_of_next_working_day, find_target
from monitor.core.model.changes import Changes
from monitor.core.model.check_state import CheckState
from monitor.core.model.endpoint import Severity
from monitor.core.model.service import Service, Targets
from monitor.core.model.verdict import Outcome
from tests.support.attending import NO_TARGETS, Watch, make_route
from tests.support.watching import START

if TYPE_CHECKING:
    from tests.support.attending import Told

CRITICAL, HIGH, MEDIUM, LOW = Severity
MINUTE = 60
ESCALATING = make_route("a", escalate={5 * MINUTE: ("b",), 15 * MINUTE: ("b", "c")})


def since(watch: Watch, count: int = 1) -> list[Told]:
    """Give what was told after the openings."""
    return watch.heard[count:]


def lines(watch: Watch) -> list[tuple[str, str]]:
    (known,) = watch.situation.timelines.values()

    return [(line.event, line.text) for line in known]


def test_an_escalation_tells_its_people_once_when_nobody_has_acknowledged() -> None:
    watch = Watch(ESCALATING)
    watch.fail()
    for _ in range(40):
        watch.wait(30)

    assert since(watch) == [
        (300, "b", "escalated"),
        (900, "b", "escalated"),
        (900, "c", "escalated"),
    ]
    assert watch.told[1].notice.headline == (
        "shop answers 500, expected 2xx, for 5 min (shop-high.health, 3 times in a row); "
        "nobody has acknowledged it for 5 min"
    )
    assert lines(watch)[1:] == [
        ("escalated", "escalated to b: nobody has acknowledged it for 5 min"),
        ("escalated", "escalated to b, c: nobody has acknowledged it for 15 min"),
    ]


def test_who_was_told_by_an_escalation_is_told_of_the_end() -> None:
    watch = Watch(ESCALATING)
    watch.fail()
    watch.wait(5 * MINUTE)
    watch.recover()

    assert since(watch, 2) == [(300, "a", "resolved"), (300, "b", "resolved")]


def test_what_is_acknowledged_is_neither_escalated_nor_are_people_reminded() -> None:
    watch = Watch(replace(ESCALATING, remind_every=timedelta(minutes=1)))
    watch.fail()
    watch.acknowledge()
    watch.wait(3600)

    assert since(watch) == [(0, "a", "acknowledged")]
    assert watch.told[1].notice.acknowledged_by == "ana"
    assert watch.told[1].notice.acknowledged_at == START


def test_steps_that_are_due_together_are_one_notice_for_each() -> None:
    watch = Watch(ESCALATING)
    watch.fail()
    watch.wait(3600)

    assert since(watch) == [(3600, "b", "escalated"), (3600, "c", "escalated")]
    assert len(lines(watch)) == 3


def test_the_people_of_a_route_are_reminded_again_and_again_and_so_are_those_it_escalated_to() -> (
    None
):
    watch = Watch(make_route("a", remind_every=600, escalate={900: ("b",)}))
    watch.fail()
    for _ in range(31):
        watch.wait(60)

    assert since(watch) == [
        (600, "a", "reminder"),
        (900, "b", "escalated"),
        (1200, "a", "reminder"),
        (1200, "b", "reminder"),
        (1800, "a", "reminder"),
        (1800, "b", "reminder"),
    ]
    assert watch.told[-1].notice.headline.endswith("; nobody has acknowledged it for 30 min")
    assert lines(watch)[-1] == (
        "reminded",
        "a, b reminded: nobody has acknowledged it for 30 min",
    )


def test_a_reminder_says_how_often_a_check_has_failed_by_now() -> None:
    watch = Watch(make_route("a", remind_every=600))
    watch.fail()
    incident = watch.incident()
    assert incident is not None
    (member,) = incident.members
    state = CheckState(
        check=member.check,
        fingerprint="f",
        state=Outcome.FAIL,
        consecutive_failures=45,
        last_outcome=Outcome.FAIL,
        last_at=watch.now,
        last_reasons=member.reasons,
    )
    watch.situation.apply(Changes(states=(state,)))
    watch.wait(600)

    assert "45 times in a row" in watch.told[-1].notice.headline


def test_reminders_that_were_missed_are_one() -> None:
    watch = Watch(make_route("a", remind_every=600))
    watch.fail()
    watch.wait(2000)
    watch.wait(599)
    watch.wait(1)

    assert since(watch) == [(2000, "a", "reminder"), (2600, "a", "reminder")]


@pytest.mark.parametrize(
    ("severity", "minutes"), [(CRITICAL, 5), (HIGH, 15), (MEDIUM, 120), (LOW, 36 * 60)]
)
def test_what_nobody_acknowledges_within_the_usual_target_is_told_to_all_who_know(
    severity: Severity, minutes: int
) -> None:
    watch = Watch(make_route("a", "b"), targets=Targets())
    watch.fail(severity)  # on a Wednesday at noon
    watch.wait(minutes * MINUTE - 1)
    before = since(watch, 2)
    watch.wait(1)
    watch.wait(10 * 24 * 3600)
    at = minutes * MINUTE

    assert before == []
    assert since(watch, 2) == [(at, "a", "escalated"), (at, "b", "escalated")]
    assert "; nobody has acknowledged it within the target of " in watch.told[2].notice.headline
    assert lines(watch)[1][0] == "breached"
    incident = watch.incident()
    assert incident is not None
    assert incident.attention.breached == ("acknowledge",)


def test_what_is_not_resolved_in_time_is_told_although_somebody_works_on_it() -> None:
    targets = Targets(acknowledge={HIGH: None}, resolve={HIGH: timedelta(minutes=15)})
    watch = Watch(make_route("a"), targets=targets)
    watch.fail()
    watch.acknowledge()
    for _ in range(3):
        watch.wait(15 * MINUTE)

    assert since(watch, 2) == [(900, "a", "escalated")]
    assert watch.told[-1].notice.headline.endswith(
        "; it is not resolved within the target of 15 min, ana has taken it on"
    )


def test_an_escalation_and_a_missed_target_of_one_moment_are_one_notice() -> None:
    targets = Targets(acknowledge={HIGH: timedelta(minutes=5)})
    watch = Watch(ESCALATING, targets=targets)
    watch.fail()
    watch.wait(5 * MINUTE)

    assert since(watch) == [(300, "b", "escalated"), (300, "a", "escalated")]
    assert [line for line, _ in lines(watch)[1:]] == ["escalated", "breached"]


def test_the_clock_stands_still_while_an_incident_is_withheld() -> None:
    watch = Watch(replace(ESCALATING, remind_every=timedelta(minutes=4)))
    watch.fail()
    watch.wait(2 * MINUTE)
    watch.hold()
    watch.wait(3600)
    watch.release()
    watch.wait(MINUTE)
    told = since(watch)
    watch.wait(MINUTE)
    watch.wait(MINUTE)

    assert told == [(3720, "a", "updated")]
    assert since(watch, 2) == [(3840, "a", "reminder"), (3900, "b", "escalated")]


def test_a_severity_that_rises_begins_anew() -> None:
    watch = Watch(ESCALATING, targets=Targets(acknowledge={HIGH: timedelta(minutes=5)}))
    watch.fail(HIGH)
    watch.wait(5 * MINUTE)
    watch.acknowledge()
    watch.wait(MINUTE)
    watch.fail(CRITICAL)
    incident = watch.incident()
    assert incident is not None
    watch.wait(5 * MINUTE)

    assert incident.acknowledgement is None
    assert incident.attention.told_at == watch.told[-1].queued_at - timedelta(minutes=5)
    assert (incident.attention.escalated, incident.attention.breached) == ((), ())
    assert since(watch, 5) == [
        (360, "a", "updated"),
        (360, "b", "updated"),
        (660, "b", "escalated"),
        (660, "a", "escalated"),
    ]


def test_a_severity_that_falls_keeps_who_has_taken_it_on() -> None:
    watch = Watch(ESCALATING)
    watch.fail(CRITICAL)
    watch.fail(LOW)
    watch.acknowledge()
    watch.recover(CRITICAL)
    watch.wait(3600)
    incident = watch.incident()

    assert incident is not None
    assert incident.severity is LOW
    assert incident.acknowledgement is not None
    assert "escalated" not in [event for _, _, event in watch.heard]


def test_nothing_is_told_twice_over_a_restart() -> None:
    watch = Watch(replace(ESCALATING, remind_every=timedelta(minutes=4)), targets=Targets())
    watch.fail()
    watch.wait(15 * MINUTE)
    before = list(watch.heard)
    watch.restart()
    watch.tick()
    watch.wait(1)

    assert watch.heard == before


@pytest.mark.parametrize("by", [3600, -3600])
def test_a_clock_that_is_set_neither_hastens_nor_delays_anything(by: float) -> None:
    watch = Watch(replace(ESCALATING, remind_every=timedelta(minutes=4)))
    watch.fail()
    watch.wait(4 * MINUTE)
    watch.set_clock(by)
    watch.wait(MINUTE - 1)
    told = since(watch)
    watch.wait(1)

    assert told == [(240, "a", "reminder")]
    assert since(watch, 2) == [(300, "b", "escalated")]


def test_a_run_that_tells_nobody_takes_no_step() -> None:
    watch = Watch(ESCALATING)
    watch.fail()
    silent = replace(watch.directory, notifiers=())

    assert not attend(silent, watch.situation, START + timedelta(days=1))


@pytest.mark.parametrize(
    ("told", "due"),
    [
        ("2026-07-01T12:00", "2026-07-03T00:00"),  # Wednesday: until Thursday is over
        ("2026-07-02T23:59", "2026-07-04T00:00"),  # Thursday
        ("2026-07-03T00:00", "2026-07-07T00:00"),  # Friday: Monday is the next
        ("2026-07-04T10:00", "2026-07-07T00:00"),  # Saturday
        ("2026-07-05T10:00", "2026-07-07T00:00"),  # Sunday
    ],
)
def test_the_next_working_day_is_over_at_midnight(told: str, due: str) -> None:
    moment = datetime.fromisoformat(told).replace(tzinfo=UTC)

    assert end_of_next_working_day(moment) == datetime.fromisoformat(due).replace(tzinfo=UTC)


def test_a_target_of_a_service_counts_before_the_usual_one() -> None:
    targets = Targets(acknowledge={HIGH: timedelta(hours=1), CRITICAL: None})
    shop = Service(name="shop", targets=targets)
    found = {one: find_target(Target.ACKNOWLEDGE, one, shop, START) for one in (CRITICAL, HIGH)}

    assert found == {CRITICAL: None, HIGH: timedelta(hours=1)}
    assert find_target(Target.ACKNOWLEDGE, MEDIUM, shop, START) == timedelta(hours=2)
    assert find_target(Target.RESOLVE, HIGH, shop, START) is None
    assert set(NO_TARGETS.acknowledge.values()) == {None}
