"""What header policies say of an answer: codes as MDN's HTTP Observatory names them."""

from __future__ import annotations

from typing import Any

import pytest

from monitor.core.headers import (
    NOT_EVALUATED,
    POLICIES,
    RESULTS,
    Policy,
    PolicyResult,
    PolicyRule,
    Terms,
    judge_policy,
)
from monitor.core.model.observation import Code, Fault, Observation
from tests.support.judging import answer, no_answer

STS, CSP = "Strict-Transport-Security", "Content-Security-Policy"
CSP_REPORT, CTO, XFO = f"{CSP}-Report-Only", "X-Content-Type-Options", "X-Frame-Options"


def judge(policy: Policy, observation: Observation, **terms: Any) -> PolicyResult:
    """Judge by one policy, with these parameters."""
    return judge_policy(PolicyRule(policy=policy, terms=Terms(**terms)), observation)


def page(*lines: tuple[str, str], tls: bool = True) -> Observation:
    """Give an answer with these header lines."""
    return answer(headers=lines, tls_version="TLS 1.3" if tls else None)


HSTS = [
    ([], "hsts-not-implemented", False),
    (["max-age=63072000; includeSubDomains"], "hsts-implemented-max-age-at-least-six-months", True),
    (["max-age=15552000"], "hsts-implemented-max-age-at-least-six-months", True),
    (['MAX-AGE="31536000" ; Preload;'], "hsts-implemented-max-age-at-least-six-months", True),
    (["max-age = 31536000"], "hsts-implemented-max-age-at-least-six-months", True),
    (["max-age=" + "9" * 5000], "hsts-implemented-max-age-at-least-six-months", True),
    (
        ["max-age=15551999; includeSubDomains; preload"],
        "hsts-implemented-max-age-less-than-six-months",
        False,
    ),
    (["max-age=0"], "hsts-implemented-max-age-less-than-six-months", False),
    (["includeSubDomains"], "hsts-header-invalid", False),
    (["max-age=abc"], "hsts-header-invalid", False),
    (["max-age=-1"], "hsts-header-invalid", False),
    (["max-age=٣١٥٣٦٠٠٠"], "hsts-header-invalid", False),
    (["max-age="], "hsts-header-invalid", False),
    (["max-age"], "hsts-header-invalid", False),
    ([""], "hsts-header-invalid", False),
    (["max-age=31536000; max-age=31536000"], "hsts-header-invalid", False),
    (["max-age=31536000, max-age=31536000"], "hsts-header-invalid", False),
    (["max-age=31536000", "max-age=31536000"], "hsts-header-invalid", False),
    (["x-max-age=31536000"], "hsts-header-invalid", False),
]


@pytest.mark.parametrize(("lines", "result", "passed"), HSTS, ids=lambda value: repr(value)[:60])
def test_hsts_is_read_as_browsers_read_it(lines: list[str], result: str, passed: bool) -> None:
    judged = judge(Policy.HSTS, page(*((STS, line) for line in lines)))

    assert (judged.result, judged.passed) == (result, passed)


def test_hsts_over_plain_http_says_that_browsers_honour_it_over_https_alone() -> None:
    judged = judge(Policy.HSTS, page((STS, "max-age=31536000"), tls=False))

    assert judged.result == "hsts-not-implemented-no-https"
    assert not judged.passed
    assert "HTTPS" in judged.message


TLS_FAULTS = [
    Code.TLS_CERT_EXPIRED,
    Code.TLS_CERT_NOT_YET_VALID,
    Code.TLS_CERT_HOSTNAME,
    Code.TLS_CERT_UNTRUSTED,
    Code.TLS_HANDSHAKE,
]


@pytest.mark.parametrize("code", TLS_FAULTS)
def test_a_tls_failure_breaks_hsts_and_leaves_the_other_policies_out(code: Code) -> None:
    observation = no_answer(code, "the certificate of shop.example expired yesterday")

    broken = judge(Policy.HSTS, observation)
    others = [judge(policy, observation) for policy in Policy if policy is not Policy.HSTS]

    assert (broken.result, broken.passed, broken.evaluated) == ("hsts-invalid-cert", False, True)
    assert "expired yesterday" in broken.message
    assert {(other.result, other.evaluated) for other in others} == {(NOT_EVALUATED, False)}


@pytest.mark.parametrize(
    "observation",
    [
        no_answer(Code.CONNECTION_REFUSED),
        no_answer(Code.DNS),
        no_answer(Code.INTERNAL, own=True),
        no_answer(Code.TLS_CERT_EXPIRED, own=True),
        answer(status=302, fault=Fault(code=Code.TOO_MANY_REDIRECTS, message="no end")),
    ],
    ids=["refused", "no address", "a bug of ours", "a fault of ours", "endless redirects"],
)
def test_no_answer_is_neither_a_pass_nor_a_fail_of_any_policy(observation: Observation) -> None:
    for policy in Policy:
        judged = judge(policy, observation)
        assert (judged.policy, judged.result, judged.evaluated) == (policy, NOT_EVALUATED, False)


