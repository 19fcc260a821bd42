"""Header policies: what the security headers of an answer promise, one file each, one table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from monitor.core.headers import clickjacking, csp, hsts, nosniff
from monitor.core.headers.result import NOT_EVALUATED, Policy, PolicyResult
from monitor.core.model.observation import Code

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from monitor.core.model.observation import Observation

__all__ = ["NOT_EVALUATED", "POLICIES", "Policy", "PolicyResult", "has_headers", "judge_policy"]

POLICIES: Final[Mapping[Policy, Callable[[Observation], PolicyResult]]] = {
    Policy.HSTS: hsts.judge,
    Policy.CSP: csp.judge,
    Policy.NOSNIFF: nosniff.judge,
    Policy.CLICKJACKING: clickjacking.judge,
}


def judge_policy(policy: Policy, observation: Observation) -> PolicyResult:
    """Judge the header lines of an answer by one policy.

    Without an answer nothing is evaluated, save that a TLS failure breaks `hsts`.
    """
    if policy is Policy.HSTS and hsts.is_broken_by(observation.fault):
        return hsts.judge(observation)

    if not has_headers(observation):
        return PolicyResult(
            policy=policy,
            result=NOT_EVALUATED,
            passed=False,
            message="no answer to judge",
            evaluated=False,
        )

    return POLICIES[policy](observation)


def has_headers(observation: Observation) -> bool:
    """Whether the header lines of the final answer arrived, whatever became of its body."""
    fault = observation.fault
    if fault is not None and (fault.own or fault.code is Code.TOO_MANY_REDIRECTS):
        return False

    return observation.status is not None
