"""Header policies: what the security headers of an answer promise, one file each, one table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from monitor.core.headers import (
    cache,
    clickjacking,
    cookies,
    cors,
    csp,
    disclosure,
    hsts,
    isolation,
    nosniff,
    permissions,
    redirect,
    referrer,
    sri,
)
from monitor.core.headers.result import (
    NOT_EVALUATED,
    Policy,
    PolicyResult,
    PolicyRule,
    Terms,
    not_evaluated,
)
from monitor.core.model.observation import Code

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from monitor.core.model.observation import Observation

__all__ = [
    "NOT_EVALUATED",
    "POLICIES",
    "RESULTS",
    "Policy",
    "PolicyResult",
    "PolicyRule",
    "Terms",
    "has_headers",
    "judge_policy",
]

POLICIES: Final[Mapping[Policy, Callable[[Observation, Terms], PolicyResult]]] = {
    Policy.HSTS: hsts.judge,
    Policy.CSP: csp.judge,
    Policy.CLICKJACKING: clickjacking.judge,
    Policy.NOSNIFF: nosniff.judge,
    Policy.REFERRER_POLICY: referrer.judge,
    Policy.COOKIES: cookies.judge,
    Policy.HTTPS_REDIRECT: redirect.judge,
    Policy.CORP: isolation.judge_corp,
    Policy.COOP: isolation.judge_coop,
    Policy.COEP: isolation.judge_coep,
    Policy.CORS: cors.judge,
    Policy.SRI: sri.judge,
    Policy.PERMISSIONS_POLICY: permissions.judge,
    Policy.NO_DISCLOSURE: disclosure.judge,
    Policy.CACHE_CONTROL: cache.judge,
}

RESULTS: Final[Mapping[Policy, tuple[str, ...]]] = {
    Policy.HSTS: hsts.RESULTS,
    Policy.CSP: csp.RESULTS,
    Policy.CLICKJACKING: clickjacking.RESULTS,
    Policy.NOSNIFF: nosniff.RESULTS,
    Policy.REFERRER_POLICY: referrer.RESULTS,
    Policy.COOKIES: cookies.RESULTS,
    Policy.HTTPS_REDIRECT: redirect.RESULTS,
    **isolation.RESULTS,
    Policy.CORS: cors.RESULTS,
    Policy.SRI: sri.RESULTS,
    Policy.PERMISSIONS_POLICY: permissions.RESULTS,
    Policy.NO_DISCLOSURE: disclosure.RESULTS,
    Policy.CACHE_CONTROL: cache.RESULTS,
}
"""Every code that a policy can give, besides `not-evaluated`."""


def judge_policy(rule: PolicyRule, observation: Observation) -> PolicyResult:
    """Judge an answer by one policy.

    Without an answer nothing is evaluated, save that a TLS failure breaks `hsts`, and that the way
    from HTTP to HTTPS can be judged before its end.
    """
    policy = rule.policy
    alone = policy is Policy.HTTPS_REDIRECT or (
        policy is Policy.HSTS and hsts.is_broken_by(observation.fault)
    )
    if alone or has_headers(observation):
        return POLICIES[policy](observation, rule.terms)

    return not_evaluated(policy, "no answer to judge")


def has_headers(observation: Observation) -> bool:
    """Whether the header lines of the final answer arrived, whatever became of its body."""
    fault = observation.fault
    if fault is not None and (fault.own or fault.code is Code.TOO_MANY_REDIRECTS):
        return False

    return observation.status is not None
