"""Endpoints and their checks: defaults, names, thresholds, and what restarts a count."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from monitor.core.expectations import Source
from monitor.core.headers import Policy
from monitor.core.model.endpoint import (
    CertificateRule,
    Check,
    DriftRule,
    HeadersRule,
    HealthRule,
    InARow,
    KOfN,
    LatencyRule,
    OnInsufficient,
    Severity,
)
from tests.support.configuring import configure, mistakes

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.core.model.endpoint import Endpoint

SECOND = timedelta(seconds=1)


def endpoint(folder: Path, body: str, *, before: str = "", token: str = "") -> Endpoint:
    """Compile one endpoint whose keys besides `url` are the body, one a line."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    text = f"{before}\nendpoints:\n  api:\n    url: https://api.shop.example/\n{lines}"
    (made,) = configure(folder, text, TOKEN=token).endpoints

    return made


def check(folder: Path, body: str, name: str, *, before: str = "") -> Check:
    """Compile one check of such an endpoint."""
    checks = {check.id: check for check in endpoint(folder, body, before=before).checks}

    return checks[f"api.{name}"]


def test_a_url_alone_is_an_endpoint_with_a_health_check(tmp_path: Path) -> None:
    compiled = configure(tmp_path, "endpoints: {shop: https://shop.example/}")
    (shop,) = compiled.endpoints

    assert (shop.name, shop.service, shop.kind) == ("shop", "shop", "url")
    assert shop.target == "https://shop.example/"
    assert (shop.every, shop.retry_every, shop.timeout) == (30 * SECOND, 10 * SECOND, 10 * SECOND)
    assert shop.witnessed
    (health,) = shop.checks
    assert (health.id, health.target) == ("shop.health", "https://shop.example/")
    assert health.rule == HealthRule(expectations=())
    assert (health.failure_threshold, health.success_threshold) == (InARow(count=3), 2)
    assert (health.severity, health.flapping_threshold) == (Severity.HIGH, 6)
    assert compiled.probes["shop"].options.url == "https://shop.example/"


def test_an_endpoint_takes_what_it_does_not_say_from_the_defaults(tmp_path: Path) -> None:
    before = (
        "defaults: {every: 20s, retry_every: 4s, timeout: 3s, failure_threshold: 2 of 4, "
        "success_threshold: 5, severity: low, flapping_threshold: false}"
    )

    made = endpoint(tmp_path, "", before=before)

    assert (made.every, made.retry_every, made.timeout) == (20 * SECOND, 4 * SECOND, 3 * SECOND)
    (health,) = made.checks
    assert health.failure_threshold == KOfN(k=2, n=4)
    assert (health.success_threshold, health.severity) == (5, Severity.LOW)
    assert health.flapping_threshold is None


def test_what_an_endpoint_and_its_check_say_goes_before_the_defaults(tmp_path: Path) -> None:
    made = endpoint(
        tmp_path,
        "every: 1m\nretry_every: 15s\ntimeout: 5s\nservice: shop\ntags: [smoke, pre-deploy]\n"
        "witnesses: false\n"
        "health: {failure_threshold: 3 of 5, success_threshold: 1, severity: critical}",
        before="defaults: {every: 20s, severity: low}",
    )

    assert (made.every, made.retry_every, made.timeout) == (60 * SECOND, 15 * SECOND, 5 * SECOND)
    assert (made.service, made.tags) == ("shop", frozenset({"smoke", "pre-deploy"}))
    assert not made.witnessed
    (health,) = made.checks
    assert (health.service, health.endpoint) == ("shop", "api")
    assert health.failure_threshold == KOfN(k=3, n=5)
    assert (health.success_threshold, health.severity) == (1, Severity.CRITICAL)


def test_a_timeout_that_nobody_wrote_fits_into_the_interval(tmp_path: Path) -> None:
    assert endpoint(tmp_path, "every: 2s").timeout == 2 * SECOND
    assert endpoint(tmp_path, "every: 1m").timeout == 10 * SECOND


def test_a_retry_is_never_later_than_the_next_slot(tmp_path: Path) -> None:
    assert endpoint(tmp_path, "every: 2s").retry_every == 2 * SECOND


def test_loopback_needs_no_witnesses(tmp_path: Path) -> None:
    (made,) = configure(tmp_path, "endpoints: {api: http://127.0.0.1:8080/}").endpoints

    assert not made.witnessed


def test_health_can_be_turned_off(tmp_path: Path) -> None:
    assert endpoint(tmp_path, "health: false").checks == ()


def test_expectations_know_where_they_are_written(tmp_path: Path) -> None:
    rule = check(
        tmp_path, "health:\n  expect:\n    - status: 200\n    - body: {contains: ok}", "health"
    ).rule

    assert isinstance(rule, HealthRule)
    assert [(one.source, one.at) for one in rule.expectations] == [
        (Source.STATUS, "monitor.yml:7:11"),
        (Source.BODY, "monitor.yml:8:11"),
    ]


