"""Which check events belong together, and when an incident is over."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from monitor.core import incidents, timeline
from monitor.core.incidents import MONITOR_SERVICE, IncidentStep, NewsKind
from monitor.core.model.check_state import Change, CheckEvent
from monitor.core.model.endpoint import Severity, Signal
from monitor.core.model.incident import IncidentClass, IncidentPhase
from monitor.core.model.observation import Code
from monitor.core.model.rollback import Blocked, Mode, Rollback, RollbackState, Step, StepState
from monitor.core.situation import Situation
from tests.support.watching import at, make_check, make_reason

if TYPE_CHECKING:
    from datetime import datetime

    from monitor.core.model.endpoint import Check
    from monitor.core.model.incident import Incident
    from monitor.core.model.verdict import Reason

HEALTH = replace(make_check(), target="https://shop.example/health")
LATENCY = make_check(Signal.LATENCY, severity=Severity.MEDIUM)
CERTIFICATE = make_check(Signal.CERTIFICATE, severity=Severity.LOW)
PAGE = make_check(endpoint="page", severity=Severity.CRITICAL)
CHECKS = {check.id: check for check in (HEALTH, LATENCY, CERTIFICATE, PAGE)}


class Desk:
    """Files events, and shows what lies there."""

    def __init__(self) -> None:
        self.situation = Situation()
        self.seconds = 0.0

    def opens(self, *checks: Check, since: float | None = None) -> IncidentStep:
        return self._file(*((Change.OPENED, check, since) for check in checks))

    def closes(self, *checks: Check) -> IncidentStep:
        return self._file(*((Change.CLOSED, check, None) for check in checks))

    def goes_blind(self, *checks: Check) -> IncidentStep:
        reason = replace(make_reason("no witness answered"), code=Code.WITNESS)

        return self._file(*((Change.WENT_BLIND, check, None) for check in checks), reason=reason)

    def sees_again(self, *checks: Check) -> IncidentStep:
        return self._file(*((Change.SEES_AGAIN, check, None) for check in checks))

    def take(self, step: IncidentStep) -> IncidentStep:
        self.situation.apply(step.changes)

        return step

    @property
    def now(self) -> datetime:
        return at(self.seconds)

    @property
    def only(self) -> Incident:
        (incident,) = self.situation.open_incidents()

        return incident

    def _file(
        self, *happened: tuple[Change, Check, float | None], reason: Reason | None = None
    ) -> IncidentStep:
        self.seconds += 60
        events = [
            CheckEvent(
                change=change,
                check=check.id,
                at=self.now,
                since=at(self.seconds - 60 if since is None else since),
                failures=3,
                reasons=(reason or make_reason(),),
            )
            for change, check, since in happened
        ]

        return self.take(incidents.apply(events, CHECKS, self.situation, self.now))


@pytest.fixture
def desk() -> Desk:
    return Desk()


def kinds(step: IncidentStep) -> list[NewsKind]:
    return [news.kind for news in step.news]


def test_the_first_check_opens_an_incident_since_its_first_failing_sample(desk: Desk) -> None:
    step = desk.opens(HEALTH, since=7)

    assert kinds(step) == [NewsKind.OPENED]
    assert desk.only.service == "shop"
    assert desk.only.klass is IncidentClass.OUTAGE
    assert desk.only.phase is IncidentPhase.INVESTIGATING
    assert (desk.only.since, desk.only.opened_at) == (at(7), at(60))
    assert desk.only.id == "shop-outage-20260701T120100Z"


def test_a_member_says_what_its_check_asked(desk: Desk) -> None:
    desk.opens(HEALTH)

    assert [one.target for one in desk.only.members] == ["https://shop.example/health"]


def test_a_second_check_of_the_service_joins(desk: Desk) -> None:
    desk.opens(HEALTH)
    step = desk.opens(LATENCY, since=5)

    assert kinds(step) == [NewsKind.JOINED]
    assert [member.check for member in desk.only.members] == ["api.health", "api.latency.p95"]
    assert desk.only.severity is Severity.HIGH


def test_an_incident_is_as_old_as_its_oldest_member(desk: Desk) -> None:
    desk.opens(HEALTH, since=30)
    desk.opens(LATENCY, since=5)

    assert desk.only.since == at(5)


def test_a_worse_check_raises_the_severity(desk: Desk) -> None:
    desk.opens(HEALTH)
    step = desk.opens(PAGE)

    assert kinds(step) == [NewsKind.JOINED, NewsKind.SEVERITY_RAISED]
    assert desk.only.severity is Severity.CRITICAL


def test_a_finding_is_an_incident_apart_from_the_outage(desk: Desk) -> None:
    step = desk.opens(HEALTH, CERTIFICATE)

    assert kinds(step) == [NewsKind.OPENED, NewsKind.OPENED]
    assert {one.klass for one in desk.situation.open_incidents()} == {
        IncidentClass.OUTAGE,
        IncidentClass.FINDING,
    }


def test_one_check_closing_leaves_the_incident_open_with_what_is_left_of_its_severity(
    desk: Desk,
) -> None:
    desk.opens(PAGE, LATENCY)
    step = desk.closes(PAGE)

    assert kinds(step) == [NewsKind.CHECK_CLOSED]
    assert desk.only.severity is Severity.MEDIUM


def test_it_is_over_when_all_have_closed(desk: Desk) -> None:
    desk.opens(HEALTH, LATENCY)
    desk.closes(HEALTH)
    step = desk.closes(LATENCY)

    assert kinds(step) == [NewsKind.RESOLVED]
    assert desk.situation.open_incidents() == []
    over = step.news[0].incident
    assert over.phase is IncidentPhase.RESOLVED
    assert over.resolved_at == desk.now


def test_a_check_that_fails_again_is_the_same_member(desk: Desk) -> None:
    desk.opens(HEALTH, LATENCY)
    desk.closes(HEALTH)
    step = desk.opens(HEALTH)

    assert kinds(step)[0] is NewsKind.JOINED
    assert sorted(member.check for member in desk.only.members) == ["api.health", "api.latency.p95"]


def test_opening_twice_is_told_once(desk: Desk) -> None:
    desk.opens(HEALTH)
    step = desk.opens(HEALTH)

    assert kinds(step) == []


def test_a_failure_after_the_end_is_a_new_incident(desk: Desk) -> None:
    first = desk.opens(HEALTH).news[0].incident
    desk.closes(HEALTH)
    desk.opens(HEALTH)

    assert desk.only.id != first.id


def test_two_incidents_of_one_second_have_two_names(desk: Desk) -> None:
    first = desk.opens(HEALTH).news[0].incident
    desk.closes(HEALTH)
    desk.seconds = 0
    desk.opens(HEALTH)

    assert desk.only.id == f"{first.id}-2"


def test_blindness_is_an_incident_of_the_monitor_and_not_of_the_service(desk: Desk) -> None:
    desk.goes_blind(HEALTH)

    assert desk.only.service == MONITOR_SERVICE
    assert desk.only.klass is IncidentClass.MONITOR
    told = desk.situation.timelines[desk.only.id][0].text
    assert told.startswith("the monitor is blind, for 60 s: it cannot judge api.health: ")


def test_seeing_again_does_not_close_the_outage_of_the_same_check(desk: Desk) -> None:
    desk.opens(HEALTH)
    desk.goes_blind(HEALTH)
    desk.sees_again(HEALTH)

    assert desk.only.klass is IncidentClass.OUTAGE


def test_closing_does_not_end_blindness(desk: Desk) -> None:
    desk.goes_blind(HEALTH)
    desk.closes(HEALTH)

    assert desk.only.klass is IncidentClass.MONITOR


def test_an_event_of_a_check_that_is_not_configured_opens_nothing(desk: Desk) -> None:
    stranger = make_check(endpoint="gone")
    step = desk.opens(stranger)

    assert step == IncidentStep()


def test_the_timeline_is_numbered_without_gaps(desk: Desk) -> None:
    desk.opens(HEALTH)
    desk.opens(PAGE)
    desk.closes(PAGE)
    desk.closes(HEALTH)

    (timeline,) = desk.situation.timelines.values()
    assert [entry.sequence for entry in timeline] == [1, 2, 3, 4, 5, 6]
    assert [entry.event for entry in timeline] == [
        "opened",
        "joined",
        "severity_raised",
        "check_closed",
        "check_closed",
        "resolved",
    ]
    assert {entry.actor for entry in timeline} == {"monitor"}


def test_a_removed_check_leaves_with_a_note(desk: Desk) -> None:
    desk.opens(HEALTH)
    kept = {id: check for id, check in CHECKS.items() if check is not HEALTH}
    step = desk.take(incidents.adopt(kept, desk.situation, at(100)))

    assert kinds(step) == [NewsKind.RESOLVED]
    assert step.news[0].text == (
        "shop: the incident is closed because api.health is no longer configured"
    )


def test_a_removed_check_leaves_the_others_alone(desk: Desk) -> None:
    desk.opens(HEALTH, LATENCY)
    desk.goes_blind(PAGE)
    step = desk.take(incidents.adopt({LATENCY.id: LATENCY}, desk.situation, at(200)))

    assert sorted(kinds(step)) == [NewsKind.CHECK_CLOSED, NewsKind.RESOLVED]
    assert [member.check for member in desk.only.members if member.closed_at is None] == [
        LATENCY.id
    ]


@pytest.mark.parametrize(
    ("severity", "kind"),
    [
        (Severity.CRITICAL, NewsKind.SEVERITY_RAISED),
        (Severity.LOW, NewsKind.SEVERITY_LOWERED),
    ],
)
def test_a_changed_severity_counts_for_what_is_open(
    desk: Desk, severity: Severity, kind: NewsKind
) -> None:
    desk.opens(HEALTH)
    changed = {**CHECKS, HEALTH.id: replace(HEALTH, severity=severity)}
    step = desk.take(incidents.adopt(changed, desk.situation, at(100)))

    assert kinds(step) == [kind]
    assert desk.only.severity is severity
    assert incidents.adopt(changed, desk.situation, at(101)) == IncidentStep()


def test_the_least_severe_of_two_may_change_without_news(desk: Desk) -> None:
    desk.opens(HEALTH, LATENCY)
    changed = {**CHECKS, LATENCY.id: replace(LATENCY, severity=Severity.LOW)}
    step = desk.take(incidents.adopt(changed, desk.situation, at(100)))

    assert kinds(step) == []
    assert desk.only.members[1].severity is Severity.LOW


def test_a_store_that_cannot_be_written_is_one_incident_until_it_can(desk: Desk) -> None:
    first = desk.take(incidents.store_failed("disk full", desk.situation, at(1)))
    again = desk.take(incidents.store_failed("disk full", desk.situation, at(2)))
    over = desk.take(incidents.store_works_again(desk.situation, at(61)))
    nothing = incidents.store_works_again(desk.situation, at(62))

    assert first.news[0].text == "the monitor cannot rely on its store: disk full"
    assert again == IncidentStep()
    assert over.news[0].text == "the monitor can rely on its store again, after 60 s"
    assert nothing == IncidentStep()


def test_a_broken_store_joins_the_blindness_of_the_monitor(desk: Desk) -> None:
    desk.goes_blind(HEALTH)
    step = desk.take(incidents.store_failed("disk full", desk.situation, at(61)))
    desk.take(incidents.store_works_again(desk.situation, at(62)))

    assert kinds(step) == [NewsKind.JOINED, NewsKind.SEVERITY_RAISED]
    assert desk.only.severity is Severity.HIGH


def test_a_reload_does_not_take_the_store_for_a_removed_check(desk: Desk) -> None:
    desk.take(incidents.store_failed("disk full", desk.situation, at(1)))

    assert incidents.adopt({}, desk.situation, at(2)) == IncidentStep()


def make_rollback(incident: Incident, state: RollbackState) -> Rollback:
    return Rollback(
        id="r-1",
        service="shop",
        deploy_id="v2@noon",
        incident=incident.id,
        state=state,
        mode=Mode.AUTOMATIC,
        severity=Severity.HIGH,
        reason="api.health is failing",
        triggers=(HEALTH.id,),
        tripped_at=at(60),
        verify_within=timedelta(minutes=5),
        from_version="v2",
        to_version="v1",
    )


@pytest.mark.parametrize(
    ("state", "phase"),
    [
        (RollbackState.BLOCKED, IncidentPhase.INVESTIGATING),
        (RollbackState.EXECUTING, IncidentPhase.IDENTIFIED),
        (RollbackState.UNCERTAIN, IncidentPhase.IDENTIFIED),
        (RollbackState.VERIFYING, IncidentPhase.MONITORING),
        (RollbackState.RECOVERED, IncidentPhase.MONITORING),
        (RollbackState.NOT_RECOVERED, IncidentPhase.INVESTIGATING),
        (RollbackState.INCONCLUSIVE, IncidentPhase.IDENTIFIED),
        (RollbackState.FAILED, IncidentPhase.IDENTIFIED),
    ],
)
def test_the_public_phase_follows_the_rollback(
    desk: Desk, state: RollbackState, phase: IncidentPhase
) -> None:
    desk.opens(HEALTH)
    rollback = make_rollback(desk.only, state)
    desk.situation.apply(timeline.follow_rollback(None, rollback, desk.situation, at(70)))

    assert desk.only.phase is phase
    assert desk.only.rollback_id == "r-1"
    newest = desk.situation.timelines[desk.only.id][-1]
    assert (newest.event, newest.sequence) == (f"rollback_{state}", 2)
    assert newest.text.startswith("shop: rollback from v2 to v1")


def test_a_rollback_that_stands_still_is_not_written_again(desk: Desk) -> None:
    desk.opens(HEALTH)
    rollback = make_rollback(desk.only, RollbackState.EXECUTING)
    later = replace(rollback, detail="step 1 started")

    assert not timeline.follow_rollback(rollback, later, desk.situation, at(70))


def test_another_reason_to_be_blocked_is_a_turn(desk: Desk) -> None:
    desk.opens(HEALTH)
    blocked = make_rollback(desk.only, RollbackState.BLOCKED)
    before = replace(blocked, blocked=Blocked.WARMING_UP)
    after = replace(blocked, blocked=Blocked.COOLING_DOWN)

    assert timeline.follow_rollback(before, after, desk.situation, at(70))


def test_an_incident_that_is_over_stays_over_whatever_the_rollback_does(desk: Desk) -> None:
    desk.opens(HEALTH)
    rollback = make_rollback(desk.only, RollbackState.RECOVERED)
    desk.closes(HEALTH)
    changes = timeline.follow_rollback(None, rollback, desk.situation, at(130))

    assert changes.incidents[0].phase is IncidentPhase.RESOLVED


def test_what_fails_anew_while_monitoring_is_identified_again(desk: Desk) -> None:
    desk.opens(HEALTH)
    rollback = make_rollback(desk.only, RollbackState.VERIFYING)
    desk.situation.apply(timeline.follow_rollback(None, rollback, desk.situation, at(70)))
    desk.opens(LATENCY)

    assert desk.only.phase is IncidentPhase.IDENTIFIED


def test_each_effect_of_a_rollback_is_on_the_timeline_but_not_its_intent(desk: Desk) -> None:
    desk.opens(HEALTH)
    rollback = make_rollback(desk.only, RollbackState.EXECUTING)
    desk.situation.rollbacks[rollback.id] = rollback
    intent = Step(
        key="r-1.0.1",
        rollback="r-1",
        level=0,
        number=1,
        kind="command",
        state=StepState.INTENT,
        attempt=1,
        at=at(70),
    )
    done = replace(intent, state=StepState.DONE, detail="exit 0 after 2 s")
    nothing = timeline.follow_step(None, intent, desk.situation, at(70))
    written = timeline.follow_step(intent, done, desk.situation, at(72))
    repeated = timeline.follow_step(done, done, desk.situation, at(73))

    assert not nothing
    assert written.timeline[0].event == "rollback_step_done"
    assert written.timeline[0].text == "rollback step 1 (command) done: exit 0 after 2 s"
    assert not repeated
