"""Why a trip is held back, in words, where the code of the reason does not say enough."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from monitor.core import wording
from monitor.core.model.rollback import Blocked
from monitor.core.rollback.deploys import BEFORE, closed_before
from monitor.core.rollback.guards import began_to_fail, failing_before, failing_together

if TYPE_CHECKING:
    from monitor.core.model.deploy import Deploy
    from monitor.core.rollback.guards import Trip

_MINUTE: Final = timedelta(minutes=1)


def explain(blocked: Blocked, trip: Trip) -> str:
    """Say in words what a guard found; empty where its code has words of its own."""
    match blocked:
        case Blocked.NO_DEPLOY:
            live = trip.situation.current_deploy(trip.service.name)
            if live is not None and live.baseline:
                since = f"since the monitor first saw {live.version}"
                return f"no deploy {since}, so there is nothing to undo"
            return ""
        case Blocked.MAINTENANCE:
            return f"{trip.circumstances.maintenance} holds for it"
        case Blocked.DEPENDENCY_DOWN:
            return f"{trip.circumstances.dependency}, which it depends on, is down"
        case Blocked.COMMON_CAUSE:
            return _explain_common_cause(trip)
        case Blocked.UNHEALTHY_BEFORE if trip.deploy is not None:
            return _explain_health(trip.deploy, trip)
        case _:
            return ""


def _explain_common_cause(trip: Trip) -> str:
    """Name who fails as well, and how close to each other all of it began."""
    began = failing_together(trip)
    own = began_to_fail(trip)
    apart = math.ceil(max(abs(since - own) for since in began.values()) / _MINUTE)
    within = "a minute" if apart <= 1 else wording.duration_text(apart * _MINUTE)

    return (
        f"{wording.listed(sorted(began))} began to fail within {within} of it, so what they share "
        "is more likely to be the cause than the deploy"
    )


def _explain_health(deploy: Deploy, trip: Trip) -> str:
    """Say what is known of the time before a deploy, the worst first."""
    deployed = f"{deploy.version} was deployed"
    closed = closed_before(deploy, trip.policy.triggers, trip.situation)
    if closed and not failing_before(deploy, trip.policy.triggers, trip.situation):
        healthy, needed = (wording.duration_text(one) for one in (deploy.at - max(closed), BEFORE))
        return f"it had recovered only {healthy} before {deployed}, and {needed} are needed"
    if deploy.healthy_before is None:
        return f"it is not known to have been healthy before {deployed}"

    return f"it was failing already when {deployed}"
