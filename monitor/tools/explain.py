"""Explaining one observation: what was seen, and what each check found in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from monitor.core.expectations import Evidence
from monitor.core.expectations.describing import Finding, describe
from monitor.core.headers import has_headers, judge_policy
from monitor.core.judge import OPENING, judge
from monitor.core.model.endpoint import (
    CertificateRule,
    DriftRule,
    HeadersRule,
    HealthRule,
    LatencyRule,
    RateRule,
    ValueRule,
    ValueWindowRule,
)
from monitor.core.model.observation import Code
from monitor.core.model.verdict import JUDGED, Outcome, Verdict
from monitor.core.report import CheckReport, check_json, overall
from monitor.core.tracker import advance
from monitor.options import format_duration

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitor.core.headers import PolicyResult
    from monitor.core.model.endpoint import Check, Endpoint
    from monitor.core.model.observation import Certificate, Observation


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedCheck:
    """One check with its verdict, and each thing that it looked at.

    `unread` counts the expectations that a wrong status or rcode left without a meaning.
    """

    report: CheckReport
    findings: tuple[Finding, ...] = ()
    policies: tuple[PolicyResult, ...] = ()
    unread: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """One observation, explained; secrets are masked in all of it."""

    endpoint: Endpoint
    environment: str
    observation: Observation
    checks: tuple[ExplainedCheck, ...]

    @property
    def reports(self) -> tuple[CheckReport, ...]:
        """Each check as a run of one round would report it."""
        return tuple(one.report for one in self.checks)

    @property
    def verdict(self) -> Outcome:
        """Fail before unknown before pass; what waits decides nothing."""
        return overall(self.reports)


def explain(
    endpoint: Endpoint,
    observation: Observation,
    *,
    environment: str = "",
    mask: Callable[[str], str] = str,
) -> Explained:
    """Judge one observation by each check."""
    shown = _mask(observation, mask)

    return Explained(
        endpoint=endpoint,
        environment=environment,
        observation=shown,
        checks=tuple(
            _explain_check(endpoint, check, observation, shown, mask) for check in endpoint.checks
        ),
    )


def explained_json(explained: Explained) -> dict[str, Any]:
    """Write it as `probe --output json`: a run of one round, and the raw observation."""
    seen = explained.observation

    return {
        "verdict": explained.verdict.value,
        "started_at": seen.at.isoformat(),
        "finished_at": (seen.at + seen.duration).isoformat(),
        "environment": explained.environment,
        "cycles": 1,
        "checks": [_check_json(one) for one in explained.checks],
        "policies": [
            {
                "policy": result.policy.value,
                "result": result.result,
                "verdict": _verdict_of(result).value,
                "message": result.message,
            }
            for one in explained.checks
            for result in one.policies
        ],
        "observation": _observation_json(seen),
    }


def _explain_check(
    endpoint: Endpoint,
    check: Check,
    observation: Observation,
    shown: Observation,
    mask: Callable[[str], str],
) -> ExplainedCheck:
    verdict = _judge(check, observation, mask)
    state, _ = advance(check, None, verdict, every=endpoint.every)
    report = CheckReport(
        check=check,
        endpoint=endpoint,
        verdict=verdict.outcome,
        state=state.state,
        consecutive_failures=state.consecutive_failures,
        reasons=verdict.reasons,
        observation=shown,
        note=verdict.note or (shown.summary if verdict.outcome is Outcome.PASS else ""),
    )
    evidence = Evidence(observation, mask)
    match check.rule:
        case HealthRule() as rule if observation.fault is None:
            return _explain_health(report, rule, evidence)
        case HeadersRule(policies=policies, expectations=expectations):
            answered = has_headers(observation)
            results = (_mask_policy(judge_policy(one, observation), mask) for one in policies)
            return ExplainedCheck(
                report=report,
                findings=tuple(describe(one, evidence) for one in expectations if answered),
                policies=tuple(results),
            )
        case ValueRule(expectation=expectation, column="") if verdict.outcome in JUDGED:
            return ExplainedCheck(report=report, findings=(describe(expectation, evidence),))
        case CertificateRule() as about if verdict.outcome is Outcome.PASS:
            return ExplainedCheck(report=report, findings=(_lasts(about, observation),))
        case _:
            return ExplainedCheck(report=report)


def _judge(check: Check, observation: Observation, mask: Callable[[str], str]) -> Verdict:
    """Judge as a run would; a window says what it still needs."""
    match check.rule:
        case LatencyRule() | ValueWindowRule() as rule:
            span = f"windows of {format_duration(rule.window)}"
        case RateRule() as rule:
            span = f"the last {format_duration(rule.over)}"
        case DriftRule():
            note = "held against what a run accepted, which is not asked here"
            return Verdict(outcome=Outcome.WAITING, at=observation.at, note=note)
        case _:
            return judge(check, observation, mask=mask)

    if observation.fault is not None and observation.fault.own:
        note = "nothing was measured"
    else:
        note = f"judged over {span} with at least {rule.min_samples} samples"

    return Verdict(outcome=Outcome.WAITING, at=observation.at, note=note)


def _explain_health(report: CheckReport, rule: HealthRule, evidence: Evidence) -> ExplainedCheck:
    """Describe the status or rcode first; where it is wrong, nothing else was judged."""
    about_status = [one for one in rule.expectations if one.source in OPENING]
    others = [one for one in rule.expectations if one.source not in OPENING]
    findings = [describe(one, evidence) for one in about_status]
    if rule.has_status and not about_status:
        findings.append(_success(report, evidence.observation))
    wrong = any(reason.code is Code.STATUS for reason in report.reasons) or any(
        finding.reason for finding in findings
    )
    if wrong:
        return ExplainedCheck(report=report, findings=tuple(findings), unread=len(others))

    findings += [describe(one, evidence) for one in others]

    return ExplainedCheck(report=report, findings=tuple(findings))


def _success(report: CheckReport, observation: Observation) -> Finding:
    """Describe the status where the configuration does not speak of it."""
    reason = next((one for one in report.reasons if one.code is Code.STATUS), None)

    return Finding(subject="status", expected="2xx", found=str(observation.status), reason=reason)


def _lasts(rule: CertificateRule, observation: Observation) -> Finding:
    assert observation.certificate is not None
    left = observation.certificate.earliest_not_after - observation.at
    least = "at least" if rule.inclusive else "more than"

    return Finding(
        subject="time until the certificate expires",
        expected=f"{least} {format_duration(rule.expires_in)}",
        found=format_duration(left),
        reason=None,
    )


def _verdict_of(result: PolicyResult) -> Outcome:
    if not result.evaluated:
        return Outcome.WAITING

    return Outcome.PASS if result.passed else Outcome.FAIL


def _mask(seen: Observation, mask: Callable[[str], str]) -> Observation:
    """Take secrets out of everything that is shown of an observation."""
    return replace(
        seen,
        url=mask(seen.url),
        headers=tuple((mask(name), mask(value)) for name, value in seen.headers),
        redirects=tuple(
            replace(hop, url=mask(hop.url), location=mask(hop.location)) for hop in seen.redirects
        ),
        fault=replace(seen.fault, message=mask(seen.fault.message)) if seen.fault else None,
        values={name: _mask_value(value, mask) for name, value in seen.values.items()},
    )


def _mask_value(value: object, mask: Callable[[str], str]) -> object:
    """Take secrets out of what a kind of probe brought, and write what JSON does not know as text.

    It is as deep as the kind that brought it allows.
    """
    match value:
        case str():
            return mask(value)
        case list() | tuple():
            return [_mask_value(one, mask) for one in value]
        case Mapping():
            return {mask(str(key)): _mask_value(one, mask) for key, one in value.items()}
        case bool() | int() | float() | None:
            return value
        case _:
            return mask(str(value))


def _mask_policy(result: PolicyResult, mask: Callable[[str], str]) -> PolicyResult:
    return replace(result, message=mask(result.message), found=mask(result.found))


def _check_json(one: ExplainedCheck) -> dict[str, Any]:
    written = check_json(one.report)
    if one.findings:
        written["expectations"] = [
            {
                "subject": finding.subject,
                "expected": finding.expected,
                "found": finding.found,
                "verdict": (Outcome.FAIL if finding.reason else Outcome.PASS).value,
            }
            for finding in one.findings
        ]

    return written


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
        "values": dict(seen.values),
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
