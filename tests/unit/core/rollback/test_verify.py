from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from monitor.core import tracker
from monitor.core.model.endpoint import Check, HealthRule, InARow, Severity, Signal
from monitor.core.model.rollback import Effect, EffectOutcome, RollbackState, StepState
from monitor.core.model.service import Proof
from monitor.core.model.verdict import Outcome, Verdict
from monitor.core.rollback import effects
from tests.support.rolling import CHECK, OTHER, World, make_policy, make_rollback, minutes

if TYPE_CHECKING:
    from datetime import timedelta

FLOW = "signup.health"
VERDICTS = {"P": Outcome.PASS, "F": Outcome.FAIL, "?": Outcome.UNKNOWN}


class Probed(World):
    """A world whose check is counted as the engine does, one verdict a quarter of a minute."""

    def judge(self, letters: str, *, check: str = CHECK, ago: timedelta | None = None) -> None:
        for letter in letters:
            self.later(0.25)
            at = self.now - (ago or minutes(0))
            state, _ = tracker.advance(
                make_check(check),
                self.situation.states.get(check),
                Verdict(outcome=VERDICTS[letter], at=at),
                every=minutes(0.25),
            )
            self.know(state)
            self.verify()


def make_check(id: str) -> Check:
    return Check(
        id=id,
        endpoint=id.split(".", maxsplit=1)[0],
        service="shop",
        signal=Signal.HEALTH,
        rule=HealthRule(expectations=()),
        severity=Severity.HIGH,
        failure_threshold=InARow(count=2),
        success_threshold=2,
        fingerprint="f",
    )


def rolled_back(
    before: str = "FFF",
    *,
    at_effect: str = "",
    triggers: tuple[str, ...] = (CHECK,),
    proofs: tuple[Proof, ...] = (),
    flow: str = "",
) -> Probed:
    """Trip by some verdicts, and let the effect be complete after some more."""
    world = Probed(policy=make_policy(triggers=triggers, proofs=proofs))
    for check in triggers:
        world.judge("PP", check=check)
    world.judge(flow, check=FLOW)
    world.deploy()
    world.judge(before)
    world.decide()
    world.judge(at_effect)
    rollback = world.newest
    (step,) = world.situation.steps_of(rollback.id)
    assert world.policy is not None
    world.keep(effects.begin(rollback, step, world.policy, world.situation, world.now))
    (step,) = world.situation.steps_of(rollback.id)
    assert step.state is StepState.STARTED
    done = Effect(outcome=EffectOutcome.DONE, detail="exit 0")
    world.keep(effects.finish(rollback, step, done, world.policy, world.situation, world.now))
    assert world.newest.state is RollbackState.VERIFYING

    return world


@pytest.mark.parametrize(
    ("at_effect", "after", "state"),
    [
        pytest.param("", "PP", RollbackState.RECOVERED, id="two passes after it"),
        pytest.param("", "P", RollbackState.VERIFYING, id="one pass is not enough"),
        pytest.param("P", "P", RollbackState.VERIFYING, id="the pass before it does not count"),
        pytest.param("P", "PP", RollbackState.RECOVERED, id="two more passes do"),
        pytest.param("PP", "", RollbackState.VERIFYING, id="closed before it proves nothing"),
        pytest.param("PP", "P", RollbackState.RECOVERED, id="closed before it, passing after"),
        pytest.param("", "P??P", RollbackState.RECOVERED, id="unknown moves no counter"),
        pytest.param("PP", "?", RollbackState.VERIFYING, id="unknown proves nothing"),
        pytest.param("", "FFPFPP", RollbackState.RECOVERED, id="in the end it passes"),
        pytest.param("", "F" * 20, RollbackState.NOT_RECOVERED, id="failing at the deadline"),
        pytest.param("PP", "F" * 20, RollbackState.NOT_RECOVERED, id="failing again"),
        pytest.param("", "?" * 20, RollbackState.INCONCLUSIVE, id="unknown at the deadline"),
        pytest.param("", "?" * 19 + "P", RollbackState.INCONCLUSIVE, id="one pass by then"),
        pytest.param("", "F" * 18 + "PP", RollbackState.RECOVERED, id="just in time"),
    ],
)
def test_recovery_is_proven_by_samples_after_the_effect(
    at_effect: str, after: str, state: RollbackState
) -> None:
    world = rolled_back(at_effect=at_effect)

    world.judge(after)

    assert world.newest.state is state
    assert (world.newest.ended_at is not None) is state.ended


