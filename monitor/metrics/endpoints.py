"""blackbox_exporter's series of each endpoint, from its newest probe."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from monitor.core.expectations import Source
from monitor.core.model.endpoint import HealthRule
from monitor.core.model.observation import Code, Phase
from monitor.core.model.verdict import Outcome
from monitor.metrics.exposition import escape, explain, in_parts, write_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from monitor.core.model.endpoint import Endpoint
    from monitor.core.model.verdict import Verdict
    from monitor.core.sight import Latest

_CONTENT: Final = (Source.HEADER, Source.BODY, Source.JSON)


@dataclass(frozen=True, slots=True)
class Series:
    """One series that an endpoint has: how its value is read, None where there is none.

    `labels` are those beside the endpoint's own.
    """

    value: Callable[[Latest], float | None]
    labels: Callable[[Latest], str] | None = None


def why_no_series(latest: Latest | None, now: datetime) -> str | None:
    """Say why there is nothing to tell of an endpoint: no result, an old one, or no judgement.

    No value is better than one that blames a target for the monitor's own fault.
    """
    if latest is None:
        return "has no result yet"
    if not latest.fresh(now):
        return "has no result that is younger than two intervals"

    health, fault = _health(latest), latest.observation.fault
    if (health is not None and health.outcome is Outcome.UNKNOWN) or (fault and fault.own):
        return "could not be judged: the fault may be the monitor's own"

    return None


def render_probe(latest: Latest) -> str:
    """Write one endpoint's series without its own labels, as blackbox_exporter's `/probe` does."""
    page = []
    for name, text, series in _FAMILIES:
        lines = [
            f"{name}{{{one.labels(latest)}}} {value!r}\n" if one.labels else f"{name} {value!r}\n"
            for one in series
            if (value := one.value(latest)) is not None
        ]
        if lines:
            page += [explain(name, text), *lines]

    return "".join(page)


def endpoint_series(newest: Mapping[str, Latest], now: datetime) -> Iterator[str]:
    """Write the series of all endpoints as they are at this moment, part by part."""
    shown: list[tuple[list[str], list[Latest]]] = []
    for some in in_parts(list(newest.values())):
        known = [latest for latest in some if why_no_series(latest, now) is None]
        shown.append(([_labels(latest.endpoint) for latest in known], known))
        yield ""
    for name, text, series in _FAMILIES:
        explained = explain(name, text)
        for one in series:
            for labels, known in shown:
                lines = _lines(name, one, labels, known)
                if lines:
                    yield explained + lines
                    explained = ""


def _lines(name: str, series: Series, labels: list[str], shown: list[Latest]) -> str:
    """Write one series of many endpoints, for those that have it."""
    found = [series.value(latest) for latest in shown]
    values = [value for value in found if value is not None]
    if not values:
        return ""

    more = series.labels
    if more is not None:
        labels = [f"{own},{more(latest)}" for own, latest in zip(labels, shown, strict=True)]
    if len(values) < len(found):
        labels = [own for own, value in zip(labels, found, strict=True) if value is not None]

    return write_lines(name, labels, values)


def _labels(endpoint: Endpoint) -> str:
    return (
        f'endpoint="{escape(endpoint.name)}",'
        f'target="{escape(endpoint.target)}",'
        f'service="{escape(endpoint.service)}"'
    )


def _health(latest: Latest) -> Verdict | None:
    return latest.verdicts.get(f"{latest.endpoint.name}.health")


def _succeeded(latest: Latest) -> float:
    health = _health(latest)
    if health is None:
        return float(latest.observation.fault is None)

    return float(health.outcome is Outcome.PASS)


def _content_failed(latest: Latest) -> float:
    """Whether header, body or JSON were not as expected; what is slow has its own series."""
    health = _health(latest)
    if health is None or not health.reasons:
        return 0.0

    rules = (check.rule for check in latest.endpoint.checks)
    about_content = {
        one.at
        for rule in rules
        if isinstance(rule, HealthRule)
        for one in rule.expectations
        if one.source in _CONTENT
    }

    return float(
        any(
            reason.code is Code.EXPECTATION and reason.at in about_content
            for reason in health.reasons
        )
    )


def _took(phase: Phase, latest: Latest) -> float | None:
    took = latest.observation.phases.get(phase)

    return None if took is None else took.total_seconds()


def _phase_label(phase: Phase, _latest: Latest) -> str:
    return f'phase="{phase.value}"'


def _content_length(latest: Latest) -> float:
    length = latest.observation.content_length

    return -1.0 if length is None else float(length)


def _expiry(latest: Latest) -> float | None:
    certificate = latest.observation.certificate

    return None if certificate is None else certificate.earliest_not_after.timestamp()


_FAMILIES: Final[tuple[tuple[str, str, tuple[Series, ...]], ...]] = (
    ("probe_success", "Whether the health check passed.", (Series(_succeeded),)),
    (
        "probe_duration_seconds",
        "How long the probe took.",
        (Series(lambda latest: latest.observation.duration.total_seconds()),),
    ),
    (
        "probe_timeout_seconds",
        "How long the probe was allowed to take.",
        (Series(lambda latest: latest.endpoint.timeout.total_seconds()),),
    ),
    (
        "probe_dns_lookup_time_seconds",
        "Time taken to resolve the name.",
        (Series(lambda latest: _took(Phase.RESOLVE, latest) or 0.0),),
    ),
    (
        "probe_ip_protocol",
        "The IP version that was used: 4 or 6.",
        (Series(lambda latest: float(latest.observation.ip_family or 0)),),
    ),
    (
        "probe_http_duration_seconds",
        "Time by phase, summed over all redirects.",
        tuple(Series(partial(_took, phase), partial(_phase_label, phase)) for phase in Phase),
    ),
    (
        "probe_http_status_code",
        "The status of the final answer; 0 if there was none.",
        (Series(lambda latest: float(latest.observation.status or 0)),),
    ),
    (
        "probe_http_version",
        "The HTTP version of the final answer.",
        (Series(lambda latest: float(latest.observation.http_version or 0)),),
    ),
    (
        "probe_http_ssl",
        "Whether TLS was used for the final redirect.",
        (Series(lambda latest: float(latest.observation.over_tls)),),
    ),
    (
        "probe_http_redirects",
        "How many redirects were followed.",
        (Series(lambda latest: float(len(latest.observation.redirects))),),
    ),
    (
        "probe_http_content_length",
        "The declared length of the content; -1 if it was not declared.",
        (Series(_content_length),),
    ),
    (
        "probe_http_uncompressed_body_length",
        "The length of the decoded body.",
        (Series(lambda latest: float(latest.body_length)),),
    ),
    (
        "probe_ssl_earliest_cert_expiry",
        "Earliest expiry of the presented certificates, Unix time.",
        (Series(_expiry),),
    ),
    (
        "probe_tls_version_info",
        "The TLS version that was used.",
        (
            Series(
                lambda latest: 1.0 if latest.observation.tls_version is not None else None,
                lambda latest: f'version="{escape(latest.observation.tls_version or "")}"',
            ),
        ),
    ),
    (
        "probe_failed_due_to_regex",
        "Whether an expectation on the content failed.",
        (Series(_content_failed),),
    ),
)
"""The families per endpoint, in the order in which they are written (blackbox_exporter 0.28)."""