def test_header_findings_are_medium_unless_it_is_said_otherwise(tmp_path: Path) -> None:
    body = "headers:\n  policies: [hsts, csp]\n  expect: [{header: server, exists: false}]"

    made = check(tmp_path, body, "headers", before="defaults: {severity: critical}")

    assert isinstance(made.rule, HeadersRule)
    assert [one.policy for one in made.rule.policies] == [Policy.HSTS, Policy.CSP]
    assert [one.name for one in made.rule.expectations] == ["server"]
    assert made.severity is Severity.MEDIUM
    assert check(tmp_path, f"{body}\n  severity: low", "headers").severity is Severity.LOW


@pytest.mark.parametrize(
    ("url", "count", "redirect"), [("https://a.example", 9, False), ("http://a.example", 10, True)]
)
def test_a_bundle_leaves_out_what_is_judged_elsewhere_and_may_ask_besides(
    tmp_path: Path, url: str, count: int, redirect: bool
) -> None:
    compiled = configure(
        tmp_path,
        f"endpoints:\n  a: {{url: '{url}/', headers: {{policies: [observatory]}}}}\n"
        f"  b: {{url: '{url}/', headers: {{policies: [nosniff]}}}}\n",
    )

    asks, asks_not = compiled.endpoints
    rule = next(one.rule for one in asks.checks if isinstance(one.rule, HeadersRule))
    policies = [one.policy for one in rule.policies]
    assert len(policies) == count
    assert (Policy.HTTPS_REDIRECT in policies) is redirect
    assert (asks.preflight, asks_not.preflight) == (True, False)


def test_pinned_headers_are_a_check_of_severity_low_with_or_without_policies(
    tmp_path: Path,
) -> None:
    body = "headers: {pin: true, severity: high, failure_threshold: 7, policies: [nosniff]}"

    both = check(tmp_path, body, "headers.drift")
    alone = endpoint(tmp_path, "health: false\nheaders: {pin: true}")

    assert isinstance(both.rule, DriftRule)
    assert [one.policy for one in both.rule.of.policies] == [Policy.NOSNIFF]
    assert (both.severity, both.failure_threshold) == (Severity.LOW, InARow(count=7))
    assert [one.id for one in alone.checks] == ["api.headers.drift"]


@pytest.mark.parametrize(
    ("written", "percentile"), [("p50", 50), ("p95", 95), ("p99", 99), ("max", 100)]
)
def test_a_percentile_is_a_check_of_its_own(tmp_path: Path, written: str, percentile: int) -> None:
    rule = check(
        tmp_path, f"every: 10s\nlatency: {{{written}: {{lt: 400ms}}}}", f"latency.{written}"
    ).rule

    assert rule == LatencyRule(
        percentile=percentile,
        limit=timedelta(milliseconds=400),
        inclusive=False,
        window=timedelta(minutes=5),
        min_samples=20,
        on_insufficient=OnInsufficient.HOLD,
        at="monitor.yml:6:20",
    )


def test_a_window_takes_its_length_and_samples_from_the_settings(tmp_path: Path) -> None:
    rule = check(
        tmp_path,
        "every: 10s\nlatency: {max: {lte: 2s, window: 1m, min_samples: 6, on_insufficient: fail}}",
        "latency.max",
    ).rule

    assert isinstance(rule, LatencyRule)
    assert rule.inclusive
    assert (rule.window, rule.min_samples) == (timedelta(minutes=1), 6)
    assert rule.on_insufficient is OnInsufficient.FAIL


@pytest.mark.parametrize(("operator", "inclusive"), [("gt", False), ("gte", True)])
def test_a_certificate_has_to_be_valid_for_longer(
    tmp_path: Path, operator: str, inclusive: bool
) -> None:
    made = check(tmp_path, f"certificate: {{expires_in: {{{operator}: 14d}}}}", "certificate")

    assert made.rule == CertificateRule(
        expires_in=timedelta(days=14), inclusive=inclusive, at="monitor.yml:5:18"
    )
    assert made.severity is Severity.MEDIUM


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("command", "[/bin/true]"),
        ("heartbeat", "{key: 0123456789abcdef, period: 1d}"),
        ("icmp", "gateway.example"),
        ("journey", "[{name: look, url: https://shop.example/}]"),
    ],
)
def test_a_certificate_is_not_asked_of_a_kind_whose_answers_have_none(
    tmp_path: Path, kind: str, options: str
) -> None:
    text = f"endpoints: {{api: {{{kind}: {options}, certificate: {{expires_in: {{gt: 14d}}}}}}}}"

    (told,) = mistakes(tmp_path, text)

    assert told.endswith(f"endpoints.api.certificate: an answer to {kind} has no certificate")


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ("tcp: mail.example:25", "tls: true or starttls below tcp, or the kind tls"),
        ("grpc: orders.example:50051", "tls: true below grpc"),
        ("redis: cache.example:6379", "tls: true below redis, or a rediss:// URL"),
        (
            "sql: {url: postgresql://monitor@db.example/shop, query: SELECT 1}",
            "tls: true below sql, or sslmode=require in its URL",
        ),
        ("websocket: ws://shop.example/live", "a wss:// URL"),
        ("dns: {server: 192.0.2.53, name: shop.example}", "transport: tls below dns"),
    ],
)
def test_where_a_certificate_needs_tls_it_is_said_how(
    tmp_path: Path, asked: str, wanted: str
) -> None:
    text = f"endpoints: {{api: {{{asked}, certificate: {{expires_in: {{gt: 14d}}}}}}}}"

    (told,) = mistakes(tmp_path, text)

    assert told.endswith(f"endpoints.api.certificate: a certificate needs TLS: expected {wanted}")


