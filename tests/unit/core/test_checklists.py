"""What is to be done about an incident, and what of it the monitor sees for itself."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from monitor.core.checklists import checklist, checklists, stage_of
from monitor.core.model.changes import Changes
from monitor.core.model.checklist import Item, Seen, Stage
from monitor.core.model.incident import Acknowledgement, Incident, IncidentClass
from monitor.core.model.notice import DeliveryState
from monitor.core.model.rollback import RollbackState
from monitor.core.model.service import Directory, Service
from tests.support.rolling import NOON, make_deploy, make_incident, make_policy, make_rollback
from tests.support.watching import Story, make_directory, make_story

if TYPE_CHECKING:
    from monitor.core.situation import Situation

ROLLED_BACK = Service(name="shop", rollback=make_policy())


def of(service: Service) -> Directory:
    return Directory(services={service.name: service}, notifiers=("slack",))


def done(incident: Incident, situation: Situation, directory: Directory) -> dict[str, bool | None]:
    """Give each thing to do now, and whether it is done."""
    return {task.text: task.done for task in checklist(incident, directory, situation)}


@pytest.fixture
def story() -> Story:
    """A shop that is rolled back, whose health has just failed."""
    story = make_story(directory=of(ROLLED_BACK))
    story.sees(500, 500, 500)

    return story


def test_before_a_rollback_what_the_monitor_sees_is_ticked(story: Story) -> None:
    situation = story.engine.situation
    before = done(story.open[0], situation, of(ROLLED_BACK))
    taken_on = replace(story.open[0], acknowledgement=Acknowledgement(by="ana", at=story.now))
    situation.apply(
        Changes(
            incidents=(taken_on,),
            deliveries=tuple(replace(row, state=DeliveryState.DELIVERED) for row in story.told),
            deploys=(
                make_deploy("v1", at=NOON, certified_at=NOON),
                make_deploy("v2", at=story.now),
            ),
        )
    )
    after = done(story.open[0], situation, of(ROLLED_BACK))

    assert before == {
        "Somebody has taken the incident on": False,
        "Those concerned are told": False,
        "It is known who is affected, and how badly": None,
        "A version to go back to is known": False,
        "The steps to go back are ready": True,
        "Dashboards and logs are open": None,
    }
    assert [text for text, is_done in after.items() if is_done is False] == []
    assert list(after.values()).count(None) == 2


@pytest.mark.parametrize(
    ("facts", "stage"),
    [
        ({"state": RollbackState.BLOCKED, "started_at": None, "ended_at": None}, Stage.BEFORE),
        ({"state": RollbackState.EXECUTING, "ended_at": None}, Stage.DURING),
        ({"state": RollbackState.VERIFYING, "ended_at": None}, Stage.DURING),
        ({"state": RollbackState.NOT_RECOVERED}, Stage.DURING),
        ({"state": RollbackState.FAILED}, Stage.DURING),
        ({"state": RollbackState.RECOVERED}, Stage.AFTER),
    ],
    ids=["held back", "executing", "verifying", "it did not help", "it failed", "it helped"],
)
def test_what_is_to_be_done_follows_the_rollback(
    facts: dict[str, object], stage: Stage, story: Story
) -> None:
    incident = replace(story.open[0], rollback_id="r")
    story.engine.situation.apply(
        Changes(incidents=(incident,), rollbacks=(make_rollback("r", **facts),))
    )

    assert stage_of(incident, story.engine.situation) is stage


def test_during_a_rollback_its_steps_and_the_recovery_are_ticked(story: Story) -> None:
    incident = replace(story.open[0], rollback_id="r")
    situation = story.engine.situation
    under_way = make_rollback("r", state=RollbackState.EXECUTING, ended_at=None)
    situation.apply(Changes(incidents=(incident,), rollbacks=(under_way,)))
    first = done(incident, situation, of(ROLLED_BACK))
    situation.apply(Changes(rollbacks=(replace(under_way, effect_done_at=NOON),)))
    second = done(incident, situation, of(ROLLED_BACK))

    assert first["The steps are carried out"] is False
    assert second["The steps are carried out"] is True
    assert second["The checks that failed pass again"] is False


def test_after_the_end_the_all_clear_is_ticked_once_it_has_arrived(story: Story) -> None:
    (opened,) = story.open
    story.sees(200, 200)
    situation = story.engine.situation
    incident = situation.incidents[opened.id]
    before = done(incident, situation, of(ROLLED_BACK))
    situation.apply(
        Changes(
            deliveries=tuple(replace(row, state=DeliveryState.DELIVERED) for row in story.told[-1:])
        )
    )
    after = done(incident, situation, of(ROLLED_BACK))

    assert before["The service is stable"] is True
    assert before["The all-clear is sent"] is False
    assert after["The all-clear is sent"] is True
    assert after["A post-mortem is planned"] is None


def test_a_service_says_itself_what_is_to_be_done(story: Story) -> None:
    own = {
        Stage.BEFORE: (Item(text="Tell support"), Item(text="Ana knows", seen=Seen.ACKNOWLEDGED)),
        Stage.DURING: (),
    }
    directory = of(replace(ROLLED_BACK, checklist=own))
    found = checklists(story.open[0], directory, story.engine.situation)

    assert done(story.open[0], story.engine.situation, directory) == {
        "Tell support": None,
        "Ana knows": False,
    }
    assert set(found) == {Stage.BEFORE, Stage.AFTER}


def test_what_is_not_rolled_back_and_says_nothing_has_no_list(story: Story) -> None:
    incident = story.open[0]
    finding = replace(make_incident(), klass=IncidentClass.FINDING)

    assert checklist(incident, make_directory(), story.engine.situation) == ()
    assert checklist(finding, of(ROLLED_BACK), story.engine.situation) == ()


def test_a_notice_carries_the_list(story: Story) -> None:
    assert [task.text for task in story.told[0].notice.checklist][:2] == [
        "Somebody has taken the incident on",
        "Those concerned are told",
    ]
