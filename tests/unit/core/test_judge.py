"""What one observation means for the health, headers and certificate of an endpoint."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from monitor.core.headers import Policy
from monitor.core.judge import NO_ANSWER, judge
from monitor.core.model.endpoint import CertificateRule, Check
from monitor.core.model.observation import Certificate, Code, Fault, Observation
from monitor.core.model.verdict import Outcome
from tests.support.judging import (
    NOON,
    answer,
    headers,
    health,
    latency_rule,
    make_check,
    no_answer,
)

DAY = timedelta(days=1)


def certificate_check(*, inclusive: bool = False) -> Check:
    """Give a check that wants 14 days."""
    return make_check(
        CertificateRule(expires_in=14 * DAY, inclusive=inclusive, at="monitor.yml:9:5")
    )


def certified(left: timedelta, **facts: Any) -> Observation:
    """Give an answer over TLS whose certificate has so much time left."""
    dates = {
        "not_before": NOON - 30 * DAY,
        "not_after": NOON + left,
        "earliest_not_after": NOON + left,
    }
    dates |= {name: facts.pop(name) for name in tuple(dates) if name in facts}
    certificate = Certificate(
        subject="CN=shop.example",
        issuer="CN=Test CA",
        subject_alternative_names=("shop.example",),
        serial_number="0b",
        fingerprint_sha256="00",
        verified=True,
        **dates,
    )

    return answer(**{"tls_version": "TLS 1.3", "certificate": certificate} | facts)


SLOW = {"duration": timedelta(seconds=2), "late": timedelta(seconds=1)}


@pytest.mark.parametrize(
    ("facts", "outcome"),
    [
        pytest.param(SLOW, Outcome.UNKNOWN, id="late for half of it"),
        pytest.param(SLOW | {"late": timedelta(milliseconds=900)}, Outcome.FAIL, id="for less"),
        pytest.param(SLOW | {"status": 503}, Outcome.FAIL, id="wrong besides"),
        pytest.param(SLOW | {"duration": timedelta(seconds=1)}, Outcome.PASS, id="right after all"),
    ],
)
def test_an_answer_is_not_slow_where_the_monitor_was_late_to_read_it(
    facts: dict[str, Any], outcome: Outcome
) -> None:
    verdict = judge(health({"response_time": {"lte": "1s"}}), answer(**facts))

    assert verdict.outcome is outcome
    if outcome is Outcome.UNKNOWN:
        assert verdict.reasons[0].code is Code.INTERNAL
        assert "the monitor itself was late for 1s of it (response time is 2s" in (
            verdict.reasons[0].message
        )


def messages(check: Check, observation: Observation) -> list[str]:
    """Judge, and give what is wrong in words."""
    return [reason.message for reason in judge(check, observation).reasons]


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_2xx_is_healthy_without_any_expectation(status: int) -> None:
    verdict = judge(health(), answer(status=status))

    assert (verdict.outcome, verdict.reasons, verdict.at) == (Outcome.PASS, (), NOON)


@pytest.mark.parametrize("status", [199, 300, 304, 404, 500, 999])
def test_everything_else_is_not(status: int) -> None:
    verdict = judge(health(), answer(status=status))

    assert verdict.outcome is Outcome.FAIL
    (reason,) = verdict.reasons
    assert reason.code is Code.STATUS
    assert reason.message == f"status is {status}, expected 2xx"
    assert (reason.expected, reason.found) == ("2xx", str(status))


def test_2xx_stays_required_beside_other_expectations() -> None:
    check = health({"body": {"contains": "ok"}})

    assert judge(check, answer(status=200, body=b"ok")).outcome is Outcome.PASS
    assert messages(check, answer(status=500, body=b"ok")) == ["status is 500, expected 2xx"]


def test_an_expected_status_replaces_2xx() -> None:
    check = health({"status": 404})

    assert judge(check, answer(status=404)).outcome is Outcome.PASS
    assert messages(check, answer(status=200)) == ["status is 200, expected 404"]


def test_a_wrong_status_is_the_only_reason_wherever_it_was_expected() -> None:
    check = health({"body": {"contains": "ok"}}, {"json": "$.a", "equals": 1}, {"status": 200})

    assert messages(check, answer(status=500)) == ["status is 500, expected 200"]


def test_everything_that_is_wrong_with_an_answer_is_said() -> None:
    check = health({"body": {"contains": "ok"}}, {"header": "x-release", "exists": True})

    assert messages(check, answer(body=b"no")) == [
        'body is "no", expected text containing "ok"',
        "header x-release is absent, expected to exist",
    ]


FAULTS = [
    code
    for code in Code
    if code not in (Code.STATUS, Code.EXPECTATION, Code.WITNESS, Code.INTERNAL)
]


@pytest.mark.parametrize("code", FAULTS)
def test_a_fault_of_the_target_fails_its_health_with_its_code(code: Code) -> None:
    verdict = judge(health(), no_answer(code, "it is broken"))

    assert verdict.outcome is Outcome.FAIL
    assert [(reason.code, reason.message) for reason in verdict.reasons] == [(code, "it is broken")]


@pytest.mark.parametrize("code", [Code.WITNESS, Code.INTERNAL, Code.TIMEOUT])
def test_a_fault_of_the_monitor_is_unknown_to_every_check(code: Code) -> None:
    observation = no_answer(code, "no descriptors left", own=True)

    for check in (health(), headers(Policy.HSTS), certificate_check()):
        verdict = judge(check, observation)
        assert verdict.outcome is Outcome.UNKNOWN
        assert [reason.code for reason in verdict.reasons] == [code]


def test_endless_redirects_fail_even_where_a_redirect_is_expected() -> None:
    endless = answer(
        status=302, fault=Fault(code=Code.TOO_MANY_REDIRECTS, message="10 redirects were followed")
    )

    verdict = judge(health({"status": 302}), endless)

    assert verdict.outcome is Outcome.FAIL
    assert [reason.code for reason in verdict.reasons] == [Code.TOO_MANY_REDIRECTS]


def test_an_answer_that_broke_off_fails_even_with_a_good_status() -> None:
    broken = answer(status=200, fault=Fault(code=Code.BAD_RESPONSE, message="the body broke off"))

    assert messages(health({"status": 200}), broken) == ["the body broke off"]


def test_a_cut_body_fails_only_what_needs_the_rest() -> None:
    cut = answer(body=b"ok and more", body_truncated=True)

    assert judge(health(), cut).outcome is Outcome.PASS
    assert judge(health({"body": {"contains": "ok"}}), cut).outcome is Outcome.PASS
    assert judge(health({"body": {"not_contains": "no"}}), cut).outcome is Outcome.FAIL


def test_headers_are_judged_by_policies_and_expectations_with_their_codes() -> None:
    check = headers(
        Policy.HSTS, Policy.NOSNIFF, expect=({"header": "x-powered-by", "exists": False},)
    )
    observation = answer(
        tls_version="TLS 1.3",
        headers=(("X-Content-Type-Options", "nosniff"), ("X-Powered-By", "PHP/5")),
    )

    verdict = judge(check, observation)

    assert verdict.outcome is Outcome.FAIL
    assert [(reason.code, reason.result) for reason in verdict.reasons] == [
        (Code.EXPECTATION, "hsts-not-implemented"),
        (Code.EXPECTATION, ""),
    ]


def test_good_headers_pass() -> None:
    check = headers(Policy.NOSNIFF, expect=({"header": "server", "exists": False},))

    verdict = judge(check, answer(headers=(("X-Content-Type-Options", "nosniff"),)))

    assert (verdict.outcome, verdict.reasons) == (Outcome.PASS, ())


@pytest.mark.parametrize("code", [Code.CONNECTION_REFUSED, Code.DNS, Code.TIMEOUT])
def test_headers_and_certificate_wait_where_no_answer_came(code: Code) -> None:
    observation = no_answer(code)
    expecting = headers(expect=({"header": "server", "exists": False},))

    for check in (headers(Policy.HSTS), expecting, headers(), certificate_check()):
        verdict = judge(check, observation)
        assert (verdict.outcome, verdict.note) == (Outcome.WAITING, NO_ANSWER)


def test_a_bad_certificate_fails_hsts_and_leaves_everything_else_out() -> None:
    observation = no_answer(Code.TLS_CERT_EXPIRED, "the certificate expired")
    expectation = {"header": "server", "exists": True}

    verdict = judge(headers(Policy.NOSNIFF, Policy.HSTS, expect=(expectation,)), observation)
    others = judge(headers(Policy.NOSNIFF, expect=(expectation,)), observation)

    assert [reason.result for reason in verdict.reasons] == ["hsts-invalid-cert"]
    assert others.outcome is Outcome.WAITING


@pytest.mark.parametrize(
    ("left", "inclusive", "outcome"),
    [
        (90 * DAY, False, Outcome.PASS),
        (14 * DAY + timedelta(seconds=1), False, Outcome.PASS),
        (14 * DAY, False, Outcome.FAIL),
        (14 * DAY, True, Outcome.PASS),
        (14 * DAY - timedelta(seconds=1), True, Outcome.FAIL),
        (timedelta(), False, Outcome.FAIL),
        (-DAY, False, Outcome.FAIL),
    ],
)
def test_a_certificate_has_to_last(left: timedelta, inclusive: bool, outcome: Outcome) -> None:
    assert judge(certificate_check(inclusive=inclusive), certified(left)).outcome is outcome


def test_how_long_a_certificate_lasts_is_said_with_its_date_and_line() -> None:
    (reason,) = judge(certificate_check(), certified(9 * DAY + timedelta(hours=3))).reasons

    assert reason.message == "the certificate expires in 9d 3h (2026-07-10), expected more than 14d"
    assert (reason.code, reason.at) == (Code.EXPECTATION, "monitor.yml:9:5")
    assert (reason.expected, reason.found) == ("more than 14d", "expires in 9d 3h")


def test_the_chain_is_as_good_as_its_weakest_certificate() -> None:
    observation = certified(2 * DAY, not_after=NOON + 90 * DAY)

    assert messages(certificate_check(inclusive=True), observation) == [
        "a certificate of the chain expires in 2d (2026-07-03), expected at least 14d"
    ]


def test_dates_count_where_nobody_verified_them() -> None:
    expired = judge(certificate_check(), certified(-2 * DAY))
    early = judge(certificate_check(), certified(90 * DAY, not_before=NOON + DAY))

    assert [reason.code for reason in expired.reasons] == [Code.TLS_CERT_EXPIRED]
    assert "expired 2d ago" in expired.reasons[0].message
    assert [reason.code for reason in early.reasons] == [Code.TLS_CERT_NOT_YET_VALID]


def test_a_certificate_counts_from_its_first_second_until_its_last() -> None:
    first = certified(90 * DAY, not_before=NOON)
    (last,) = judge(certificate_check(), certified(timedelta())).reasons
    (before,) = judge(certificate_check(), certified(timedelta(seconds=1))).reasons

    assert judge(certificate_check(), first).outcome is Outcome.PASS
    assert (last.code, last.found) == (Code.TLS_CERT_EXPIRED, "expired 0ms ago")
    assert (before.code, before.found) == (Code.EXPECTATION, "expires in 1s")


@pytest.mark.parametrize(
    "code",
    [
        Code.TLS_CERT_EXPIRED,
        Code.TLS_CERT_NOT_YET_VALID,
        Code.TLS_CERT_HOSTNAME,
        Code.TLS_CERT_UNTRUSTED,
    ],
)
def test_a_certificate_that_failed_verification_fails_with_that_code(code: Code) -> None:
    fault = Fault(code=code, message="the certificate is not for shop.example")

    for observation in (
        certified(90 * DAY, status=None, fault=fault),
        no_answer(code, fault.message),
    ):
        (reason,) = judge(certificate_check(), observation).reasons
        assert (reason.code, reason.message, reason.at) == (code, fault.message, "monitor.yml:9:5")


def test_a_certificate_that_was_seen_is_judged_whatever_happened_later() -> None:
    fault = Fault(code=Code.TIMEOUT, message="no answer within 10s")

    assert judge(certificate_check(), certified(90 * DAY, status=None, fault=fault)).outcome is (
        Outcome.PASS
    )
    assert judge(certificate_check(), certified(DAY, status=None, fault=fault)).outcome is (
        Outcome.FAIL
    )


def test_a_certificate_check_of_plain_http_says_that_there_is_no_tls() -> None:
    assert messages(certificate_check(), answer()) == [
        "the answer did not come over TLS, expected a certificate"
    ]


def test_what_is_told_of_an_answer_is_masked() -> None:
    token = 'b"4' * 50
    observation = answer(body=token.encode(), headers=(("X-Echo", token),))

    def mask(text: str) -> str:
        return text.replace(token, "***")

    sick = judge(health({"body": {"equals": "ok"}}), observation, mask=mask)
    odd = judge(headers(expect=({"header": "x-echo", "exists": False},)), observation, mask=mask)

    assert sick.reasons[0].message == 'body is "***", expected "ok"'
    assert odd.reasons[0].found == '"***"'


def test_latency_is_left_to_windows() -> None:
    with pytest.raises(AssertionError):
        judge(make_check(latency_rule()), answer())
