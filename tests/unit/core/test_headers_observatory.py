"""The bundle `observatory` against recorded verdicts of MDN's HTTP Observatory 1.4.8."""

from __future__ import annotations

from typing import Final

import pytest

from monitor.core.headers import Policy
from tests.support.observatory import Site, Vector, judge_site, read_vectors

# Where the Observatory is laxer than browsers, or reads on what they ignore.
PINNED: Final = {
    ("csp-meta-only", Policy.CLICKJACKING): ("x-frame-options-not-implemented", False),
    ("hsts-not-a-number", Policy.HSTS): ("hsts-header-invalid", False),
    ("xfo-twice-and-invalid", Policy.CLICKJACKING): ("x-frame-options-header-invalid", False),
    ("xfo-twice-and-invalid", Policy.NOSNIFF): ("x-content-type-options-header-invalid", False),
}


@pytest.mark.parametrize("vector", read_vectors(), ids=lambda vector: vector.id)
def test_the_bundle_agrees_with_the_observatory(vector: Vector) -> None:
    judged = {policy: (one.result, one.passed) for policy, one in judge_site(vector.site).items()}

    assert judged == {
        policy: PINNED.get((vector.id, policy), verdict)
        for policy, verdict in vector.verdicts.items()
    }
    assert vector.quirks == {policy for id, policy in PINNED if id == vector.id}


CSP = "Content-Security-Policy"
STS = ("Strict-Transport-Security", "max-age=63072000")
HTML = ("Content-Type", "text/html")
OWN = [
    (
        "two lines hold at once, so that each may close what the other leaves open",
        Site(headers=((CSP, "script-src 'self'"), (CSP, "object-src 'none'"))),
        Policy.CSP,
        ("csp-implemented-with-unsafe-inline-in-style-src-only", True),
    ),
    (
        "two policies on one line are two policies",
        Site(headers=((CSP, "default-src 'self', script-src 'none'"),)),
        Policy.CSP,
        ("csp-implemented-with-no-unsafe", True),
    ),
    (
        "a second line cannot allow what the first forbids",
        Site(headers=((CSP, "default-src 'none'"), (CSP, "script-src 'unsafe-inline'"))),
        Policy.CSP,
        ("csp-implemented-with-no-unsafe-default-src-none", True),
    ),
    (
        "what both lines allow in other words is allowed",
        Site(headers=((CSP, "default-src https:"), (CSP, "default-src *"))),
        Policy.CSP,
        ("csp-implemented-with-unsafe-inline", False),
    ),
    (
        "a second line about frames leaves an insecure source as it is",
        Site(
            headers=(
                (CSP, "default-src 'self'; script-src http://a.example"),
                (CSP, "frame-ancestors 'none'"),
            )
        ),
        Policy.CSP,
        ("csp-implemented-with-insecure-scheme", False),
    ),
    (
        "a part of script-src is bounded by the other policy's whole",
        Site(
            headers=(
                (CSP, "default-src 'self'; script-src-elem http://a.example"),
                (CSP, "script-src 'self'"),
            )
        ),
        Policy.CSP,
        ("csp-implemented-with-no-unsafe", True),
    ),
    (
        "one of two lines is not valid",
        Site(headers=((CSP, "default-src 'self'"), (CSP, "img-src *; img-src 'self'"))),
        Policy.CSP,
        ("csp-header-invalid", False),
    ),
    (
        "header and page hold at once",
        Site(
            headers=(HTML, (CSP, "object-src 'none'")),
            body=f"<meta http-equiv={CSP} content=\"script-src 'self'\">",
        ),
        Policy.CSP,
        ("csp-implemented-with-unsafe-inline-in-style-src-only", True),
    ),
    (
        "a page that only forbids frames in itself forbids nothing",
        Site(headers=(HTML,), body=f"<meta http-equiv={CSP} content=\"frame-ancestors 'none'\">"),
        Policy.CSP,
        ("csp-not-implemented", False),
    ),
    (
        "plain HTTP bounds nothing by its scheme",
        Site(headers=((CSP, "default-src http://a.example"),), https="closed", http="same"),
        Policy.CSP,
        ("csp-implemented-with-no-unsafe", True),
    ),
    (
        "a reflected origin with credentials",
        Site(
            preflight=(
                ("Access-Control-Allow-Origin", "$ORIGIN"),
                ("Access-Control-Allow-Credentials", "true"),
            )
        ),
        Policy.CORS,
        ("cross-origin-resource-sharing-implemented-with-universal-access", False),
    ),
    (
        "a reflected origin without credentials",
        Site(preflight=(("Access-Control-Allow-Origin", "$ORIGIN"),)),
        Policy.CORS,
        ("cross-origin-resource-sharing-implemented-with-restricted-access", True),
    ),
    (
        "a certificate that nobody vouches for, at the end of the redirects",
        Site(https="selfsigned"),
        Policy.HTTPS_REDIRECT,
        ("redirection-invalid-cert", False),
    ),
    (
        "a certificate that nobody vouches for",
        Site(headers=(STS,), https="selfsigned"),
        Policy.HSTS,
        ("hsts-invalid-cert", False),
    ),
    (
        "another host at once",
        Site(redirects=("$OTHERHTTPS/",)),
        Policy.HTTPS_REDIRECT,
        ("redirection-off-host-from-http", False),
    ),
    (
        "redirects that never reach HTTPS",
        Site(redirects=("$HTTP/r1", "$HTTP/r2")),
        Policy.HTTPS_REDIRECT,
        ("redirection-not-to-https", False),
    ),
    (
        "a script over the scheme of whoever looks",
        Site(headers=(HTML,), body="<script src='//cdn.example.com/a.js'></script>"),
        Policy.SRI,
        ("sri-not-implemented-and-external-scripts-not-loaded-securely", False),
    ),
    (
        "a base makes foreign what looks like our own",
        Site(
            headers=(HTML,), body="<base href='https://cdn.example/'><script src='a.js'></script>"
        ),
        Policy.SRI,
        ("sri-not-implemented-but-external-scripts-loaded-securely", False),
    ),
    (
        "a script that only a comment or another script speaks of",
        Site(headers=(HTML,), body="<!--<script src=//a>--><script>'<script src=//b>'</script>"),
        Policy.SRI,
        ("sri-not-implemented-but-all-scripts-loaded-from-secure-origin", True),
    ),
]


@pytest.mark.parametrize(
    ("site", "policy", "verdict"), [one[1:] for one in OWN], ids=[o[0] for o in OWN]
)
def test_what_browsers_do_counts_where_nobody_recorded_a_verdict(
    site: Site, policy: Policy, verdict: tuple[str, bool]
) -> None:
    judged = judge_site(site)[policy]

    assert (judged.result, judged.passed) == verdict
