"""What is written of an effect, so that people need not look for why it failed."""

from __future__ import annotations

import pytest

from monitor.core import wording
from monitor.core.model.rollback import Effect, EffectOutcome, RollbackState, Step
from monitor.core.rollback import effects
from tests.support.rolling import World


def finish(outcome: EffectOutcome, detail: str, output: str) -> tuple[World, Step]:
    """Decide a rollback of 1.0.9, and let its step end so."""
    world = World()
    world.passes()
    world.deploy("1.0.9")
    world.later(1).fails()
    world.decide()
    (step,) = world.situation.steps_of(world.newest.id)
    assert world.policy is not None
    ended = effects.finish(
        world.newest,
        step,
        Effect(outcome=outcome, detail=detail, output=output),
        world.policy,
        world.situation,
        world.now,
    )
    world.keep(ended)

    return world, ended.steps[0]


def test_a_rollback_that_failed_says_why_and_that_a_person_has_to_act() -> None:
    output = "restoring 1.0.0\ncurl: (22) 403\ttoken  expired\n\n"
    world, step = finish(EffectOutcome.REFUSED, "exit 3", output)

    assert wording.rollback_headline(world.newest) == (
        "shop: rollback of 1.0.9 (no version is known to be good) failed, a person has to act: "
        "step 1 (command) exit 3: curl: (22) 403 token expired"
    )
    assert wording.step_text(step) == (
        "rollback step 1 (command) failed: exit 3: curl: (22) 403 token expired"
    )
    assert step.output == output


def test_what_is_uncertain_says_what_was_heard_last() -> None:
    world, _ = finish(EffectOutcome.UNCERTAIN, "did not end within 60s, stopped", "waiting\n")

    assert world.newest.state is RollbackState.UNCERTAIN
    assert world.newest.detail == "step 1 (command) did not end within 60s, stopped: waiting"


def test_what_is_done_needs_no_explanation() -> None:
    _, step = finish(EffectOutcome.DONE, "exit 0", "all is well")

    assert step.detail == "exit 0"


@pytest.mark.parametrize(
    ("output", "detail"),
    [
        pytest.param("", "answered 403", id="nothing was said"),
        pytest.param('{\n "error": "no"\n}\n', 'answered 403: "error": "no"', id="JSON"),
        pytest.param("<html>\n<p>no</p>\n</html>", "answered 403", id="a page"),
        pytest.param("no\x1b[31m\x07\r\n", "answered 403: no [31m", id="control characters"),
    ],
)
def test_only_a_line_with_words_explains(output: str, detail: str) -> None:
    _, step = finish(EffectOutcome.REFUSED, "answered 403", output)

    assert step.detail == detail


def test_an_explanation_is_bounded() -> None:
    _, step = finish(EffectOutcome.REFUSED, "exit 3", "x" * 70_000)

    assert len(step.detail) == len("exit 3: ") + 200
