"""What people do about incidents: each act once, by name, and nothing opens again behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from monitor.core import acts, wording
from monitor.core.incidents import NO_STEP
from monitor.core.model.endpoint import Severity
from monitor.core.model.incident import Acknowledgement, IncidentPhase
from tests.support.watching import at, make_check, make_endpoint, make_story

if TYPE_CHECKING:
    from monitor.core.incidents import IncidentStep
    from monitor.core.model.incident import Incident
    from tests.support.watching import Story

WHO = "ana"


def act(story: Story, step: IncidentStep) -> None:
    story.said.append(story.engine.act(step, story.now))


def lines(story: Story, incident: Incident) -> list[tuple[str, str]]:
    return [(entry.actor, entry.event) for entry in story.engine.situation.timelines[incident.id]]


def newest(story: Story, incident: Incident) -> Incident:
    return story.engine.situation.incidents[incident.id]


@pytest.fixture
def failing() -> Story:
    story = make_story(make_endpoint(), make_endpoint(name="page"))
    story.sees(500, 500, 500)

    return story


def test_an_incident_is_taken_on_once_and_by_the_first(failing: Story) -> None:
    (incident,) = failing.open
    act(failing, acts.acknowledge(incident, WHO, at(100)))
    taken = newest(failing, incident)

    assert taken.acknowledgement == Acknowledgement(by=WHO, at=at(100))
    assert lines(failing, incident)[-1] == (WHO, "acknowledged")
    assert failing.events == ["opened", "acknowledged"]
    assert failing.told[-1].notice.headline == "shop: ana has taken it on"
    assert acts.acknowledge(taken, "bob", at(200)) is NO_STEP


def test_what_is_over_can_be_taken_on_without_telling_anybody(failing: Story) -> None:
    (incident,) = failing.open
    failing.sees(200, 200)
    told = len(failing.told)
    act(failing, acts.acknowledge(newest(failing, incident), WHO, failing.now))

    assert newest(failing, incident).acknowledgement is not None
    assert len(failing.told) == told


def test_a_note_is_told_while_the_incident_is_open(failing: Story) -> None:
    (incident,) = failing.open
    act(failing, acts.note(incident, WHO, "the queue is stuck", failing.now))
    failing.sees(200, 200)
    act(failing, acts.note(newest(failing, incident), WHO, "it was the disk", failing.now))

    assert failing.events == ["opened", "updated", "resolved"]
    assert failing.told[1].notice.headline == "shop: ana notes: the queue is stuck"
    assert [one for one in lines(failing, incident) if one[0] == WHO] == [(WHO, "noted")] * 2


def test_a_person_may_know_the_cause_where_no_rollback_shows_it(failing: Story) -> None:
    (incident,) = failing.open
    step = acts.note(incident, WHO, "the disk is full", failing.now, phase=IncidentPhase.IDENTIFIED)
    act(failing, step)
    failing.sees(200, 200)
    over = acts.note(
        newest(failing, incident), WHO, "x", failing.now, phase=IncidentPhase.MONITORING
    )

    assert failing.told[1].notice.phase is IncidentPhase.IDENTIFIED
    assert failing.told[1].notice.headline == "shop: ana notes: identified: the disk is full"
    assert over.changes.incidents[0].phase is IncidentPhase.RESOLVED


def test_what_a_person_ended_is_told_and_does_not_open_again_while_it_fails(
    failing: Story,
) -> None:
    (incident,) = failing.open
    act(failing, acts.resolve(incident, WHO, "known", failing.now))
    failing.sees(500, 500, 500, 500)

    assert failing.open == []
    assert failing.events == ["opened", "resolved"]
    said = failing.told[-1].notice.headline
    assert said == "shop: ana has closed the incident after 2 min; known; api.health still fails"
    assert failing.engine.situation.states["api.health"].open
    assert acts.resolve(newest(failing, incident), "bob", "", failing.now) is NO_STEP
    shown = wording.headline(newest(failing, incident), at=at(900))
    assert shown == "shop: the incident was closed by hand after 2 min; api.health still fails"


def test_the_recovery_of_what_a_person_ended_is_written_into_it_quietly(failing: Story) -> None:
    (incident,) = failing.open
    act(failing, acts.resolve(incident, WHO, "", failing.now))
    failing.sees(500, 200, 200)
    (member,) = newest(failing, incident).members

    assert member.closed_at is not None
    assert lines(failing, incident)[-1] == ("monitor", "check_closed")
    assert failing.events == ["opened", "resolved"]
    shown = wording.headline(newest(failing, incident), at=at(900))
    assert shown.startswith("shop: the incident was closed by hand after ")
    assert "; api.health failed until 2026" in shown


def test_what_a_person_ended_opens_anew_once_it_has_recovered_and_fails(failing: Story) -> None:
    (incident,) = failing.open
    act(failing, acts.resolve(incident, WHO, "", failing.now))
    failing.sees(200, 200, 500, 500, 500)

    assert [one.id == incident.id for one in failing.open] == [False]
    assert failing.events == ["opened", "resolved", "opened"]


def test_another_check_opens_an_incident_of_its_own_after_a_person_ended_one(
    failing: Story,
) -> None:
    (incident,) = failing.open
    act(failing, acts.resolve(incident, WHO, "", failing.now))
    failing.sees(500, 500, 500, endpoint="page")

    (opened,) = failing.open
    assert [one.check for one in opened.members] == ["page.health"]


def test_a_lost_record_is_still_told_where_nobody_ended_anything(failing: Story) -> None:
    (incident,) = failing.open
    situation = failing.engine.situation
    del situation.incidents[incident.id]
    situation._open.clear()
    situation._open_of.clear()
    failing.sees(500)

    assert [one.service for one in failing.open] == ["shop"]


def declare(story: Story, severity: Severity = Severity.MEDIUM) -> Incident:
    situation = story.engine.situation
    act(
        story,
        acts.open_incident("shop", "customers cannot pay", severity, WHO, situation, story.now),
    )
    (incident,) = story.open

    return incident


def test_what_a_person_has_seen_is_told_in_their_words() -> None:
    story = make_story()
    incident = declare(story)

    assert incident.members == ()
    assert (incident.severity, incident.title) == (Severity.MEDIUM, "customers cannot pay")
    assert lines(story, incident) == [(WHO, "opened")]
    assert [one.notice.headline for one in story.told] == ["shop: customers cannot pay"]


def test_checks_join_what_a_person_opened_and_do_not_end_it() -> None:
    story = make_story(make_endpoint(make_check(severity=Severity.CRITICAL)))
    incident = declare(story)
    story.sees(500, 500, 500)
    worse = newest(story, incident)
    story.sees(200, 200)
    after = newest(story, incident)

    assert worse.severity is Severity.CRITICAL
    assert [one.check for one in worse.members] == ["api.health"]
    assert after.open
    assert (after.severity, after.phase) == (Severity.MEDIUM, IncidentPhase.MONITORING)
    said = wording.headline(worse, at=at(65))
    assert said.startswith("shop: customers cannot pay, for 65 s; api.health: status is 500")


def test_what_a_person_opened_ends_by_a_person_and_may_be_opened_again() -> None:
    story = make_story()
    incident = declare(story)
    act(story, acts.resolve(incident, WHO, "paid again", at(60)))
    story.seconds = 120
    again = declare(story)

    assert story.events == ["opened", "resolved", "opened"]
    assert again.id != incident.id
    shown = wording.headline(newest(story, incident), at=at(900))
    assert shown == "shop: customers cannot pay was closed by hand after 60 s"


def test_a_service_with_an_outage_gets_no_second_by_hand(failing: Story) -> None:
    situation = failing.engine.situation

    assert acts.open_incident("shop", "slow", Severity.HIGH, WHO, situation, failing.now) is NO_STEP


def test_labels_replace_those_before_and_are_told_to_nobody(failing: Story) -> None:
    (incident,) = failing.open
    act(failing, acts.label(incident, ["disk", "disk", "capacity"], WHO, failing.now))
    labelled = newest(failing, incident)

    assert labelled.labels == ("disk", "capacity")
    assert acts.label(labelled, ["disk", "capacity"], "bob", failing.now) is NO_STEP
    assert failing.events == ["opened"]
    assert lines(failing, incident)[-1] == (WHO, "labelled")
