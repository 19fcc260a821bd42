"""Results: what is kept of one probe, for windows, history and reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.core.model.changes import Result
from monitor.core.values import kept_value
from monitor.core.windows import latency_sample

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitor.core.model.endpoint import Endpoint
    from monitor.core.model.observation import Observation
    from monitor.core.model.verdict import Verdict


def make_result(
    endpoint: Endpoint,
    observation: Observation,
    verdicts: Mapping[str, tuple[Verdict, ...]],
    *,
    scheduled: bool,
    version: str | None,
) -> Result:
    """Give what is kept of a probe that was judged; of several verdicts of a check the newest."""
    judged = [(id, of_check[-1]) for id, of_check in verdicts.items() if of_check]
    codes = (reason.code for _, verdict in judged for reason in verdict.reasons)
    fault = observation.fault

    return Result(
        endpoint=endpoint.name,
        at=observation.at,
        duration=observation.duration,
        scheduled=scheduled,
        outcomes=tuple((id, verdict.outcome) for id, verdict in judged),
        code=fault.code if fault else next(codes, None),
        status=observation.status,
        latency=latency_sample(observation, endpoint.timeout),
        value=kept_value(endpoint.checks, observation),
        version=version,
    )