def test_header_lines_are_judged_even_where_the_body_never_came() -> None:
    stalled = answer(
        headers=((CTO, "nosniff"),), fault=Fault(code=Code.TIMEOUT, message="no end of the body")
    )

    assert judge(Policy.NOSNIFF, stalled).passed


NOSNIFF = [
    ([], "x-content-type-options-not-implemented", False),
    (["nosniff"], "x-content-type-options-nosniff", True),
    (["NoSniff"], "x-content-type-options-nosniff", True),
    ([" nosniff "], "x-content-type-options-nosniff", True),
    (["nosniff", "nosniff"], "x-content-type-options-header-invalid", False),
    (["nosniff, nosniff"], "x-content-type-options-header-invalid", False),
    (["sniff"], "x-content-type-options-header-invalid", False),
    ([""], "x-content-type-options-not-implemented", False),
    (["", ""], "x-content-type-options-header-invalid", False),
]


@pytest.mark.parametrize(("lines", "result", "passed"), NOSNIFF, ids=str)
def test_nosniff_is_the_one_value_sent_once(lines: list[str], result: str, passed: bool) -> None:
    judged = judge(Policy.NOSNIFF, page(*((CTO, line) for line in lines)))

    assert (judged.result, judged.passed) == (result, passed)


def test_a_header_that_is_sent_twice_is_said_to_be() -> None:
    twice = page((CTO, "nosniff"), (CTO, "nosniff"), (XFO, "DENY"), (XFO, "DENY"))

    assert "sent 2 times" in judge(Policy.NOSNIFF, twice).message
    assert "sent 2 times" in judge(Policy.CLICKJACKING, twice).message


CLICKJACKING = [
    ([], "x-frame-options-not-implemented", False),
    ([(XFO, "DENY")], "x-frame-options-sameorigin-or-deny", True),
    ([(XFO, "  SameOrigin ")], "x-frame-options-sameorigin-or-deny", True),
    ([(XFO, "DENY"), (XFO, "DENY")], "x-frame-options-header-invalid", False),
    ([(XFO, "DENY, SAMEORIGIN")], "x-frame-options-header-invalid", False),
    ([(XFO, "ALLOWALL")], "x-frame-options-header-invalid", False),
    ([(XFO, "")], "x-frame-options-not-implemented", False),
    ([(XFO, "ALLOW-FROM https://a.example")], "x-frame-options-allow-from-origin", False),
    ([(XFO, "allow-from")], "x-frame-options-allow-from-origin", False),
    ([(CSP, "frame-ancestors 'none'")], "x-frame-options-implemented-via-csp", True),
    ([(CSP, "frame-ancestors")], "x-frame-options-implemented-via-csp", True),
    (
        [(CSP, "default-src 'self'; FRAME-ANCESTORS 'self' https://a.example")],
        "x-frame-options-implemented-via-csp",
        True,
    ),
    (
        [(CSP, "frame-ancestors 'none'"), (XFO, "nonsense")],
        "x-frame-options-implemented-via-csp",
        True,
    ),
    ([(CSP, "default-src 'none'")], "x-frame-options-not-implemented", False),
    (
        [(CSP, "default-src 'none'"), (CSP, "frame-ancestors 'none'")],
        "x-frame-options-implemented-via-csp",
        True,
    ),
    (
        [(CSP, "default-src 'none', frame-ancestors 'none'")],
        "x-frame-options-implemented-via-csp",
        True,
    ),
    (
        [(CSP, "frame-ancestors *"), (CSP, "frame-ancestors 'self'")],
        "x-frame-options-implemented-via-csp",
        True,
    ),
    ([(CSP_REPORT, "frame-ancestors 'none'")], "x-frame-options-not-implemented", False),
    ([(CSP, "frame-ancestors *")], "x-frame-options-header-invalid", False),
    ([(CSP, "frame-ancestors https:"), (XFO, "DENY")], "x-frame-options-header-invalid", False),
]


@pytest.mark.parametrize(("lines", "result", "passed"), CLICKJACKING, ids=str)
def test_framing_is_judged_by_what_browsers_obey(
    lines: list[tuple[str, str]], result: str, passed: bool
) -> None:
    judged = judge(Policy.CLICKJACKING, page(*lines))

    assert (judged.result, judged.passed) == (result, passed)


def test_frame_ancestors_in_the_page_itself_keep_nobody_out() -> None:
    meta = b'<meta http-equiv="Content-Security-Policy" content="frame-ancestors \'none\'">'

    judged = judge(Policy.CLICKJACKING, answer(body=meta, tls_version="TLS 1.3"))

    assert judged.result == "x-frame-options-not-implemented"


