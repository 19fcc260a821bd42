"""Judging: what one observation means for a check that is judged sample by sample."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final, assert_never

from monitor.core.expectations import Evidence, Source
from monitor.core.expectations import check as check_expectation
from monitor.core.headers import has_headers, judge_policy
from monitor.core.lateness import blame_lateness, is_timely
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
from monitor.core.model.observation import CERTIFICATE_FAULTS, Code
from monitor.core.model.verdict import Outcome, Reason, Verdict
from monitor.core.values import carrier_fault, judge_value
from monitor.options import format_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from monitor.core.expectations import Expectation
    from monitor.core.model.endpoint import Check
    from monitor.core.model.observation import Certificate, Fault, Observation

NO_ANSWER: Final = "no answer to judge"
"""The note of a waiting verdict: what the check looks at never arrived."""

OPENING: Final = frozenset({Source.STATUS, Source.RCODE})
"""What an answer begins with: where that is wrong, nothing behind it is judged."""

_NOT_TLS: Final = "no TLS"
_TIMES: Final = frozenset({Source.RESPONSE_TIME})


def judge(check: Check, observation: Observation, *, mask: Callable[[str], str] = str) -> Verdict:
    """Judge one observation by a health, headers or certificate check; windows judge latency.

    The monitor's own fault is unknown. Without an answer health fails, while headers and
    certificate wait: what nobody saw is neither right nor wrong. `mask` takes secrets out of
    what is told of an answer.
    """
    if (unjudged := _leave(observation)) is not None:
        return unjudged

    match check.rule:
        case HealthRule() as rule:
            evidence = Evidence(observation, mask)
            reasons = _with_remark(judge_health(rule, evidence), observation)
            if reasons and not is_timely(observation):
                untimed = tuple(one for one in rule.expectations if one.source not in _TIMES)
                if not judge_health(replace(rule, expectations=untimed), evidence):
                    return _too_late(observation, reasons[0])
        case HeadersRule() as asked:
            judged = judge_headers(asked, observation, mask)
            if judged is None:
                return _waiting(observation)
            reasons = judged
        case CertificateRule() as about:
            judged = _judge_certificate(about, observation)
            if judged is None:
                return _waiting(observation)
            reasons = judged
        case ValueRule() as of_value:
            if (silent := _find_silence(of_value, observation)) is not None:
                return silent
            reasons = judge_value(of_value, Evidence(observation, mask))
        case LatencyRule() | RateRule() | ValueWindowRule() | DriftRule():
            raise AssertionError("what is judged by earlier samples is not judged by one alone")
        case _:
            assert_never(check.rule)

    outcome = Outcome.FAIL if reasons else Outcome.PASS

    return Verdict(outcome=outcome, at=observation.at, reasons=reasons)


def _leave(observation: Observation) -> Verdict | None:
    """Give the verdict where nothing is judged: what is seen is our own fault, or half of it."""
    fault, at = observation.fault, observation.at
    if fault is not None and fault.own:
        return Verdict(outcome=Outcome.UNKNOWN, at=at, reasons=(_of_fault(fault, ""),))
    if fault is None and observation.not_yet:
        return Verdict(outcome=Outcome.WAITING, at=at, note=observation.not_yet)

    return None


def _too_late(observation: Observation, reason: Reason) -> Verdict:
    """Give the verdict where nothing but the time was wrong, and that was our own doing."""
    message = blame_lateness(observation.late, reason.message)
    own = replace(reason, code=Code.INTERNAL, message=message)

    return Verdict(outcome=Outcome.UNKNOWN, at=observation.at, reasons=(own,))


def _waiting(observation: Observation) -> Verdict:
    return Verdict(outcome=Outcome.WAITING, at=observation.at, note=NO_ANSWER)


def _find_silence(rule: ValueRule, observation: Observation) -> Verdict | None:
    """Give the verdict where nobody gave a value: unknown, unless health tells of that."""
    silent = carrier_fault(observation)
    if silent is None:
        return None
    if rule.beside_health:
        return _waiting(observation)

    return Verdict(outcome=Outcome.UNKNOWN, at=observation.at, reasons=(silent,))


def judge_health(rule: HealthRule, evidence: Evidence) -> tuple[Reason, ...]:
    """Judge the status or rcode first: an error says nothing about what an answer should hold."""
    observation = evidence.observation
    if observation.fault is not None:
        return (_of_fault(observation.fault, "an answer"),)

    about_status = [one for one in rule.expectations if one.source in OPENING]
    others = [one for one in rule.expectations if one.source not in OPENING]
    if rule.has_status and not about_status and not _is_success(observation.status):
        return (_not_success(observation.status),)

    return _check_all(about_status, evidence) or _check_all(others, evidence)


def _with_remark(reasons: tuple[Reason, ...], observation: Observation) -> tuple[Reason, ...]:
    """Say what the probe has to say of its answer with the first thing that is wrong with it."""
    if not reasons or not observation.remark or observation.fault is not None:
        return reasons

    first, *others = reasons

    return (replace(first, message=f"{first.message} ({observation.remark})"), *others)


def _check_all(expectations: Iterable[Expectation], evidence: Evidence) -> tuple[Reason, ...]:
    reasons = (check_expectation(expectation, evidence) for expectation in expectations)

    return tuple(reason for reason in reasons if reason is not None)


def _is_success(status: int | None) -> bool:
    return status is not None and 200 <= status <= 299


def _not_success(status: int | None) -> Reason:
    found = "absent" if status is None else str(status)

    return Reason(
        code=Code.STATUS,
        message=f"status is {found}, expected 2xx",
        expected="2xx",
        found=found,
    )


def judge_headers(
    rule: HeadersRule, observation: Observation, mask: Callable[[str], str] = str
) -> tuple[Reason, ...] | None:
    """Judge the header lines; None where none of them can be judged."""
    results = [judge_policy(policy, observation) for policy in rule.policies]
    answered = has_headers(observation)
    if not answered and not any(result.evaluated for result in results):
        return None

    wrong = [
        Reason(
            code=Code.EXPECTATION,
            message=result.message,
            expected=result.expected,
            found=result.found,
            result=result.result,
        )
        for result in results
        if result.evaluated and not result.passed
    ]
    if answered:
        wrong += _check_all(rule.expectations, Evidence(observation, mask))

    return tuple(wrong)


def _judge_certificate(
    rule: CertificateRule, observation: Observation
) -> tuple[Reason, ...] | None:
    """Judge the presented chain, also one that failed verification; None without any TLS."""
    fault = observation.fault
    if fault is not None and fault.code in CERTIFICATE_FAULTS:
        return (_of_fault(fault, "a valid certificate", rule.at),)

    certificate = observation.certificate
    if certificate is not None:
        return _judge_expiry(rule, certificate, observation)

    if fault is not None:
        return None

    return (
        Reason(
            code=Code.EXPECTATION,
            message="the answer did not come over TLS, expected a certificate",
            expected="a certificate",
            found=_NOT_TLS,
            at=rule.at,
        ),
    )


def _judge_expiry(
    rule: CertificateRule, certificate: Certificate, observation: Observation
) -> tuple[Reason, ...]:
    """Judge the dates by the time of the probe; they count whether or not they were verified."""
    if observation.at < certificate.not_before:
        date = certificate.not_before.date().isoformat()
        return (
            Reason(
                code=Code.TLS_CERT_NOT_YET_VALID,
                message=f"the certificate is not valid before {date}, expected a valid one",
                expected="a valid certificate",
                found=f"not valid before {date}",
                at=rule.at,
            ),
        )

    left = certificate.earliest_not_after - observation.at
    if left > rule.expires_in or (rule.inclusive and left == rule.expires_in):
        return ()

    return (_expires(rule, certificate, left),)


def _expires(rule: CertificateRule, certificate: Certificate, left: timedelta) -> Reason:
    expired = left <= timedelta()
    date = certificate.earliest_not_after.date().isoformat()
    whose = "the certificate"
    if certificate.earliest_not_after < certificate.not_after:
        whose = "a certificate of the chain"
    when = (
        f"expired {format_duration(-left)} ago"
        if expired
        else f"expires in {format_duration(left)}"
    )
    expected = f"{'at least' if rule.inclusive else 'more than'} {format_duration(rule.expires_in)}"

    return Reason(
        code=Code.TLS_CERT_EXPIRED if expired else Code.EXPECTATION,
        message=f"{whose} {when} ({date}), expected {expected}",
        expected=expected,
        found=when,
        at=rule.at,
    )


def _of_fault(fault: Fault, expected: str, at: str = "") -> Reason:
    return Reason(
        code=fault.code,
        message=fault.message,
        expected=fault.expected or expected,
        found=fault.found or fault.message,
        at=fault.at or at,
        asked=fault.asked,
    )