class TestFingerprint:
    """It says whether a check still means the same after a change of the configuration."""

    BODY = (
        "every: 10s\nrequest: {method: POST, headers: {X-Tenant: a}}\n"
        "health: {expect: [{status: 200}]}\nlatency: {p95: {lt: 400ms}}\n"
        "headers: {policies: [hsts, csp]}\ncertificate: {expires_in: {gt: 14d}}"
    )

    def prints(self, folder: Path, body: str, token: str = "") -> dict[str, str]:
        return {
            one.id.removeprefix("api."): one.fingerprint
            for one in endpoint(folder, body, token=token).checks
        }

    def test_is_the_same_for_the_same_meaning(self, tmp_path: Path) -> None:
        other = (
            self.BODY.replace("400ms", "0.4s")
            .replace("[hsts, csp]", "[csp, hsts]")
            .replace("14d", "2w")
        )

        assert self.prints(tmp_path, self.BODY) == self.prints(tmp_path, other)

    @pytest.mark.parametrize(
        "changed",
        [
            BODY.replace("every: 10s", "every: 15s\nretry_every: 5s\ntimeout: 5s\ntags: [smoke]"),
            BODY.replace("200}]", "200}], failure_threshold: 3 of 5, severity: low"),
            BODY.replace("lt: 400ms", "lt: 400ms, success_threshold: 4"),
            f"service: other\n{BODY}",
        ],
        ids=["pace", "threshold and severity", "threshold of a window", "service"],
    )
    def test_outlives_what_judges_no_differently(self, tmp_path: Path, changed: str) -> None:
        assert self.prints(tmp_path, changed) == self.prints(tmp_path, self.BODY)

    @pytest.mark.parametrize(
        ("was", "becomes", "restarted"),
        [
            ("status: 200", "status: 201", {"health"}),
            ("lt: 400ms", "lt: 500ms", {"latency.p95"}),
            ("lt: 400ms", "lte: 400ms", {"latency.p95"}),
            ("lt: 400ms", "lt: 400ms, window: 10m", {"latency.p95"}),
            ("[hsts, csp]", "[hsts]", {"headers"}),
            ("gt: 14d", "gt: 15d", {"certificate"}),
            (
                "method: POST",
                "method: PUT",
                {"health", "latency.p95", "headers", "certificate"},
            ),
            ("X-Tenant: a", "X-Tenant: b", {"health", "latency.p95", "headers", "certificate"}),
        ],
    )
    def test_changes_with_the_request_or_the_rule(
        self, tmp_path: Path, was: str, becomes: str, restarted: set[str]
    ) -> None:
        before = self.prints(tmp_path, self.BODY)
        after = self.prints(tmp_path, self.BODY.replace(was, becomes))

        assert {name for name in before if before[name] != after[name]} == restarted

    def test_outlives_a_new_credential(self, tmp_path: Path) -> None:
        body = 'request: {headers: {Authorization: "Bearer ${TOKEN}"}}'

        old = self.prints(tmp_path, body, token="first-secret")
        new = self.prints(tmp_path, body, token="second-secret")

        assert old == new

    def test_changes_with_what_a_variable_names(self, tmp_path: Path) -> None:
        text = "endpoints: {api: 'https://${HOST}/'}"
        (old,) = configure(tmp_path, text, HOST="a.example").endpoints
        (new,) = configure(tmp_path, text, HOST="b.example").endpoints

        assert old.checks[0].fingerprint != new.checks[0].fingerprint


def test_an_endpoint_that_rests_on_an_allowed_unset_variable_is_left_out(tmp_path: Path) -> None:
    text = """\
        endpoints:
          api: {url: "${API_URL}", every: "${API_EVERY}"}
          web: https://www.shop.example/
        services:
          api:
            version: {endpoint: api, header: x-release}
            rollback: {when: {any: [api.health]}}
    """

    compiled = configure(tmp_path, text, allow_unset=True)

    assert [one.name for one in compiled.endpoints] == ["web"]


def test_what_may_be_unset_is_checked_all_the_same(tmp_path: Path) -> None:
    text = 'endpoints: {api: {url: "${API_URL}", every: 5}}'

    assert mistakes(tmp_path, text, allow_unset=True) == [
        "1:45: endpoints.api.every: expected a duration such as 30s, found 5"
    ]


def test_a_window_short_of_samples_is_told_where_it_is_written(tmp_path: Path) -> None:
    text = "endpoints: {api: {url: https://a.example/, every: 1m, latency: {max: {lt: 5s}}}}"

    (told,) = mistakes(tmp_path, text)

    assert told.startswith("1:70: endpoints.api.latency.max: a window of 5m holds 5 samples")
