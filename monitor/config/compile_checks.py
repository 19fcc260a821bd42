"""The checks of one endpoint: from their settings to their rules, thresholds and fingerprints."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from monitor.config.compile_measures import Measures
from monitor.core.expectations import Source, compile_expectation, schemas_of
from monitor.core.headers import Policy, PolicyRule
from monitor.core.model.endpoint import (
    Baseline,
    CertificateRule,
    Check,
    DriftRule,
    HeadersRule,
    HealthRule,
    InARow,
    Severity,
    Signal,
    ValueWindowRule,
)
from monitor.probes.kind import Rhythm

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import timedelta

    from monitor.config.compile_rules import Rules
    from monitor.config.document import At
    from monitor.config.findings import Findings
    from monitor.config.settings import CheckSettings, Defaults, EndpointSettings, LatencySettings
    from monitor.config.settings_fields import Percentile
    from monitor.core.expectations import Expectation
    from monitor.core.model.endpoint import FailureThreshold, Rule
    from monitor.probes.kind import ProbeKind

_NEEDS_HTTPS: Final = "needs an https:// URL, or redirects that are followed to one"
_NO_CERTIFICATE: Final = f"a certificate {_NEEDS_HTTPS}"
_NEEDS_HTTP: Final = "needs an http:// URL whose redirects are followed: name it as an endpoint"
_to_json: Final = json.JSONEncoder(sort_keys=True, default=str).encode
_FINDINGS: Final = Severity.MEDIUM  # the default of what breaks nothing yet


def complete_health(
    written: Sequence[Expectation], healthy: Iterable[Mapping[str, object]], place: str
) -> tuple[Expectation, ...]:
    """Add to what is written what is healthy for a kind where nobody wrote on the same source."""
    usual = (compile_expectation(one, place)[0] for one in healthy)
    sources = {one.source for one in written}

    return (*written, *(one for one in usual if one.source not in sources))


@dataclass(frozen=True, slots=True, kw_only=True)
class Checks:
    """What the checks of one endpoint have in common while they are made.

    `timed` says that its times are known to be meant: only then are others held against them.
    `tls` says that an answer can come over TLS, `redirected` that the way there can begin without.
    `traits` are those of the kind of probe, None where it is not known, `healthy` is what holds
    where nobody wrote anything else. `untold` is what no answer tells with its options, and why.
    """

    findings: Findings
    rules: Rules
    at: At
    name: str
    service: str
    kind: str
    traits: ProbeKind | None
    healthy: Sequence[Mapping[str, object]]
    untold: Mapping[Source, str]
    target: str
    defaults: Defaults
    tls: bool
    redirected: bool
    request: str
    every: timedelta
    timeout: timedelta
    timed: bool

    @property
    def sources(self) -> frozenset[Source]:
        """What an answer tells."""
        return self.traits.sources if self.traits else frozenset(Source)

    def make(self, settings: EndpointSettings) -> tuple[Check, ...]:
        """Make each check that is configured, and health unless it is turned off."""
        health = self._health(settings)
        checks = [
            health,
            self._failure_rate(settings, health),
            self._value(settings, health),
            *self._headers(settings),
            *(self._latency(percentile, one) for percentile, one in settings.latency.items()),
            self._certificate(settings),
        ]

        return tuple(check for check in checks if check is not None)

    def _health(self, settings: EndpointSettings) -> Check | None:
        health = settings.health
        if health is None or self._carries_figure_alone(settings):
            return None

        at = (*self.at, "health", "expect")
        written = self.rules.expectations(
            health.expect,
            at,
            kind=self.kind,
            sources=self.sources,
            untold=self.untold if self.tls else {**self.untold, Source.CERTIFICATE: self._no_tls},
        )
        place = str(self.findings.document.position(self.at))
        rule = HealthRule(
            expectations=complete_health(written, self.healthy, place),
            has_status=Source.STATUS in self.sources,
        )
        schemas = schemas_of(rule.expectations)
        says = [health.expect, schemas] if schemas else health.expect

        return self._check("health", Signal.HEALTH, rule, health, fingerprint=says)

    def _carries_figure_alone(self, settings: EndpointSettings) -> bool:
        """Whether it is asked for a figure, and nobody said that its own health counts."""
        return (
            self.traits is not None
            and self.traits.carries
            and settings.value is not None
            and "health" not in settings.model_fields_set
        )

    def _headers(self, settings: EndpointSettings) -> tuple[Check, ...]:
        headers = settings.headers
        if headers is None:
            return ()

        at = (*self.at, "headers")
        if Source.HEADER not in self.sources:
            self.findings.complain(at, "headers need an endpoint with a url", key=True)
        rule = HeadersRule(
            policies=self._policies(headers.policies, (*at, "policies")),
            expectations=self.rules.expectations(
                headers.expect, (*at, "expect"), only_headers=True
            ),
        )
        says = [sorted(headers.policies, key=_to_json), headers.expect]
        checks = []
        if headers.policies or headers.expect:
            checks.append(self._check("headers", Signal.HEADERS, rule, headers, fingerprint=says))
        if headers.pin:
            drift = self._check(
                "headers.drift", Signal.HEADERS, DriftRule(of=rule), headers, fingerprint=[]
            )
            checks.append(replace(drift, severity=Severity.LOW))

        return tuple(checks)

    def _policies(self, raw: Sequence[object], at: At) -> tuple[PolicyRule, ...]:
        """Give what is asked of the headers; a bundle leaves out what is judged elsewhere."""
        rules = []
        for one in self.rules.policies(raw, at):
            policy = one.rule.policy
            if policy is Policy.HSTS and not self.tls:
                self.findings.complain((*at, one.index), f"the policy hsts {_NEEDS_HTTPS}")
            elif policy is Policy.HTTPS_REDIRECT and not self.redirected:
                if not one.bundle or not self.tls:
                    self.findings.complain(
                        (*at, one.index), f"the policy https-redirect {_NEEDS_HTTP}"
                    )
                continue
            rules.append(one.rule)

        return tuple(rules)

    def _latency(self, percentile: Percentile, settings: LatencySettings) -> Check:
        at = (*self.at, "latency", str(percentile))
        if Source.RESPONSE_TIME not in self.sources:
            self.findings.complain(at, f"a {self.kind} asks nothing that takes time", key=True)
        rule = self._measures.latency(percentile, settings, at)
        says = [
            rule.percentile,
            _meaning(rule.limit),
            rule.inclusive,
            str(rule.window),
            rule.min_samples,
            rule.on_insufficient,
        ]

        return self._check(
            f"latency.{percentile}", Signal.LATENCY, rule, settings, fingerprint=says
        )

    def _failure_rate(self, settings: EndpointSettings, health: Check | None) -> Check | None:
        rate, at = settings.failure_rate, (*self.at, "failure_rate")
        if rate is None:
            return None

        if health is None:
            self.findings.complain(
                at, "counts failed health verdicts, and health is turned off", key=True
            )
            return None

        rule = self._measures.failure_rate(health.id, rate, at)
        says = [health.fingerprint, rule.limit, rule.inclusive, str(rule.over), rule.min_samples]

        return self._check("failure_rate", Signal.RATE, rule, rate, fingerprint=says)

    def _value(self, settings: EndpointSettings, health: Check | None) -> Check | None:
        value, at = settings.value, (*self.at, "value")
        if value is None:
            return None

        rule = self._measures.value(
            value, at, rules=self.rules, kind=self.kind, sources=self.sources
        )
        if rule is None:
            return None

        rule = replace(rule, beside_health=health is not None)
        operators: dict[str, object] = dict(value.operators)
        if isinstance(rule, ValueWindowRule) and rule.limit is not None:
            operators = dict.fromkeys(operators, _meaning(rule.limit))
        says: list[object] = [value.column, value.json_path, operators]
        if value.window is not None:
            says.append(
                [str(value.window), value.statistic, value.min_samples, value.on_insufficient]
            )

        return self._check("value", Signal.VALUE, rule, value, fingerprint=says)

    @property
    def _measures(self) -> Measures:
        return Measures(
            findings=self.findings, every=self.every, timeout=self.timeout, timed=self.timed
        )

    def _certificate(self, settings: EndpointSettings) -> Check | None:
        certificate = settings.certificate
        if certificate is None:
            return None

        at = (*self.at, "certificate")
        if Source.CERTIFICATE not in self.sources:
            self.findings.complain(at, f"an answer to {self.kind} has no certificate", key=True)
        elif not self.tls:
            self.findings.complain(at, self._no_tls, key=True)
        age = certificate.expires_in
        expires_in = age.gt or age.gte
        assert expires_in is not None
        rule = CertificateRule(
            expires_in=expires_in,
            inclusive=age.gte is not None,
            at=str(self.findings.document.position(at)),
        )
        says = [str(expires_in), rule.inclusive]

        return self._check("certificate", Signal.CERTIFICATE, rule, certificate, fingerprint=says)

    @property
    def _no_tls(self) -> str:
        """Say what to write so that there is a certificate."""
        wanted = self.traits.encrypted_by if self.traits else ""

        return f"a certificate needs TLS: expected {wanted}" if wanted else _NO_CERTIFICATE

    def _check(
        self,
        suffix: str,
        signal: Signal,
        rule: Rule,
        settings: CheckSettings,
        *,
        fingerprint: object,
    ) -> Check:
        rhythm = self.traits.rhythm if self.traits and signal is Signal.HEALTH else Rhythm()
        passes = rhythm.success_threshold or self.defaults.success_threshold
        usual = (
            _FINDINGS if signal in (Signal.HEADERS, Signal.CERTIFICATE) else self.defaults.severity
        )

        return Check(
            id=f"{self.name}.{suffix}",
            endpoint=self.name,
            service=self.service,
            signal=signal,
            rule=rule,
            severity=settings.severity or usual,
            failure_threshold=settings.failure_threshold or self._usual_threshold(signal, rhythm),
            success_threshold=settings.success_threshold or passes,
            fingerprint=digest(self.request, suffix, fingerprint),
            target=self.target,
            flapping_threshold=self.defaults.flapping_threshold,
        )

    def _usual_threshold(self, signal: Signal, rhythm: Rhythm) -> FailureThreshold:
        """A rate counts many verdicts already: it opens at the first that is too high."""
        if rhythm.failure_threshold is not None:
            return InARow(count=rhythm.failure_threshold)

        return InARow(count=1) if signal is Signal.RATE else self.defaults.failure_threshold


def _meaning(limit: timedelta | Baseline) -> str:
    """Say what a limit is; how far from usual something may be is a threshold."""
    return f"usual over {limit.over}" if isinstance(limit, Baseline) else str(limit)


def digest(*parts: object) -> str:
    """Digest what a check asks and judges: the same text for the same meaning, in any version."""
    return sha256(_to_json(parts).encode()).hexdigest()[:32]