def test_no_sample_at_all_is_inconclusive() -> None:
    world = rolled_back().later(5)

    world.verify()

    assert world.newest.state is RollbackState.INCONCLUSIVE
    assert "too few samples" in world.newest.detail


def test_a_sample_that_was_under_way_at_the_effect_does_not_count() -> None:
    world = rolled_back()

    world.judge("P", ago=minutes(0.5))
    world.judge("P")
    too_early = world.newest.state
    world.judge("P")

    assert too_early is RollbackState.VERIFYING
    assert world.newest.state is RollbackState.RECOVERED


def test_a_trigger_that_was_fine_must_not_fail_now() -> None:
    world = rolled_back(triggers=(CHECK, OTHER))
    world.judge("FF", check=OTHER)

    world.judge("PP")
    meanwhile = world.newest.state
    world.judge("F" * 16, check=OTHER)

    assert meanwhile is RollbackState.VERIFYING
    assert world.newest.state is RollbackState.NOT_RECOVERED
    assert OTHER in world.newest.detail


@pytest.mark.parametrize(
    ("flow", "state"),
    [
        pytest.param("PPP", RollbackState.RECOVERED, id="passes often enough"),
        pytest.param("PP", RollbackState.VERIFYING, id="not often enough"),
        pytest.param("PPFPP", RollbackState.VERIFYING, id="not in a row"),
        pytest.param("PPFPPP", RollbackState.RECOVERED, id="in a row in the end"),
        pytest.param("PP??P", RollbackState.RECOVERED, id="unknown between them"),
        pytest.param("F" * 12, RollbackState.NOT_RECOVERED, id="fails at its own deadline"),
        pytest.param("?" * 12, RollbackState.INCONCLUSIVE, id="unknown at its own deadline"),
    ],
)
def test_what_else_has_to_be_shown_is_shown_by_samples_after_the_effect(
    flow: str, state: RollbackState
) -> None:
    proof = Proof(check=FLOW, passes=3, within=minutes(3))
    world = rolled_back(proofs=(proof,))
    world.judge("PP")

    world.judge(flow, check=FLOW)

    assert world.newest.state is state
    assert (FLOW in world.newest.detail) is (state.ended and state is not RollbackState.RECOVERED)


def test_passes_of_a_check_from_before_the_effect_prove_nothing() -> None:
    proof = Proof(check=FLOW, passes=3, within=minutes(5))
    world = rolled_back(proofs=(proof,), flow="P" * 9)
    world.judge("PP")
    world.judge("PP", check=FLOW)
    meanwhile = world.newest.state
    world.judge("P", check=FLOW)

    assert meanwhile is RollbackState.VERIFYING
    assert world.newest.state is RollbackState.RECOVERED


def test_the_check_that_tripped_may_have_to_pass_more_often() -> None:
    world = rolled_back(proofs=(Proof(check=CHECK, passes=4, within=minutes(5)),))
    world.judge("PPP")
    meanwhile = world.newest.state
    world.judge("P")

    assert meanwhile is RollbackState.VERIFYING
    assert world.newest.state is RollbackState.RECOVERED


def test_a_check_that_a_reload_removed_proves_nothing() -> None:
    world = rolled_back()
    del world.situation.states[CHECK]

    world.later(5).verify()

    assert world.newest.state is RollbackState.INCONCLUSIVE


def test_what_is_not_being_verified_is_left_alone() -> None:
    world = World()
    world.know(make_rollback(state=RollbackState.FAILED))

    assert not world.verify()
