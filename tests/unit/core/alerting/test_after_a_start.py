"""After a start nobody is called for what may be over: a sample is awaited first."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from monitor.core.model.changes import Changes
from monitor.core.situation import Situation
from monitor.core.withholding import SETTLING
from tests.support.attending import Watch, make_route
from tests.support.watching import at, make_directory, make_story

if TYPE_CHECKING:
    from tests.support.watching import Story

AWAY = 3600


@pytest.fixture
def story() -> Story:
    """An outage of which people know, and a start an hour later."""
    directory = replace(
        make_directory(notifiers=("slack", "boss")),
        routes=(make_route("slack", escalate={600: ("boss",)}),),
    )
    before = make_story(directory=directory)
    before.sees(500, 500, 500)
    remembered = Situation()
    remembered.apply(before.engine.situation.everything())
    after = make_story(situation=remembered, directory=directory)
    after.seconds = before.seconds + AWAY
    after.said.append(
        after.engine.adopt(list(after.engine.endpoints.values()), directory, after.now)
    )

    return after


def tick(story: Story, seconds: float = 0) -> None:
    story.said.append(story.engine.tick(story.now + timedelta(seconds=seconds)))


def test_what_ended_while_nobody_looked_calls_nobody(story: Story) -> None:
    tick(story, 1)
    story.sees(200)
    tick(story)
    story.sees(200)
    tick(story)

    assert story.events == ["resolved"]


def test_what_goes_on_is_escalated_with_the_first_sample_that_says_so(story: Story) -> None:
    tick(story, 1)
    before = story.events
    story.sees(500)
    tick(story)

    assert before == []
    assert sorted(set(story.events)) == ["escalated"]
    assert {row.notifier for row in story.told} == {"slack", "boss"}


def test_what_nobody_can_tell_about_is_escalated_after_a_while(story: Story) -> None:
    tick(story, SETTLING.total_seconds() - 1)
    before = story.events
    tick(story, SETTLING.total_seconds())

    assert before == []
    assert "escalated" in story.events


def test_after_this_process_stood_still_a_sample_is_awaited_as_well(story: Story) -> None:
    story.sees(500)
    story.engine.note_absence(story.now)
    tick(story, 1)

    assert story.events == []


def test_a_clock_that_is_set_delays_nothing(story: Story) -> None:
    story.engine.set_clock(timedelta(days=-1), story.now - timedelta(days=1))
    story.said.append(story.engine.tick(story.now - timedelta(days=1) + SETTLING))

    assert "escalated" in story.events


def test_where_all_who_were_told_are_gone_others_are_told_anew() -> None:
    watch = Watch(notifiers=("a",))
    watch.fail()
    watch.wait(60)
    watch.directory = replace(watch.directory, notifiers=("b",))
    watch.restart()
    watch.restart()

    assert watch.heard == [(0, "a", "opened"), (60, "b", "opened")]


def test_an_incident_of_an_earlier_version_has_its_clock_from_what_was_told() -> None:
    watch = Watch(make_route("a", escalate={600: ("b",)}))
    watch.fail()
    watch.wait(300)
    incident = watch.incident()
    assert incident is not None
    old = replace(incident, attention=replace(incident.attention, told_at=None))
    watch.situation.apply(Changes(incidents=(old,)))
    watch.restart()
    watch.wait(300)
    incident = watch.incident()

    assert incident is not None
    assert incident.attention.told_at == at(0)
    assert watch.heard == [(0, "a", "opened"), (600, "b", "escalated")]
