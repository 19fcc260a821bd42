"""A bad deploy from the marker to the proof, as its incident and the people see it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING

import pytest

from monitor.core.engine import Conditions
from monitor.core.model.deploy import DeployKind, DeployState
from monitor.core.model.incident import IncidentPhase
from monitor.core.model.rollback import Blocked, Effect, EffectOutcome, Mode, RollbackState
from monitor.core.model.service import (
    Directory,
    LevelPlan,
    Maintenance,
    RollbackPolicy,
    Service,
    StepPlan,
    VersionSource,
)
from monitor.core.rollback import effects
from tests.support.watching import (
    Story,
    answer,
    at,
    make_check,
    make_directory,
    make_endpoint,
    make_story,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitor.core.model.changes import Changes
    from monitor.core.model.rollback import Rollback


def shop(mode: Mode = Mode.AUTOMATIC) -> Service:
    return Service(
        name="shop",
        rollback=RollbackPolicy(
            mode=mode,
            triggers=("api.health",),
            levels=(LevelPlan(steps=(StepPlan(number=1, kind="command"),)),),
            modes=MappingProxyType({}),
        ),
        version=VersionSource(endpoint="api", header="x-release"),
    )


def begin(mode: Mode = Mode.AUTOMATIC, conditions: Callable[[], Conditions] | None = None) -> Story:
    """Tell of a healthy quarter of an hour, and of a deploy."""
    story = make_story(
        make_endpoint(make_check()), directory=make_directory(shop(mode)), conditions=conditions
    )
    story.sees(*[200] * 30)
    announce(story)

    return story


def announce(story: Story) -> None:
    marker = story.engine.announce(
        "shop",
        version="v2",
        kind=DeployKind.PLANNED,
        state=DeployState.FINISHED,
        now=story.now,
    )
    story.said.append(marker)


def only(story: Story) -> Rollback:
    (rollback,) = story.engine.situation.rollbacks.values()

    return rollback


def carry_out(story: Story, outcome: EffectOutcome = EffectOutcome.DONE) -> Changes:
    """Do what the actuator does: start the step and write what came of it."""
    engine, policy = story.engine, shop().rollback
    assert policy is not None
    rollback = only(story)
    (step,) = engine.situation.steps_of(rollback.id)
    begins = effects.begin(rollback, step, policy, engine.situation, story.now)
    started = engine.absorb(begins, story.now)
    (step,) = engine.situation.steps_of(rollback.id)
    effect = Effect(outcome=outcome, detail="exit 0 after 2 s")
    done = engine.absorb(
        effects.finish(rollback, step, effect, policy, engine.situation, story.now), story.now
    )
    story.said += [started, done]
    story.seconds += 5

    return started + done


def test_a_bad_deploy_is_rolled_back_proven_and_told() -> None:
    story = begin()
    story.sees(500, 500, 500)
    (incident,) = story.open
    executing = (only(story).state, incident.phase, incident.rollback_id)
    carry_out(story)
    verifying = (only(story).state, story.open[0].phase)
    story.sees(200, 200)

    assert executing == (RollbackState.EXECUTING, IncidentPhase.IDENTIFIED, only(story).id)
    assert verifying == (RollbackState.VERIFYING, IncidentPhase.MONITORING)
    assert only(story).state is RollbackState.RECOVERED
    assert story.open == []
    assert story.events == ["opened", "rollback", "resolved"]
    assert [entry.event for entry in story.engine.situation.timelines[incident.id]] == [
        "opened",
        "rollback_executing",
        "rollback_step_started",
        "rollback_step_done",
        "rollback_verifying",
        "rollback_recovered",
        "check_closed",
        "resolved",
    ]


def test_what_opens_and_is_rolled_back_at_one_moment_is_one_notice() -> None:
    story = begin()
    story.sees(500, 500, 500)
    (opened,) = [one.notice for one in story.told]

    assert opened.headline == (
        "shop answers 500, expected 2xx, for 60 s (api.health, 3 times in a row); "
        "rollback of v2 (no version is known to be good) under way"
    )
    assert opened.rollback is not None
    assert (opened.rollback.state, opened.phase) == ("executing", IncidentPhase.IDENTIFIED)
    assert opened.sequence == story.open[0].sequence == 2


def test_what_joins_and_is_rolled_back_at_one_moment_is_one_notice() -> None:
    policy = shop().rollback
    assert policy is not None
    both = replace(policy, triggers=("api.health", "page.health"), at_least=2)
    story = make_story(
        make_endpoint(make_check()),
        make_endpoint(make_check(endpoint="page"), name="page"),
        directory=make_directory(Service(name="shop", rollback=both)),
    )
    story.sees(*[200] * 30)
    story.sees(*[200] * 30, endpoint="page")
    announce(story)
    story.sees(500, 500, 500)
    story.sees(500, 500, 500, endpoint="page")

    assert story.events == ["opened", "updated"]
    assert story.told[0].notice.rollback is None
    assert story.told[1].notice.headline.startswith("shop: page.health fails as well: ")
    assert story.told[1].notice.headline.endswith(
        "; rollback of v2 (no version is known to be good) under way"
    )


def test_a_decision_that_breaks_does_not_keep_the_opening_from_being_told() -> None:
    def break_down() -> Conditions:
        raise ZeroDivisionError

    story = begin()
    story.sees(500, 500)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(story.engine, "_conditions", break_down)
        with pytest.raises(ZeroDivisionError):
            story.sees(500)
    story.said.append(story.engine.tick(story.now))

    assert story.events == ["opened", "rollback"]


def test_the_notice_of_the_end_tells_how_the_rollback_ended() -> None:
    story = begin()
    story.sees(500, 500, 500)
    carry_out(story)
    story.sees(200, 200)
    end = story.told[-1].notice

    assert end.event == "resolved"
    assert end.rollback is not None
    assert end.rollback.state == "recovered"


def test_numbers_go_up_through_all_turns_of_a_rollback() -> None:
    story = begin()
    story.sees(500, 500, 500)
    carry_out(story)
    story.sees(200, 200)

    sequences = [one.notice.sequence for one in story.told]
    assert sequences == sorted(set(sequences))
    (timeline,) = story.engine.situation.timelines.values()
    assert [entry.sequence for entry in timeline] == list(range(1, len(timeline) + 1))


def test_every_turn_of_a_rollback_comes_in_one_bundle_with_its_line_and_its_notice() -> None:
    story = begin()
    opening = story.sees(500, 500, 500)
    carried_out = carry_out(story)

    assert [one.state for one in opening.rollbacks] == [RollbackState.EXECUTING]
    assert opening.incidents[-1].rollback_id == only(story).id
    assert [one.notice.event.value for one in opening.deliveries] == ["opened"]
    assert [one.state for one in carried_out.rollbacks] == [RollbackState.VERIFYING]
    assert carried_out.incidents[-1].phase is IncidentPhase.MONITORING


def test_a_rollback_that_does_not_help_is_told_and_the_incident_stays_open() -> None:
    story = begin()
    story.sees(500, 500, 500)
    carry_out(story)
    story.sees(*[500] * 12)

    assert only(story).state is RollbackState.NOT_RECOVERED
    assert story.open[0].phase is IncidentPhase.INVESTIGATING
    assert story.events == ["opened", "rollback"]


def test_a_failed_attempt_is_on_the_timeline_although_the_next_is_planned() -> None:
    story = begin()
    story.sees(500, 500, 500)
    carry_out(story, EffectOutcome.NOTHING_APPLIED)

    (timeline,) = story.engine.situation.timelines.values()
    assert [entry.event for entry in timeline][-2:] == [
        "rollback_step_started",
        "rollback_step_failed",
    ]


def test_observe_records_and_tells_nobody() -> None:
    story = begin(Mode.OBSERVE)
    story.sees(500, 500, 500, 500)

    (timeline,) = story.engine.situation.timelines.values()
    assert [entry.event for entry in timeline] == ["opened", "rollback_blocked"]
    assert story.events == ["opened"]
    assert story.open[0].phase is IncidentPhase.INVESTIGATING
    opened = story.told[0].notice
    assert "rollback" not in opened.headline
    assert opened.rollback is not None
    assert opened.rollback.reason == "MODE (its mode only observes)"


def test_what_holds_a_rollback_back_is_told_once() -> None:
    story = begin(conditions=lambda: Conditions(kill_switch=True))
    story.sees(500, 500, 500, 500, 500)

    assert story.events == ["opened"]
    assert "the kill switch is on" in story.told[-1].notice.headline


def test_a_guard_that_falls_away_lets_the_rollback_go_ahead_without_a_probe() -> None:
    held = True
    story = begin(conditions=lambda: Conditions(kill_switch=held))
    story.sees(500, 500, 500)
    held = False
    story.said.append(story.engine.tick(story.now))

    assert only(story).state is RollbackState.EXECUTING
    assert story.events == ["opened", "rollback"]
    assert (
        story.told[-1].notice.headline
        == "shop: rollback of v2 (no version is known to be good) under way"
    )


@pytest.mark.parametrize("service", [Service(name="shop"), Service(name="other")])
def test_a_rollback_is_verified_although_its_policy_or_its_service_is_gone(
    service: Service,
) -> None:
    story = begin()
    story.sees(500, 500, 500)
    carry_out(story)
    endpoint = make_endpoint(make_check(service=service.name), service=service.name)
    story.engine.adopt((endpoint,), Directory(services={service.name: service}), story.now)

    story.engine.tick(story.now + timedelta(minutes=6))

    assert only(story).state is RollbackState.INCONCLUSIVE


@pytest.mark.parametrize("service", [Service(name="shop"), Service(name="other")])
def test_a_blocked_trip_is_over_once_its_policy_or_its_service_is_gone(service: Service) -> None:
    story = begin(Mode.OBSERVE)
    story.sees(500, 500, 500)
    lasting = only(story).ended_at
    endpoint = make_endpoint(make_check(service=service.name), service=service.name)
    story.engine.adopt((endpoint,), Directory(services={service.name: service}), story.now)

    story.engine.tick(story.now)

    assert lasting is None
    assert only(story).ended_at == story.now


def test_without_hooks_nothing_is_decided() -> None:
    story = begin(conditions=lambda: Conditions(hooks=False))
    story.sees(500, 500, 500)

    assert story.engine.situation.rollbacks == {}
    assert story.events == ["opened"]


@pytest.mark.parametrize(
    ("oneshot", "state"),
    [(False, RollbackState.BLOCKED), (True, RollbackState.EXECUTING)],
)
def test_a_monitor_that_has_only_just_started_waits(oneshot: bool, state: RollbackState) -> None:
    earlier = begin()
    earlier.sees(500, 500)
    story = make_story(
        make_endpoint(make_check()),
        directory=make_directory(shop()),
        situation=earlier.engine.situation,
        conditions=lambda: Conditions(oneshot=oneshot),
    )
    story.seconds = earlier.seconds
    story.sees(500)

    assert only(story).state is state


def test_the_warm_up_is_over_after_as_many_samples_as_it_takes_to_open() -> None:
    earlier = begin()
    earlier.sees(500, 500)
    story = make_story(
        make_endpoint(make_check()),
        directory=make_directory(shop()),
        situation=earlier.engine.situation,
    )
    story.seconds = earlier.seconds
    story.sees(500, 500, 500)

    assert only(story).state is RollbackState.EXECUTING


def test_a_version_in_an_answer_is_a_deploy() -> None:
    story = begin()
    seen = answer(seconds=story.seconds)
    story.takes(
        type(seen)(
            at=at(story.seconds),
            duration=seen.duration,
            status=200,
            headers=(("X-Release", "v2"),),
        )
    )

    deploy = story.engine.situation.current_deploy("shop")
    assert deploy is not None
    assert (deploy.version, deploy.observed, deploy.announced) == ("v2", True, True)
    assert story.said[-1].results[0].version == "v2"


def test_in_maintenance_nothing_is_rolled_back_until_it_is_over() -> None:
    window = Maintenance(
        name="maintenance 1", services=frozenset({"shop"}), starts_at=at(0), ends_at=at(1020)
    )
    story = make_story(
        make_endpoint(make_check()),
        directory=replace(make_directory(shop()), maintenance=(window,)),
    )
    story.sees(*[200] * 30)
    announce(story)
    story.sees(500, 500, 500)
    held, why = only(story).blocked, only(story).detail
    story.seconds = 1030
    story.engine.tick(story.now)

    assert held is Blocked.MAINTENANCE
    assert why == "maintenance 1 holds for it"
    assert only(story).state is RollbackState.EXECUTING


def test_while_what_it_depends_on_is_down_nothing_is_rolled_back() -> None:
    story = make_story(
        make_endpoint(make_check()),
        make_endpoint(name="db", service="database"),
        directory=make_directory(replace(shop(), depends_on=("database",))),
    )
    for _ in range(30):
        story.sees(200)
        story.sees(200, endpoint="db")
    announce(story)
    for _ in range(3):
        story.sees(500, endpoint="db")
        story.sees(500)
    held, why = only(story).blocked, only(story).detail
    story.sees(200, 200, endpoint="db")
    story.engine.tick(story.now)

    assert held is Blocked.DEPENDENCY_DOWN
    assert why == "database, which it depends on, is down"
    assert only(story).state is RollbackState.EXECUTING
