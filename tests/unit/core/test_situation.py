"""The records in memory: the newest of each key, found without a search."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from monitor.core.model.changes import NOTHING, Changes, Result
from monitor.core.model.check_state import CheckState
from monitor.core.model.deploy import Deploy, DeployKind, DeployState
from monitor.core.model.endpoint import Severity
from monitor.core.model.incident import Incident, IncidentClass, IncidentPhase, TimelineEntry
from monitor.core.model.notice import Delivery, DeliveryState, Notice, NoticeEvent
from monitor.core.model.rollback import Mode, Rollback, RollbackState, Step, StepState
from monitor.core.situation import Situation
from tests.support.watching import at

if TYPE_CHECKING:
    from collections.abc import Iterable


def incident(number: int, *, service: str = "shop", resolved: bool = False) -> Incident:
    return Incident(
        id=f"i-{number}",
        service=service,
        klass=IncidentClass.OUTAGE,
        severity=Severity.HIGH,
        phase=IncidentPhase.INVESTIGATING,
        since=at(number),
        opened_at=at(number),
        members=(),
        resolved_at=at(number + 1) if resolved else None,
    )


def delivery(number: int, *, about: str = "i-1", done: bool = False) -> Delivery:
    notice = Notice(
        event=NoticeEvent.OPENED,
        incident=about,
        sequence=number,
        klass=IncidentClass.OUTAGE,
        service="shop",
        environment="",
        location="",
        severity=Severity.HIGH,
        phase=IncidentPhase.INVESTIGATING,
        headline="",
        since=at(0),
        at=at(0),
        members=(),
    )

    return Delivery(
        id=f"d-{number}",
        key=f"d-{number}",
        notifier="slack",
        notice=notice,
        queued_at=at(number),
        state=DeliveryState.DELIVERED if done else DeliveryState.QUEUED,
    )


def deploy(number: int, state: DeployState = DeployState.FINISHED) -> Deploy:
    return Deploy(
        id=f"v{number}",
        service="shop",
        version=f"v{number}",
        kind=DeployKind.PLANNED,
        state=state,
        at=at(number),
        certified_at=at(number + 1) if state is DeployState.CERTIFIED else None,
    )


def rollback(number: int) -> Rollback:
    return Rollback(
        id=f"r-{number}",
        service="shop",
        deploy_id="v1",
        incident="i-1",
        state=RollbackState.EXECUTING,
        mode=Mode.AUTOMATIC,
        severity=Severity.HIGH,
        reason="",
        triggers=(),
        tripped_at=at(number),
        verify_within=timedelta(minutes=5),
    )


def situation_of(*bundles: Changes) -> Situation:
    situation = Situation()
    for bundle in bundles:
        situation.apply(bundle)

    return situation


def ids(records: Iterable[Incident | Delivery | Rollback]) -> list[str]:
    return [record.id for record in records]


def test_open_incidents_come_oldest_first_and_without_those_that_are_over() -> None:
    situation = situation_of(
        Changes(incidents=(incident(3), incident(1), incident(2))),
        Changes(incidents=(incident(2, resolved=True),)),
    )

    assert ids(situation.open_incidents()) == ["i-1", "i-3"]
    assert situation.incidents["i-2"].resolved_at is not None


def test_the_open_incident_is_found_by_service_and_class() -> None:
    situation = situation_of(Changes(incidents=(incident(1), incident(2, service="api"))))

    found = situation.open_incident("api", IncidentClass.OUTAGE)
    assert found is not None
    assert found.id == "i-2"
    assert situation.open_incident("api", IncidentClass.FINDING) is None


def test_what_is_pending_is_in_the_order_of_the_queue() -> None:
    situation = situation_of(
        Changes(deliveries=(delivery(3), delivery(1), delivery(2))),
        Changes(deliveries=(delivery(1, done=True),)),
    )

    assert ids(situation.pending_deliveries("slack")) == ["d-2", "d-3"]
    assert situation.pending_deliveries("pager") == []


def test_a_repeated_bundle_changes_nothing() -> None:
    entry = TimelineEntry(
        incident="i-1", sequence=1, at=at(0), actor="monitor", event="opened", text="it fails"
    )
    bundle = Changes(incidents=(incident(1),), timeline=(entry,))

    assert situation_of(bundle, bundle).timelines == {"i-1": [entry]}


def test_the_newest_deploy_that_did_not_fail_is_current() -> None:
    situation = situation_of(
        Changes(
            deploys=(
                deploy(1, DeployState.CERTIFIED),
                deploy(2, DeployState.CERTIFIED),
                deploy(3),
                deploy(4, DeployState.FAILED),
            )
        )
    )

    current, good = situation.current_deploy("shop"), situation.last_known_good("shop")
    assert current is not None
    assert current.id == "v3"
    assert good is not None
    assert good.id == "v2"
    assert situation.current_deploy("api") is None
    assert situation.last_known_good("api") is None


def test_rollbacks_of_a_service_come_oldest_first_each_once() -> None:
    situation = situation_of(
        Changes(rollbacks=(rollback(2), rollback(1))),
        Changes(rollbacks=(replace(rollback(1), state=RollbackState.FAILED),)),
    )

    assert ids(situation.rollbacks_of("shop")) == ["r-1", "r-2"]
    assert situation.rollbacks_of("shop")[0].state is RollbackState.FAILED
    assert situation.rollbacks_of("api") == []


def test_the_journal_of_a_rollback_is_in_the_order_of_its_steps() -> None:
    first = Step(
        key="r-1.0.1",
        rollback="r-1",
        level=0,
        number=1,
        kind="command",
        state=StepState.INTENT,
        attempt=1,
        at=at(0),
    )
    situation = situation_of(
        Changes(
            steps=(
                replace(first, key="r-1.0.2", number=2),
                first,
                replace(first, key="r-2.0.1", rollback="r-2"),
            )
        )
    )

    assert [step.key for step in situation.steps_of("r-1")] == ["r-1.0.1", "r-1.0.2"]


def test_a_forgotten_check_has_no_state() -> None:
    state = CheckState(check="api.health", fingerprint="")
    situation = situation_of(Changes(states=(state,)), Changes(forgotten=("api.health", "other")))

    assert situation.states == {}


def test_memory_forgets_old_incidents_that_are_over_but_no_open_one() -> None:
    entry = TimelineEntry(
        incident="i-1", sequence=1, at=at(0), actor="monitor", event="opened", text=""
    )
    situation = situation_of(
        Changes(incidents=(incident(0),)),
        Changes(incidents=(incident(1, resolved=True),), timeline=(entry,)),
        Changes(incidents=tuple(incident(n, resolved=True) for n in range(2, 700))),
    )

    assert "i-0" in situation.incidents
    assert "i-1" not in situation.incidents
    assert "i-1" not in situation.timelines
    assert "i-699" in situation.incidents
    assert len(situation.incidents) <= 500


def test_memory_forgets_delivered_notices_but_none_that_is_pending_or_of_an_open_incident() -> None:
    situation = situation_of(
        Changes(incidents=(incident(1),)),
        Changes(deliveries=(delivery(0, about="waits"), delivery(1, about="i-1", done=True))),
        Changes(deliveries=tuple(delivery(n, about="over", done=True) for n in range(2, 2_500))),
    )

    assert {"d-0", "d-1", "d-2499"} <= situation.deliveries.keys()
    assert "d-2" not in situation.deliveries
    assert len(situation.deliveries) <= 2_000
    assert ids(situation.pending_deliveries("slack")) == ["d-0"]


def test_memory_keeps_whom_an_incident_was_told_as_long_as_somebody_is_not() -> None:
    situation = Situation()
    told, letter = delivery(1, about="untold", done=True), delivery(3, about="refused")
    situation.apply(Changes(deliveries=(told, delivery(2, about="untold"))))
    refused = replace(letter, state=DeliveryState.DEAD)
    situation.apply(Changes(deliveries=(refused, delivery(4, about="refused", done=True))))
    for number in range(5, 3_000):
        situation.apply(Changes(deliveries=(delivery(number, about="other", done=True),)))

    assert {"d-1", "d-2", "d-3", "d-4"} <= situation.deliveries.keys()
    assert "d-5" not in situation.deliveries


def test_bundles_are_put_together_oldest_first() -> None:
    first = Changes(states=(CheckState(check="a", fingerprint="1"),), incidents=(incident(1),))
    second = Changes(states=(CheckState(check="a", fingerprint="2"),), incidents=(incident(2),))
    merged = first + NOTHING + second

    assert [state.fingerprint for state in merged.states] == ["2"]
    assert ids(merged.incidents) == ["i-1", "i-2"]
    assert Changes.merge(()) is NOTHING
    assert Changes.merge((NOTHING, first)) is first


def test_only_decisions_are_urgent() -> None:
    result = Result(
        endpoint="api", at=at(0), duration=timedelta(), scheduled=True, outcomes=(), status=200
    )
    counted = Changes(states=(CheckState(check="a", fingerprint="1"),), results=(result,))

    assert counted
    assert not counted.urgent
    assert Changes(forgotten=("a",)).urgent
    assert not NOTHING


def test_of_an_incident_that_turned_twice_only_the_newest_is_kept() -> None:
    turned = replace(incident(1), sequence=2)
    merged = Changes.merge((Changes(incidents=(incident(1),)), Changes(incidents=(turned,))))

    assert merged.incidents == (turned,)
