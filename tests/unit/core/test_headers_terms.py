"""Policies beyond the first four, what parameters and bundles demand of all, and their mistakes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from monitor.core.headers import RESULTS, Policy, PolicyResult, PolicyRule, judge_policy
from monitor.core.headers.demands import BUNDLES, PARAMETERS, PolicyError, read_policies
from monitor.core.headers.drift import PINNED, Kind
from monitor.core.model.observation import Hop, Observation
from tests.support.judging import answer

PAGE = (Path(__file__).parents[3] / "docs/headers.md").read_text()


def seen(*lines: tuple[str, str], **facts: Any) -> Observation:
    """Give an answer over TLS with these header lines."""
    plain = {"tls_version": "TLS 1.3", "url": "https://www.shop.example/a/b"}

    return answer(headers=lines, **plain | facts)


def judge(written: object, observation: Observation) -> PolicyResult:
    """Judge by one policy as a configuration writes it."""
    (one,) = read_policies([written], raise_it)

    return judge_policy(one.rule, observation)


def raise_it(error: PolicyError) -> None:
    raise error


STS, CSP, XFO = "Strict-Transport-Security", "Content-Security-Policy", "X-Frame-Options"
TERMS = [
    ({"hsts": {"min_max_age": "365d"}}, (STS, "max-age=31536000"), True),
    ({"hsts": {"min_max_age": "365d"}}, (STS, "max-age=31535999"), False),
    ({"hsts": {"min_max_age": "1d"}}, (STS, "max-age=86400"), True),
    ({"hsts": {"include_subdomains": True}}, (STS, "max-age=63072000"), False),
    ({"hsts": {"include_subdomains": True}}, (STS, "max-age=63072000; IncludeSubdomains"), True),
    ({"hsts": {"preload": True}}, (STS, "max-age=63072000; includeSubDomains"), False),
    ({"csp": {"level": "present"}}, (CSP, "default-src *"), True),
    ({"csp": {"level": "no-unsafe"}}, (CSP, "default-src *"), False),
    ({"csp": {"level": "no-unsafe"}}, (CSP, "default-src 'self' 'unsafe-eval'"), False),
    ({"csp": {"level": "no-unsafe"}}, (CSP, "default-src 'self'; img-src http:"), True),
    ({"clickjacking": {"level": "nobody"}}, (XFO, "DENY"), True),
    ({"clickjacking": {"level": "nobody"}}, (XFO, "SAMEORIGIN"), False),
    ({"clickjacking": {"level": "nobody"}}, (CSP, "frame-ancestors 'none'"), True),
    ({"clickjacking": {"level": "nobody"}}, (CSP, "frame-ancestors 'self'"), False),
    ({"referrer-policy": {"required": True}}, ("Server", "x"), False),
    ({"referrer-policy": {"allow": ["no-referrer"]}}, ("Server", "x"), False),
    ({"referrer-policy": {"allow": ["no-referrer"]}}, ("Referrer-Policy", "same-origin"), False),
    ({"referrer-policy": {"allow": ["origin"]}}, ("Referrer-Policy", "origin"), True),
    ({"corp": {"required": True}}, ("Server", "x"), False),
    (
        {"corp": {"allow": ["same-origin", "same-site"]}},
        ("Cross-Origin-Resource-Policy", "cross-origin"),
        False,
    ),
    ({"coep": {"allow": ["require-corp"]}}, ("Cross-Origin-Embedder-Policy", "unsafe-none"), False),
    ({"cookies": {"required": True}}, ("Set-Cookie", "a=1; Secure"), False),
    ({"cookies": {"required": True}}, ("Set-Cookie", "a=1; Secure; SameSite=Lax"), True),
    ({"permissions-policy": {"require": ["camera"]}}, ("Permissions-Policy", "camera=()"), True),
    ({"permissions-policy": {"require": ["camera"]}}, ("Permissions-Policy", "usb=()"), False),
    (
        {"permissions-policy": {"require": ["camera"]}},
        ("Permissions-Policy", "camera=(self)"),
        False,
    ),
    ({"no-disclosure": {"level": "owasp"}}, ("Server", "nginx"), False),
    ({"no-disclosure": {"level": "versions"}}, ("Server", "nginx"), True),
    ({"cache-control": {"require": ["private"]}}, ("Cache-Control", "Private, max-age=60"), True),
    ({"cache-control": {"require": ["no-store", "private"]}}, ("Cache-Control", "no-store"), False),
]


@pytest.mark.parametrize(("written", "line", "passed"), TERMS, ids=str)
def test_parameters_decide_what_passes(
    written: dict[str, object], line: tuple[str, str], passed: bool
) -> None:
    judged = judge(written, seen(line))

    assert judged.passed is passed
    assert judged.passed or f", expected {judged.expected}" in judged.message


CORP, COOP, COEP = (f"Cross-Origin-{one}-Policy" for one in ("Resource", "Opener", "Embedder"))
FOUND = [
    ("corp", [], "corp-not-implemented", True),
    ("corp", [(CORP, "Same-Origin")], "corp-implemented-with-same-origin", True),
    ("corp", [(CORP, "same-origin, same-site")], "corp-header-invalid", False),
    ("corp", [(CORP, "same-site"), (CORP, "same-site")], "corp-header-invalid", False),
    ("coop", [(COOP, "same-origin")], "coop-implemented-with-same-origin", True),
    ("coop", [(COOP, 'same-origin; report-to="x"')], "coop-implemented-with-same-origin", True),
    ("coop", [(COOP, "unsafe-none;a")], "coop-implemented-with-unsafe-none", True),
    ("coop", [(COOP, '"same-origin"')], "coop-header-invalid", False),
    ("coop", [(COOP, "Same-Origin")], "coop-header-invalid", False),
    ("coop", [(COOP, "same-origin;")], "coop-header-invalid", False),
    ("coep", [(COEP, "require-corp")], "coep-implemented-with-require-corp", True),
    ("coep", [(COEP, "credentialless")], "coep-implemented-with-credentialless", True),
    ("coep", [(COEP, "require")], "coep-header-invalid", False),
    ("permissions-policy", [], "permissions-policy-not-implemented", False),
    (
        "permissions-policy",
        [("Feature-Policy", "camera 'none'")],
        "permissions-policy-not-implemented",
        False,
    ),
    (
        "permissions-policy",
        [("Permissions-Policy", 'camera=(), geolocation=(self "https://a.example"), usb=*')],
        "permissions-policy-implemented",
        True,
    ),
    (
        "permissions-policy",
        [("Permissions-Policy", "camera 'none'; usb 'self'")],
        "permissions-policy-header-invalid",
        False,
    ),
    (
        "permissions-policy",
        [("Permissions-Policy", "camera=(),")],
        "permissions-policy-header-invalid",
        False,
    ),
    ("no-disclosure", [("Server", "cloud")], "disclosure-of-products", True),
    ("no-disclosure", [("Server", "nginx/1.25.3")], "disclosure-of-versions", False),
    ("no-disclosure", [("X-AspNet-Version", "4.0")], "disclosure-of-versions", False),
    ("no-disclosure", [("X-B3-TraceId", "80f1")], "disclosure-of-products", True),
    ("no-disclosure", [("Via", "1.1 x")], "disclosure-none", True),
    ("cache-control", [], "cache-control-not-implemented", False),
    ("cache-control", [("Cache-Control", "No-Store")], "cache-control-no-store", True),
    (
        "cache-control",
        [("Cache-Control", "private"), ("Cache-Control", 'no-store, x="a,b"')],
        "cache-control-no-store",
        True,
    ),
    (
        "cache-control",
        [("Cache-Control", 'x="no-store')],
        "cache-control-header-invalid",
        False,
    ),
    ("cache-control", [("Cache-Control", "max-age=0")], "cache-control-without-no-store", False),
    (
        "referrer-policy",
        [("Referrer-Policy", "origin, no-referrer, x")],
        "referrer-policy-private",
        True,
    ),
    ("referrer-policy", [("Referrer-Policy", "unsafe-url")], "referrer-policy-unsafe", False),
    ("referrer-policy", [("Referrer-Policy", "never")], "referrer-policy-header-invalid", False),
]


@pytest.mark.parametrize(("policy", "lines", "result", "passed"), FOUND, ids=str)
def test_headers_are_read_and_not_compared(
    policy: str, lines: list[tuple[str, str]], result: str, passed: bool
) -> None:
    judged = judge(policy, seen(*lines))

    assert (judged.result, judged.passed) == (result, passed)


GOOD = "cookies-secure-with-httponly-sessions"
COOKIES = [
    (["a=1; Secure; SameSite=Lax"], f"{GOOD}-and-samesite"),
    (["a=1; Secure"], GOOD),
    (["=1; Secure"], "cookies-not-found"),
    (["flag; Secure"], "cookies-not-found"),
    (["heroku-session-affinity=1"], "cookies-not-found"),
    (["a=1"], "cookies-without-secure-flag"),
    (["a=1; Secure; SameSite=None"], f"{GOOD}-and-samesite"),
    (["a=1; Secure; SameSite=maybe"], "cookies-samesite-flag-invalid"),
    (["MySession=1; Secure"], "cookies-session-without-httponly-flag"),
    (["login=1; HttpOnly"], "cookies-session-without-secure-flag"),
    (["XCsrfToken=1; Secure"], "cookies-anticsrf-without-samesite-flag"),
    (["a=1", "a=1; Secure"], GOOD),
    (["a=1; Path=/", "a=1; Secure; Path=/a"], "cookies-without-secure-flag"),
    (["a=1; Path=/a", "a=1; Secure"], GOOD),
    (["a=1; Domain=www.shop.example", "a=1; Secure"], GOOD),
    (["a=1; Domain=shop.example", "a=1; Secure"], "cookies-without-secure-flag"),
    (["a=1; Domain=other.example"], "cookies-not-found"),
    (["a=1; Domain=example"], "cookies-not-found"),
    (["__Host-a=1; Secure; Path=/; SameSite=Lax"], f"{GOOD}-and-samesite"),
    (["__Host-a=1; Secure"], "cookies-not-found"),
    (["__Secure-a=1"], "cookies-not-found"),
]


@pytest.mark.parametrize(("lines", "result"), COOKIES, ids=str)
def test_cookies_are_those_that_a_browser_keeps(lines: list[str], result: str) -> None:
    judged = judge("cookies", seen(*(("Set-Cookie", line) for line in lines)))

    assert judged.result == result
    assert judged.passed == (result.startswith(GOOD) or result == "cookies-not-found")


def test_hsts_makes_up_for_a_missing_secure_flag_in_the_code_alone() -> None:
    judged = judge("cookies", seen(("Set-Cookie", "a=1"), (STS, "max-age=63072000")))

    assert (judged.result, judged.passed) == (
        "cookies-without-secure-flag-but-protected-by-hsts",
        False,
    )


def test_no_value_of_a_cookie_is_told() -> None:
    hop = Hop(url="https://a/", status=302, location="/", cookies=("login=hunter2",))
    judged = judge("cookies", seen(("Set-Cookie", "sess=hunter3"), redirects=(hop,)))

    assert "hunter" not in repr(judged)


def test_a_policy_by_itself_counts_before_its_bundle_and_a_later_bundle_before_an_earlier() -> None:
    read = read_policies([{"csp": {"level": "present"}}, "api", "observatory"], raise_it)

    rules = {one.rule.policy: (one.rule, one.bundle) for one in read}
    (nosniff,) = (one for one in BUNDLES["observatory"] if one.policy is Policy.CLICKJACKING)
    assert rules[Policy.CSP] == (PolicyRule(policy=Policy.CSP), "")
    assert rules[Policy.CLICKJACKING] == (nosniff, "observatory")
    assert rules[Policy.CACHE_CONTROL][1] == "api"


MISTAKES = [
    (["hst"], (0,), "unknown policy hst; did you mean hsts?"),
    ([{"hsts": {}, "csp": {}}], (0,), 'expected a policy, or a map with one, found {"hsts"'),
    ([7], (0,), "expected a policy, or a map with one, found 7"),
    ([{"api": {}}], (0,), "the bundle api has no parameters"),
    (["csp", {"csp": {}}], (1,), "csp is named twice"),
    ([{"hsts": None}], (0, "hsts"), "expected a map of parameters, found null"),
    ([{"hsts": {"age": "1d"}}], (0, "hsts", "age"), "unknown parameter age, expected min_max_age"),
    ([{"nosniff": {"level": "x"}}], (0, "nosniff", "level"), "nosniff has none"),
    ([{"hsts": {"min_max_age": 7}}], (0, "hsts", "min_max_age"), "expected a duration"),
    ([{"hsts": {"preload": "yes"}}], (0, "hsts", "preload"), "expected true or false"),
    ([{"csp": {"level": "strict"}}], (0, "csp", "level"), "expected present or no-unsafe"),
    ([{"corp": {"allow": []}}], (0, "corp", "allow"), "expected a list of same-origin"),
    ([{"corp": {"allow": ["x"]}}], (0, "corp", "allow"), "expected a list of same-origin"),
    ([{"corp": {"allow": [{}]}}], (0, "corp", "allow"), "expected a list of same-origin"),
    ([{"cache-control": {"require": "x"}}], (0, "cache-control", "require"), "a list of names"),
]


@pytest.mark.parametrize(
    ("written", "path", "message"), MISTAKES, ids=lambda value: str(value)[:50]
)
def test_a_mistake_says_where_it_is_and_what_was_wanted(
    written: list[object], path: tuple[object, ...], message: str
) -> None:
    found: list[PolicyError] = []
    read_policies(written, found.append)

    (error,) = found
    assert error.path == path
    assert message in error.message


def test_the_page_has_every_policy_parameter_bundle_and_result() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \| `([a-z-]+)` \| (?:yes|no)", PAGE, re.MULTILINE)
    told = {
        policy: row
        for policy in Policy
        if (row := re.search(rf"^\| `{policy}` \|.*\|(.*)\|$", PAGE, re.MULTILINE))
    }

    assert sorted(rows) == sorted((p, result) for p, codes in RESULTS.items() for result in codes)
    assert set(told) == set(Policy)
    for policy, parameters in PARAMETERS.items():
        assert [name for name in parameters if f"`{name}`" not in told[policy][1]] == []
        words = [word for one in parameters.values() for word in one.words]
        if policy is not Policy.REFERRER_POLICY:
            assert [word for word in words if f"`{word}`" not in told[policy][1]] == []
    for name, rules in BUNDLES.items():
        row = re.search(rf"^\| `{name}` \|(.*)\|$", PAGE, re.MULTILINE)
        assert row is not None
        assert [rule.policy for rule in rules if f"`{rule.policy}`" not in row[1]] == []
    assert [kind for kind in Kind if f"`drift-{kind}`" not in PAGE] == []
    assert [
        name
        for name in PINNED
        if not name.startswith("cross-") and name not in PAGE.lower() and "report-only" not in name
    ] == []


def test_what_is_new_in_each_answer_keeps_no_verdict_from_being_remembered() -> None:
    def answered(token: str) -> Observation:
        return seen(
            (CSP, f"script-src 'nonce-{token}'; frame-ancestors 'none'"),
            ("Set-Cookie", f"sess={token}; Expires=Wed, 21 Oct {token} 07:28:00 GMT; Secure"),
        )

    for policy in ("csp", "clickjacking", "cookies"):
        assert judge(policy, answered("2031")) is judge(policy, answered("2032"))
