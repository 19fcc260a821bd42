"""Explaining one observation: what each check found, with the same judgement as a run."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from monitor.cli.explained import took_text, write_explained
from monitor.cli.look import Look
from monitor.core.expectations import compile_expectation
from monitor.core.headers import Policy, PolicyRule
from monitor.core.model.endpoint import (
    CertificateRule,
    HeadersRule,
    HealthRule,
    KOfN,
    LatencyRule,
    OnInsufficient,
    RateRule,
    ValueRule,
)
from monitor.core.model.observation import Certificate, Code, Hop, Phase
from monitor.core.model.verdict import Outcome
from monitor.tools.explain import explain, explained_json
from tests.support.judging import NOON, answer, make_check, no_answer
from tests.support.watching import make_endpoint

if TYPE_CHECKING:
    from monitor.core.model.endpoint import Check
    from monitor.core.model.observation import Observation
    from monitor.tools.explain import Explained


def health(*raw: object) -> HealthRule:
    return HealthRule(
        expectations=tuple(one for item in raw for one in compile_expectation(item, ""))
    )


def explained(check: Check, seen: Observation, **how: Any) -> Explained:
    return explain(make_endpoint(check), seen, **how)


def text(check: Check, seen: Observation, **how: Any) -> str:
    return write_explained(explained(check, seen, **how), Look())


def certificate(**parts: Any) -> Certificate:
    plain: dict[str, Any] = {
        "subject": "CN=shop.example",
        "issuer": "CN=authority",
        "subject_alternative_names": ("shop.example",),
        "serial_number": "1",
        "fingerprint_sha256": "ab",
        "not_before": NOON - timedelta(days=1),
        "not_after": NOON + timedelta(days=30),
        "earliest_not_after": NOON + timedelta(days=30),
        "verified": True,
    }

    return Certificate(**plain | parts)


def test_without_a_word_about_the_status_2xx_is_expected() -> None:
    (one,) = explained(make_check(health()), answer(status=204)).checks

    (finding,) = one.findings
    assert (finding.subject, finding.expected, finding.found) == ("status", "2xx", "204")
    assert finding.reason is None


def test_a_wrong_status_leaves_the_others_unread() -> None:
    check = make_check(health({"status": 200}, {"body": {"contains": "x"}}))

    (one,) = explained(check, answer(status=500)).checks

    assert [finding.found for finding in one.findings] == ["500"]
    assert one.unread == 1
    assert "1 more expectation means nothing with this status" in text(check, answer(status=500))


def test_the_state_is_that_of_a_first_round() -> None:
    check = make_check(health())
    (below,) = explained(make_check(health(), threshold=KOfN(k=2, n=3)), answer(status=500)).reports
    (reached,) = explained(check, answer(status=500)).reports

    assert (below.state, below.consecutive_failures) == (Outcome.UNKNOWN, 1)
    assert reached.consecutive_failures == 1


def test_a_window_waits_and_says_for_what() -> None:
    rule = LatencyRule(
        percentile=95,
        limit=timedelta(seconds=1),
        inclusive=False,
        window=timedelta(minutes=5),
        min_samples=20,
        on_insufficient=OnInsufficient.HOLD,
    )
    check = make_check(rule)

    assert explained(check, answer()).verdict is Outcome.PASS
    assert "judged over windows of 5m with at least 20 samples" in text(check, answer())
    assert "nothing was measured" in text(check, no_answer(Code.INTERNAL, own=True))


def test_a_rate_waits_and_says_over_which_time() -> None:
    rule = RateRule(
        of="api.health",
        limit=0.05,
        inclusive=False,
        over=timedelta(minutes=5),
        min_samples=20,
    )

    assert "judged over the last 5m with at least 20 samples" in text(make_check(rule), answer())


def test_a_value_is_shown_as_it_was_found() -> None:
    (expectation,) = compile_expectation({"json": "$.queue", "lt": 10}, "")
    check = make_check(ValueRule(expectation=expectation))

    (passed,) = explained(check, answer(body=b'{"queue": 7}')).checks
    (failed,) = explained(check, answer(body=b'{"queue": 70}')).checks
    (silent,) = explained(check, no_answer(Code.TIMEOUT)).checks

    assert [(one.subject, one.found) for one in passed.findings] == [("json $.queue", "7")]
    assert [one.reason is None for one in failed.findings] == [False]
    assert (silent.findings, silent.report.verdict) == ((), Outcome.UNKNOWN)


def test_where_no_witness_answers_it_is_our_own_fault() -> None:
    seen = explained(make_check(health()), no_answer(Code.WITNESS, "no witness answered", own=True))

    assert seen.verdict is Outcome.UNKNOWN
    assert explained_json(seen)["observation"]["fault"]["code"] == "witness"


def test_what_was_not_evaluated_is_neither_right_nor_wrong() -> None:
    rule = HeadersRule(policies=(PolicyRule(policy=Policy.NOSNIFF),), expectations=())
    seen = explained(make_check(rule), no_answer(Code.TIMEOUT))

    assert explained_json(seen)["policies"][0]["verdict"] == "waiting"
    assert "\n  - nosniff: no answer to judge" in write_explained(seen, Look())


def test_secrets_are_masked_before_anything_is_cut() -> None:
    def mask(said: str) -> str:
        return said.replace("canary", "***")

    check = make_check(health({"body": {"contains": "other"}}))
    seen = answer(
        body=b"canary",
        url="http://x.example/?k=canary",
        headers=(("X-Canary", "canary"),),
        redirects=(Hop(url="http://x.example/canary", status=302, location="/canary"),),
    )

    found = explained(check, seen, mask=mask)

    assert "canary" not in str(explained_json(found))
    assert "canary" not in write_explained(found, Look())


def test_the_certificate_says_for_how_long() -> None:
    rule = CertificateRule(expires_in=timedelta(days=14), inclusive=False)
    check = make_check(rule)

    shown = text(check, answer(tls_version="TLS 1.3", certificate=certificate()))

    assert "CN=shop.example for shop.example, verified" in shown
    assert "expires 2026-07-31 12:00 UTC, in 30 d" in shown
    assert "time until the certificate expires is 30d (expected more than 14d)" in shown


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"earliest_not_after": NOON - timedelta(days=2)}, "expired 2026-06-29 12:00 UTC, 2 d ago"),
        ({"earliest_not_after": NOON.replace(year=3000)}, "expires 3000-07-01 12:00 UTC\n"),
        ({"verified": False}, "not verified"),
        (
            {"subject_alternative_names": tuple("abcdefg")},
            "for a, b, c, d, e and 2 more",
        ),
        ({"subject_alternative_names": ()}, "CN=shop.example, verified"),
    ],
)
def test_a_certificate_is_told_as_it_is(parts: dict[str, Any], said: str) -> None:
    seen = answer(tls_version="TLS 1.3", certificate=certificate(**parts))

    assert said in text(make_check(health()), seen)


def test_long_headers_are_cut_and_say_how_long_they_are() -> None:
    seen = answer(headers=(("Cookie-Jar", "x" * 5000), ("Odd", "a\x1b[31mb")))

    shown = text(make_check(health()), seen)

    assert "x… (5,000 characters)" in shown
    assert "Odd: a�[31mb" in shown
    assert max(map(len, shown.splitlines())) < 700


def test_phases_are_bars_side_by_side_that_fit() -> None:
    phases = {
        Phase.RESOLVE: timedelta(milliseconds=10),
        Phase.CONNECT: timedelta(milliseconds=40),
        Phase.PROCESSING: timedelta(milliseconds=50),
    }
    seen = answer(phases=phases, duration=timedelta(milliseconds=100))

    rows = [line for line in text(make_check(health()), seen).splitlines() if "█" in line]

    assert [row.count("█") for row in rows] == [4, 16, 20]
    assert rows[1].index("█") == rows[0].rindex("█") + 1
    assert rows[2].index("█") == rows[1].rindex("█") + 1


@pytest.mark.parametrize(
    ("milliseconds", "said"),
    [(0.04, "0.0ms"), (9.94, "9.9ms"), (12.4, "12ms"), (999.4, "999ms"), (1250, "1.25s")],
)
def test_a_duration_is_as_exact_as_it_means_something(milliseconds: float, said: str) -> None:
    assert took_text(timedelta(milliseconds=milliseconds)) == said


def test_one_byte_is_one_byte_and_a_cut_body_says_so() -> None:
    check = make_check(health())

    assert "1 byte of body" in text(check, answer(body=b"x", http_version="1.1"))
    assert "1,000 bytes of body, cut there" in text(
        check, answer(body=b"x" * 1000, body_truncated=True)
    )


def test_the_threshold_is_told_beside_the_check() -> None:
    check = make_check(health())
    k_of_n = replace(check, failure_threshold=KOfN(k=3, n=5))

    assert "alerts at 3 of 5" in text(k_of_n, answer())
