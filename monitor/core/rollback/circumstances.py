"""What a rollback depends on beside the trip itself, gathered from all that is known now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.core import withholding
from monitor.core.rollback import Circumstances
from monitor.core.thresholds import verdicts_to_open

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from monitor.core.conditions import Conditions
    from monitor.core.model.endpoint import Check
    from monitor.core.model.service import Directory
    from monitor.core.situation import Situation


def gather(
    service: str,
    triggers: Sequence[str],
    *,
    now: datetime,
    conditions: Conditions,
    directory: Directory,
    situation: Situation,
    checks: Mapping[str, Check],
    judged: Callable[[str], int],
    services: int,
) -> Circumstances:
    """Give the circumstances of a trip; `judged` is how often a check was since the start."""
    window = withholding.in_maintenance(service, directory, now)
    down = withholding.down_dependency(service, directory, situation)
    # an open trigger that was judged less often since the start than it takes to open
    warming_up = not conditions.oneshot and any(
        judged(state.check) < verdicts_to_open(checks[state.check].failure_threshold)
        for state in situation.states_of(triggers)
        if state.open and state.check in checks
    )

    return Circumstances(
        kill_switch=conditions.kill_switch,
        warming_up=warming_up,
        blind=not conditions.sees or any(state.blind for state in situation.states_of(triggers)),
        store_ok=conditions.store_works,
        services=services,
        maintenance=window.name if window else "",
        dependency=down.service if down else "",
    )
