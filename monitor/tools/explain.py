"""Explaining one observation: what was seen, and what each check found in it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from monitor.core.expectations import Evidence
from monitor.core.expectations.describing import Finding, describe
from monitor.core.headers import judge_policy
from monitor.core.judge import judge
from monitor.core.model.endpoint import HeadersRule, HealthRule, LatencyRule
from monitor.core.model.verdict import Outcome
from monitor.core.report import phases_json, reason_json
from monitor.pipeline import cut_off

if TYPE_CHECKING:
    from monitor.core.headers import PolicyResult
    from monitor.core.model.endpoint import Check, Endpoint
    from monitor.core.model.observation import Certificate, Observation
    from monitor.core.model.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedCheck:
    """One check with its verdict, and each thing that it looked at; windows need more samples."""

    check: Check
    verdict: Verdict
    findings: tuple[Finding, ...] = ()
    policies: tuple[PolicyResult, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """One observation, explained."""

    endpoint: Endpoint
    observation: Observation
    checks: tuple[ExplainedCheck, ...]

    @property
    def verdict(self) -> Outcome:
        """Fail before unknown before pass; what waits decides nothing."""
        outcomes = {one.verdict.outcome for one in self.checks}
        for outcome in (Outcome.FAIL, Outcome.UNKNOWN):
            if outcome in outcomes:
                return outcome

        return Outcome.PASS


def explain(endpoint: Endpoint, observation: Observation, *, sees: bool) -> Explained:
    """Judge one observation by each check; `sees` is False where no witness answered either."""
    if observation.fault is not None and not sees:
        observation = replace(observation, fault=cut_off(observation.fault))

    evidence = Evidence(observation)

    return Explained(
        endpoint=endpoint,
        observation=observation,
        checks=tuple(
            _explain_check(check, observation, evidence)
            for check in endpoint.checks
            if not isinstance(check.rule, LatencyRule)
        ),
    )


def explained_json(explained: Explained) -> dict[str, Any]:
    """Write it as `probe --output json`: the verdict, each check, and the raw observation."""
    seen = explained.observation

    return {
        "verdict": explained.verdict.value,
        "endpoint": explained.endpoint.name,
        "service": explained.endpoint.service,
        "target": explained.endpoint.target,
        "started_at": seen.at.isoformat(),
        "duration_seconds": seen.duration.total_seconds(),
        "phases": phases_json(seen),
        "checks": [_check_json(one) for one in explained.checks],
        "observation": _observation_json(seen),
    }


def _explain_check(check: Check, observation: Observation, evidence: Evidence) -> ExplainedCheck:
    verdict = judge(check, observation)
    if observation.fault is not None:
        return ExplainedCheck(check=check, verdict=verdict)

    match check.rule:
        case HealthRule(expectations=expectations):
            findings = tuple(describe(one, evidence) for one in expectations)
            return ExplainedCheck(check=check, verdict=verdict, findings=findings)
        case HeadersRule(policies=policies, expectations=expectations):
            return ExplainedCheck(
                check=check,
                verdict=verdict,
                findings=tuple(describe(one, evidence) for one in expectations),
                policies=tuple(judge_policy(policy, observation) for policy in policies),
            )
        case _:
            return ExplainedCheck(check=check, verdict=verdict)


def _check_json(one: ExplainedCheck) -> dict[str, Any]:
    return {
        "check": one.check.id,
        "severity": one.check.severity.value,
        "verdict": one.verdict.outcome.value,
        "reasons": [reason_json(reason) for reason in one.verdict.reasons],
        "expectations": [
            {
                "subject": finding.subject,
                "expected": finding.expected,
                "found": finding.found,
                "passed": finding.reason is None,
            }
            for finding in one.findings
        ],
        "policies": [
            {
                "policy": result.policy.value,
                "result": result.result,
                "verdict": "pass" if result.passed else "fail",
                "message": result.message,
            }
            for result in one.policies
        ],
    }


def _observation_json(seen: Observation) -> dict[str, Any]:
    return {
        "url": seen.url,
        "status": seen.status,
        "http_version": seen.http_version,
        "headers": [[name, value] for name, value in seen.headers],
        "redirects": [
            {"url": hop.url, "status": hop.status, "location": hop.location}
            for hop in seen.redirects
        ],
        "certificate": _certificate_json(seen.certificate) if seen.certificate else None,
        "tls_version": seen.tls_version,
        "address": seen.address,
        "ip_family": seen.ip_family,
        "content_length": seen.content_length,
        "body_bytes": len(seen.body),
        "body_truncated": seen.body_truncated,
        "fault": {"code": seen.fault.code.value, "message": seen.fault.message}
        if seen.fault
        else None,
    }


def _certificate_json(certificate: Certificate) -> dict[str, Any]:
    return {
        "subject": certificate.subject,
        "issuer": certificate.issuer,
        "subject_alternative_names": list(certificate.subject_alternative_names),
        "serial_number": certificate.serial_number,
        "fingerprint_sha256": certificate.fingerprint_sha256,
        "not_before": certificate.not_before.isoformat(),
        "not_after": certificate.not_after.isoformat(),
        "earliest_not_after": certificate.earliest_not_after.isoformat(),
        "verified": certificate.verified,
    }
