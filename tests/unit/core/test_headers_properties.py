"""What holds of header policies whatever an answer says: they never raise, and order is nothing."""

from __future__ import annotations

from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from monitor.core.headers import RESULTS, Policy, PolicyRule, judge_policy
from monitor.core.headers.demands import BUNDLES
from monitor.core.model.observation import Hop, Observation
from tests.support.judging import answer

_NAMES: Final = (
    *("Strict-Transport-Security", "Content-Security-Policy", "X-Frame-Options", "Referrer-Policy"),
    *("Content-Security-Policy-Report-Only", "X-Content-Type-Options", "Set-Cookie", "Server"),
    *("Cross-Origin-Resource-Policy", "Cross-Origin-Opener-Policy", "Permissions-Policy"),
    *("Cross-Origin-Embedder-Policy", "Cache-Control", "Content-Type", "X-Powered-By"),
)
_PIECES: Final = (
    *("max-age=1", "max-age", "default-src", "script-src", "'none'", "'nonce-a'", "*", "https:"),
    *("'strict-dynamic'", "frame-ancestors", ";", ",", " ", '"', "=", "(", ")", "\\", "camera=()"),
    *("no-store", "a=1", "Secure", "SameSite", "Domain=", "same-origin", "text/html", "unsafe-url"),
    *("nginx/1.2", "\x00", "\xff", "\u2028", "\ud800"),
)
_VALUES: Final = st.text(max_size=40) | st.lists(st.sampled_from(_PIECES)).map("".join)
_LINES: Final = st.lists(st.tuples(st.sampled_from(_NAMES), _VALUES), max_size=6)
_BODIES: Final = st.binary(max_size=60) | st.lists(
    st.sampled_from(
        (
            *(b"<meta ", b"<script ", b"</script", b"<base ", b">", b"/>", b"<!--", b"-->", b'"'),
            *(
                b"http-equiv=content-security-policy ",
                b"content=",
                b"name=referrer ",
                b"src=",
                b"'",
            ),
            *(
                b"https://a.example/x",
                b"//b",
                b"href=",
                b"<body",
                b"\xff",
                b"&#x27;",
                b"integrity=1",
            ),
        )
    )
).map(b"".join)
_RULES: Final = (
    *(PolicyRule(policy=policy) for policy in Policy),
    *(rule for bundle in BUNDLES.values() for rule in bundle),
)
_UNRELATED: Final = st.lists(
    st.tuples(st.sampled_from(("Date", "ETag", "Vary", "X-Request-Id")), _VALUES), max_size=4
)


def seen(lines: list[tuple[str, str]], body: bytes = b"", url: str = "http://a/") -> Observation:
    """Give an answer after one redirect, that sets the same cookies."""
    cookies = tuple(value for name, value in lines if name == "Set-Cookie")
    hop = Hop(url=url, status=301, location="https://a/", cookies=cookies)

    return answer(
        headers=tuple(lines),
        body=body,
        url="https://a/b/c",
        redirects=(hop,),
        preflight=tuple(lines),
        tls_version="TLS 1.3",
    )


@given(lines=_LINES, body=_BODIES, url=st.sampled_from(["http://a/", "", "http://[", "x"]))
def test_no_answer_makes_a_policy_raise(
    lines: list[tuple[str, str]], body: bytes, url: str
) -> None:
    observation = seen(lines, body, url)
    for rule in _RULES:
        judged = judge_policy(rule, observation)
        assert judged.result in RESULTS[rule.policy] or not judged.evaluated
        assert judged.message.isprintable()
        assert len(judged.message) <= 700


@given(lines=_LINES, others=_UNRELATED, at=st.integers(0, 6))
def test_headers_that_are_nobodys_business_change_no_verdict(
    lines: list[tuple[str, str]], others: list[tuple[str, str]], at: int
) -> None:
    mixed = [*lines[:at], *others, *lines[at:]]
    for rule in _RULES:
        assert judge_policy(rule, seen(mixed)) == judge_policy(rule, seen(lines))


@given(lines=_LINES)
def test_the_order_of_headers_of_different_names_changes_no_verdict(
    lines: list[tuple[str, str]],
) -> None:
    ordered = sorted(lines, key=lambda line: line[0])
    for rule in _RULES:
        if rule.policy is not Policy.NO_DISCLOSURE:  # lists them as they came
            assert judge_policy(rule, seen(ordered)) == judge_policy(rule, seen(lines))
