"""A clock that is set, by whatever and whenever, decides nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core import clock_set
from monitor.core.clock_set import moved
from monitor.core.model.changes import Changes
from monitor.core.model.deploy import DeployKind, DeployState
from monitor.core.model.endpoint import InARow, KOfN, LatencyRule, OnInsufficient, Severity, Signal
from monitor.core.model.notice import DeliveryState, NoticeEvent
from monitor.core.model.rollback import Effect, EffectOutcome, Mode, RollbackState
from monitor.core.model.service import LevelPlan, RollbackPolicy, Service, StepPlan
from monitor.core.model.verdict import Outcome
from monitor.core.outbox import plan_errands
from monitor.core.rollback import effects
from tests.support.watching import (
    EVERY,
    Story,
    make_check,
    make_directory,
    make_endpoint,
    make_story,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.core.model.incident import Incident

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

POLICY = RollbackPolicy(
    mode=Mode.AUTOMATIC,
    triggers=("api.health",),
    levels=(LevelPlan(steps=(StepPlan(number=1, kind="command"),)),),
    modes=MappingProxyType({}),
    certify_after=timedelta(minutes=3),
    verify_within=timedelta(minutes=2),
    within=timedelta(minutes=10),
)

Act = tuple[str, Any]

PROBES = st.tuples(st.sampled_from(["api", "page"]), st.sampled_from([200, 500, "cert", "?"]))
OTHERS = st.sampled_from([("deploy", 0), ("act", 0), ("wait", 20), ("wait", 200)])
JUMPS = st.tuples(
    st.just("jump"),
    st.one_of(
        st.sampled_from([-3_600, 3_600, 86_400, -86_400]), st.integers(-3 * 10**8, 3 * 10**8)
    ),
)
ACTS = st.lists(st.one_of(PROBES, PROBES, OTHERS, JUMPS), max_size=50)


def begin() -> Story:
    return make_story(
        make_endpoint(
            make_check(opens=InARow(count=2)),
            make_check(Signal.CERTIFICATE, opens=InARow(count=1), closes=1, severity=Severity.LOW),
        ),
        make_endpoint(
            make_check(endpoint="page", opens=KOfN(k=2, n=4), closes=1, severity=Severity.CRITICAL),
            name="page",
        ),
        directory=make_directory(Service(name="shop", rollback=POLICY)),
    )


def set_clock(story: Story, by: float) -> None:
    story.seconds += by
    story.said.append(story.engine.set_clock(timedelta(seconds=by), story.now))


def deploy(story: Story) -> None:
    story.said.append(
        story.engine.announce(
            "shop",
            version=f"v{len(story.engine.situation.deploys)}",
            kind=DeployKind.PLANNED,
            state=DeployState.FINISHED,
            now=story.now,
        )
    )


def carry_out(story: Story) -> None:
    """Do what the actuator does with what is to be rolled back."""
    known = story.engine.situation
    for rollback in list(known.rollbacks.values()):
        if rollback.state is RollbackState.EXECUTING:
            (step,) = known.steps_of(rollback.id)
            began = effects.begin(rollback, step, POLICY, known, story.now)
            story.said.append(story.engine.absorb(began, story.now))
            (step,) = known.steps_of(rollback.id)
            done = Effect(outcome=EffectOutcome.DONE, detail="exit 0")
            ended = effects.finish(rollback, step, done, POLICY, known, story.now)
            story.said.append(story.engine.absorb(ended, story.now))


def tell(acts: Sequence[Act], *, jumps: bool) -> tuple[Story, timedelta]:
    """Tell a story, with or without its jumps; give by how much the clock is off in the end."""
    story, off = begin(), timedelta()
    for what, value in acts:
        match what:
            case "jump" if jumps:
                set_clock(story, value)
                off += timedelta(seconds=value)
            case "jump":
                continue
            case "deploy":
                deploy(story)
            case "act":
                carry_out(story)
            case "wait":
                story.seconds += value
            case _:
                story.sees(value, endpoint=what)
        story.said.append(story.engine.tick(story.now))

    return story, off


def events_of(story: Story) -> list[NoticeEvent]:
    """Give what people are told, each notice once."""
    return [row.notice.event for row in {one.id: one for one in story.told}.values()]


def states_of(story: Story, off: timedelta) -> list[object]:
    """Give the counters and their times by the clock as it was; reasons may name a date."""
    return [
        replace(moved(state, -off), last_reasons=())
        for state in story.engine.situation.states.values()
    ]


def deploys_of(story: Story, off: timedelta) -> list[object]:
    return [
        replace(moved(one, -off), id="", marker_id=None)
        for one in story.engine.situation.deploys.values()
    ]


def rollbacks_of(story: Story, off: timedelta) -> list[object]:
    return [
        replace(moved(one, -off), id="", deploy_id="", incident="", reason="", detail="")
        for one in story.engine.situation.rollbacks.values()
    ]


def incidents_of(story: Story, off: timedelta) -> list[object]:
    """Give what is open; a jump adds a line to it, and nothing else."""

    def bare(incident: Incident) -> object:
        members = tuple(replace(one, reasons=()) for one in incident.members)
        return replace(
            moved(incident, -off),
            id="",
            sequence=0,
            deploy_id=None,
            rollback_id=None,
            members=tuple(moved(one, -off) for one in members),
        )

    return [bare(incident) for incident in story.open]


@settings(max_examples=150, deadline=None)
@given(ACTS)
def test_jumps_move_no_counter_and_open_close_certify_and_roll_back_nothing(
    acts: list[Act],
) -> None:
    calm, _ = tell(acts, jumps=False)
    shaken, off = tell(acts, jumps=True)

    assert events_of(shaken) == events_of(calm)
    assert states_of(shaken, off) == states_of(calm, timedelta())
    assert deploys_of(shaken, off) == deploys_of(calm, timedelta())
    assert rollbacks_of(shaken, off) == rollbacks_of(calm, timedelta())
    assert incidents_of(shaken, off) == incidents_of(calm, timedelta())


@settings(max_examples=60, deadline=None)
@given(ACTS)
def test_no_incident_ever_lasts_less_than_no_time(acts: list[Act]) -> None:
    story, _ = tell(acts, jumps=True)

    for incident in story.engine.situation.incidents.values():
        assert incident.since <= incident.opened_at
        assert incident.resolved_at is None or incident.opened_at <= incident.resolved_at


def windows_story(on_insufficient: OnInsufficient) -> Story:
    rule = LatencyRule(
        percentile=95,
        limit=timedelta(milliseconds=400),
        inclusive=False,
        window=timedelta(minutes=5),
        min_samples=8,
        on_insufficient=on_insufficient,
    )
    latency = replace(make_check(Signal.LATENCY, opens=InARow(count=2)), rule=rule)

    return make_story(make_endpoint(latency))


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(OnInsufficient),
    st.lists(st.one_of(st.just(0), st.just(0), st.just(0), JUMPS.map(lambda one: one[1]))),
)
def test_windows_that_a_jump_tore_are_not_judged(
    on_insufficient: OnInsufficient, jumps: list[int]
) -> None:
    story = windows_story(on_insufficient)
    for jump in [*[0] * 30, *jumps, *[0] * 30]:
        if jump:
            set_clock(story, jump)
            continue
        before = story.engine.situation.states.get("api.latency.p95")
        story.sees(200)
        after = story.engine.situation.states.get("api.latency.p95")
        if before is not None and after is not None:
            assert after.judged in (before.judged, before.judged + 1)
    state = story.engine.situation.states["api.latency.p95"]

    assert state.state is Outcome.PASS
    assert state.consecutive_passes == state.judged, "nothing failed, and nothing began anew"
    assert state.judged <= len(story.said) * EVERY / timedelta(minutes=5) + 1


@pytest.mark.parametrize("by", [-HOUR, DAY, timedelta(seconds=90)], ids=str)
def test_a_window_goes_on_being_judged_after_the_clock_was_set(by: timedelta) -> None:
    story = windows_story(OnInsufficient.FAIL)
    story.sees(*[200] * 25)
    judged = story.engine.situation.states["api.latency.p95"].judged
    set_clock(story, by.total_seconds())
    story.sees(*[200] * 20)

    assert story.engine.situation.states["api.latency.p95"].judged == judged + 1


def test_a_window_in_which_the_monitor_stood_still_is_not_the_targets_fault() -> None:
    story = windows_story(OnInsufficient.FAIL)
    story.sees(*[200] * 22)
    story.seconds += 7 * 60
    story.engine.note_absence(story.now)
    story.sees(*[200] * 6)
    story.seconds += 5 * 60
    story.engine.note_absence(story.now)
    story.sees(*[200] * 2)

    assert story.engine.situation.states["api.latency.p95"].consecutive_failures == 0


def test_what_nobody_watched_certifies_no_deploy() -> None:
    story = begin()
    story.sees(*[200] * 3)
    deploy(story)
    story.sees(200, 200)
    story.seconds += 3_600
    story.said.append(story.engine.note_absence(story.now))
    story.said.append(story.engine.tick(story.now))
    state = {one.version: one.state for one in story.engine.situation.deploys.values()}["v0"]

    assert state is DeployState.FINISHED
    story.sees(*[200] * 8)
    assert story.engine.situation.current_deploy("shop").state is DeployState.CERTIFIED  # type: ignore[union-attr]  # it was deployed


def test_an_open_incident_says_in_its_timeline_that_the_clock_was_set() -> None:
    story = begin()
    story.sees(500, 500)
    set_clock(story, -3_600)
    story.sees(200, 200)
    (incident,) = story.engine.situation.incidents.values()
    lines = story.engine.situation.timelines[incident.id]

    assert [line.text for line in lines if line.event == clock_set.EVENT] == [
        "the clock was set back by 1h; the lines above are by the old"
    ]
    assert [line.sequence for line in lines] == list(range(1, len(lines) + 1))
    assert incident.resolved_at is not None
    assert incident.resolved_at - incident.opened_at < timedelta(minutes=5)
    assert "1h" not in story.told[-1].notice.headline


@pytest.mark.parametrize("by", [-HOUR, DAY], ids=str)
def test_an_answer_is_as_old_as_before(by: timedelta) -> None:
    story = begin()
    story.sees(200)
    set_clock(story, by.total_seconds())

    assert story.engine.latest["api"].fresh(story.now)
    assert not story.engine.latest["api"].fresh(story.now + timedelta(minutes=2))


def test_the_end_of_an_incident_never_overtakes_its_beginning() -> None:
    story = begin()
    story.sees(500, 500)
    set_clock(story, -86_400)
    story.sees(200, 200)
    queued = story.engine.situation.pending_deliveries("slack")
    late = [replace(row, queued_at=row.queued_at + 2 * DAY) for row in queued[:1]] + queued[1:]
    (errand,) = plan_errands(sorted(late, key=lambda row: row.queued_at))

    assert errand.row.notice.event is NoticeEvent.RESOLVED
    assert [row.notice.event for row in errand.covers] == [NoticeEvent.OPENED]


def test_a_notice_that_waits_waits_no_longer_than_before() -> None:
    story = begin()
    story.sees(500, 500)
    (row,) = story.engine.situation.pending_deliveries("slack")
    waits = replace(row, not_before=story.now + timedelta(seconds=30))
    told = replace(row, id="told", state=DeliveryState.DELIVERED)
    story.engine.situation.apply(Changes(deliveries=(waits, told)))
    set_clock(story, -3_600)
    after = story.engine.situation.deliveries

    assert after[row.id].not_before == story.now + timedelta(seconds=30)
    assert after[row.id].notice == row.notice, "what is told is not touched"
    assert after["told"] == told