NO_UNSAFE = "csp-implemented-with-no-unsafe"
UNSAFE_INLINE = "csp-implemented-with-unsafe-inline"
CONTENT = [
    ([], "csp-not-implemented", False),
    ([(CSP_REPORT, "default-src 'self'")], "csp-not-implemented-but-reporting-enabled", False),
    (
        [
            (
                CSP,
                "default-src 'self'; form-action 'self'; base-uri 'self'; object-src 'none'; "
                "frame-ancestors 'none'; upgrade-insecure-requests",
            )
        ],
        NO_UNSAFE,
        True,
    ),
    (
        [(CSP, "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'")],
        f"{NO_UNSAFE}-default-src-none",
        True,
    ),
    (
        [(CSP, "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'")],
        "csp-implemented-with-unsafe-inline-in-style-src-only",
        True,
    ),
    (
        [(CSP, "default-src 'self'; script-src 'self' 'unsafe-eval'")],
        "csp-implemented-with-unsafe-eval",
        True,
    ),
    (
        [(CSP, "default-src 'self'; script-src 'self' http://cdn.example.com")],
        "csp-implemented-with-insecure-scheme",
        True,
    ),
    (
        [(CSP, "default-src 'self'; img-src http://cdn.example.com")],
        "csp-implemented-with-insecure-scheme-in-passive-content-only",
        True,
    ),
    (
        [(CSP, "default-src 'self'; script-src 'self'; script-src 'none'")],
        "csp-header-invalid",
        False,
    ),
    (
        [(CSP, "default-src 'self'; report-uri /a; report-uri /b")],
        "csp-implemented-but-duplicate-directives",
        True,
    ),
    (
        [(CSP, "default-src 'none'; script-src 'nonce-abc123' 'unsafe-inline'; base-uri 'none'")],
        f"{NO_UNSAFE}-default-src-none",
        True,
    ),
    ([(CSP, "default-src 'self'; script-src 'strict-dynamic'")], "csp-header-invalid", False),
    (
        [(CSP, "default-src 'self'; script-src 'strict-dynamic' 'nonce-a' https: 'unsafe-inline'")],
        NO_UNSAFE,
        True,
    ),
    ([(CSP, "default-src 'self' 'unsafe-inline'")], UNSAFE_INLINE, True),
    ([(CSP, "frame-ancestors 'none'")], UNSAFE_INLINE, True),
    ([(CSP, "script-src *; object-src 'none'")], UNSAFE_INLINE, True),
    ([(CSP, "default-src 'self'"), (CSP, "img-src *")], NO_UNSAFE, True),
    ([(CSP, "")], "csp-header-invalid", False),
    ([(CSP, " ; ; ")], "csp-header-invalid", False),
    ([(CSP, "on")], "csp-header-invalid", False),
]


@pytest.mark.parametrize(("lines", "result", "passed"), CONTENT, ids=lambda value: repr(value)[:90])
def test_a_content_security_policy_is_there_and_can_be_followed(
    lines: list[tuple[str, str]], result: str, passed: bool
) -> None:
    judged = judge(Policy.CSP, page(*lines))

    assert (judged.result, judged.passed) == (result, passed)


META = "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'\">"


@pytest.mark.parametrize(
    ("body", "content_type", "result"),
    [
        (f"<html><head>{META}</head>", "text/html; charset=utf-8", f"{NO_UNSAFE}-default-src-none"),
        (
            '<META content="default-src &#39;self&#39;"\nHTTP-EQUIV=content-security-policy >',
            "text/html",
            NO_UNSAFE,
        ),
        (f"<!-- {META} -->", "text/html", "csp-not-implemented"),
        (f"<head></head><body>{META}", "text/html", "csp-not-implemented"),
        (META, "application/json", "csp-not-implemented"),
        ("<meta http-equiv='Content-Security-Policy'>", "text/html", "csp-not-implemented"),
        ("<meta name=viewport content=x>", "text/html", "csp-not-implemented"),
        ("<meta " * 20_000, "text/html", "csp-not-implemented"),
        ("<!-- " * 20_000, "text/html", "csp-not-implemented"),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_a_page_may_carry_its_content_security_policy_itself(
    body: str, content_type: str, result: str
) -> None:
    observation = answer(headers=(("Content-Type", content_type),), body=body.encode())

    assert judge(Policy.CSP, observation).result == result


def test_every_policy_has_its_judge_and_tells_whom_it_wakes_what_to_send() -> None:
    assert set(POLICIES) == set(RESULTS) == set(Policy)
    for policy in (Policy.HSTS, Policy.CSP, Policy.NOSNIFF, Policy.CLICKJACKING):
        judged = judge(policy, page())
        assert "is absent, expected" in judged.message
        assert judged.expected
        assert judged.found == "absent"
