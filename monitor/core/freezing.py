"""Freezing: since when a baseline stands still, because of an alert or of a deploy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.core.baselines import baseline_of
from monitor.core.model.endpoint import WindowRule
from monitor.core.rollback.deploys import unproven_since

if TYPE_CHECKING:
    from datetime import datetime

    from monitor.core.model.endpoint import Check
    from monitor.core.situation import Situation


def frozen_since(check: Check, situation: Situation, at: datetime) -> datetime | None:
    """Say since when the baseline of a check stands still at a time; None where it moves along.

    What fails, or may be what a deploy brought, is not to become usual before it is known to be
    well. An alert that lasts longer than the baseline looks back lets it learn anew.
    """
    baseline = baseline_of(check.rule) if isinstance(check.rule, WindowRule) else None
    if baseline is None:
        return None

    state = situation.states.get(check.id)
    failing = state.failing_since if state is not None and state.open else None
    if failing is not None and at - failing > baseline.over:
        failing = None
    causes = (failing, unproven_since(check.service, situation, at))

    return min((one for one in causes if one is not None), default=None)
