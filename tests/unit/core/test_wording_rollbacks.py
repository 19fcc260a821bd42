"""The sentences about rollbacks that wait for people, and about remedies."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from monitor.core import wording
from monitor.core.model.rollback import Blocked, Mode, RollbackKind, RollbackState, Step, StepState
from monitor.core.wording.rollbacks import summarize
from tests.support.rolling import NOON, make_rollback

DUE = NOON + timedelta(minutes=15, seconds=5)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        pytest.param(
            {"state": RollbackState.COUNTDOWN, "due_at": DUE},
            "shop: rollback from v2 to v1 about to begin at 12:15:05 UTC unless it is vetoed:"
            " api.health: status is 500",
            id="a countdown",
        ),
        pytest.param(
            {"state": RollbackState.AWAITING, "due_at": DUE},
            "shop: rollback from v2 to v1 waits for approval, until 12:15:05 UTC:"
            " api.health: status is 500",
            id="an approval",
        ),
        pytest.param(
            {"state": RollbackState.EXECUTING, "approved_by": "ann"},
            "shop: rollback from v2 to v1 under way, as ann decided",
            id="an approval that came",
        ),
        pytest.param(
            {"state": RollbackState.BLOCKED, "blocked": Blocked.EXPIRED},
            "shop: rollback from v2 to v1 blocked: EXPIRED (nobody approved it in time)",
            id="an approval that came too late",
        ),
        pytest.param(
            {"state": RollbackState.CANCELLED, "detail": "vetoed by bob: not now"},
            "shop: rollback from v2 to v1 called off: vetoed by bob: not now",
            id="a veto",
        ),
        pytest.param(
            {"state": RollbackState.EXECUTING, "kind": RollbackKind.REMEDY},
            "shop: remedy under way",
            id="a remedy leaves the version",
        ),
        pytest.param(
            {
                "state": RollbackState.EXECUTING,
                "kind": RollbackKind.REMEDY,
                "level": 2,
                "detail": "step 1 (command) exit 1",
            },
            "shop: remedy goes on with level 2: step 1 (command) exit 1",
            id="the next level",
        ),
    ],
)
def test_people_read_what_is_about_to_happen_and_until_when(
    facts: dict[str, Any], said: str
) -> None:
    rollback = make_rollback(
        **{
            "mode": Mode.APPROVE,
            "from_version": "v2",
            "to_version": "v1",
            "reason": "api.health: status is 500",
            **facts,
        }
    )

    assert wording.rollback_headline(rollback) == said


def test_a_notice_knows_what_may_be_pressed() -> None:
    counting = summarize(make_rollback(state=RollbackState.COUNTDOWN, due_at=DUE))
    awaiting = summarize(make_rollback(state=RollbackState.AWAITING, due_at=DUE))
    running = summarize(make_rollback(state=RollbackState.EXECUTING))

    assert [(one.approvable, one.vetoable) for one in (counting, awaiting, running)] == [
        (False, True),
        (True, True),
        (False, False),
    ]
    assert counting.due_at == DUE


def test_a_step_is_called_by_its_name() -> None:
    step = Step(
        key="r.2.1",
        rollback="r",
        level=2,
        number=1,
        kind="command",
        state=StepState.DONE,
        attempt=1,
        at=NOON,
        detail="exit 0",
        name="escrow.rollback",
    )

    assert wording.step_text(step, RollbackKind.REMEDY) == (
        "remedy step 1 of level 2 (escrow.rollback, command) done: exit 0"
    )
