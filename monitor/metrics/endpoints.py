"""blackbox_exporter's series of each endpoint, from its newest probe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from monitor.core.expectations import Source
from monitor.core.model.endpoint import HealthRule
from monitor.core.model.observation import Code, Phase
from monitor.core.model.verdict import Outcome
from monitor.metrics.exposition import escape

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from monitor.core.model.endpoint import Endpoint
    from monitor.core.model.verdict import Verdict
    from monitor.core.sight import Latest

_CONTENT: Final = (Source.HEADER, Source.BODY, Source.JSON)
_AT_A_TIME: Final = 100  # endpoints, two milliseconds, before anything else gets its turn

_HELP: Final = {
    "probe_success": "Whether the health check passed.",
    "probe_duration_seconds": "How long the probe took.",
    "probe_timeout_seconds": "How long the probe was allowed to take.",
    "probe_dns_lookup_time_seconds": "Time taken to resolve the name.",
    "probe_ip_protocol": "The IP version that was used: 4 or 6.",
    "probe_http_duration_seconds": "Time by phase, summed over all redirects.",
    "probe_http_status_code": "The status of the final answer; 0 if there was none.",
    "probe_http_version": "The HTTP version of the final answer.",
    "probe_http_ssl": "Whether TLS was used for the final redirect.",
    "probe_http_redirects": "How many redirects were followed.",
    "probe_http_content_length": "The declared length of the content; -1 if it was not declared.",
    "probe_http_uncompressed_body_length": "The length of the decoded body.",
    "probe_ssl_earliest_cert_expiry": "Earliest expiry of the presented certificates, Unix time.",
    "probe_tls_version_info": "The TLS version that was used.",
    "probe_failed_due_to_regex": "Whether an expectation on the content failed.",
}
"""The families per endpoint, in the order in which they are written (blackbox_exporter 0.28)."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a family; `labels` are those beside the endpoint's own."""

    family: str
    value: float
    labels: str = ""


def probe_samples(latest: Latest) -> Iterator[Sample]:
    """Give blackbox_exporter's series of one endpoint from its last probe."""
    seen = latest.observation
    phases = seen.phases
    yield Sample("probe_success", float(_succeeded(latest)))
    yield Sample("probe_duration_seconds", seen.duration.total_seconds())
    yield Sample("probe_timeout_seconds", latest.endpoint.timeout.total_seconds())
    resolve = phases.get(Phase.RESOLVE)
    yield Sample("probe_dns_lookup_time_seconds", resolve.total_seconds() if resolve else 0.0)
    yield Sample("probe_ip_protocol", float(seen.ip_family or 0))
    for phase in Phase:
        if phase in phases:
            took = phases[phase].total_seconds()
            yield Sample("probe_http_duration_seconds", took, f'phase="{phase.value}"')
    yield Sample("probe_http_status_code", float(seen.status or 0))
    yield Sample("probe_http_version", float(seen.http_version or 0))
    yield Sample("probe_http_ssl", float(seen.over_tls))
    yield Sample("probe_http_redirects", float(len(seen.redirects)))
    length = -1 if seen.content_length is None else seen.content_length
    yield Sample("probe_http_content_length", float(length))
    yield Sample("probe_http_uncompressed_body_length", float(latest.body_length))
    if seen.certificate is not None:
        expiry = seen.certificate.earliest_not_after.timestamp()
        yield Sample("probe_ssl_earliest_cert_expiry", expiry)
    if seen.tls_version is not None:
        yield Sample("probe_tls_version_info", 1.0, f'version="{escape(seen.tls_version)}"')
    yield Sample("probe_failed_due_to_regex", float(_content_failed(latest)))


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
    return _explain({family: [lines] for family, lines in _lines(latest, "").items()})


class EndpointSeries:
    """The lines of all endpoints, which are made once for each probe."""

    def __init__(self) -> None:
        self._written: dict[str, tuple[Latest, dict[str, str]]] = {}

    def write(self, newest: Mapping[str, Latest], now: datetime) -> Iterator[str]:
        """Write the series of all endpoints, and forget those of endpoints that have none now."""
        for number, (name, latest) in enumerate(list(newest.items()), 1):
            if why_no_series(latest, now) is None:
                self._lines_of(name, latest)
            if number % _AT_A_TIME == 0:
                yield ""
        written = {
            name: (latest, self._lines_of(name, latest))
            for name, latest in newest.items()
            if why_no_series(latest, now) is None
        }
        self._written = written
        yield ""
        families: dict[str, list[str]] = {family: [] for family in _HELP}
        for _, by_family in written.values():
            for family, line in by_family.items():
                families[family].append(line)

        for family, lines in families.items():
            yield _explain({family: lines})

    def _lines_of(self, name: str, latest: Latest) -> dict[str, str]:
        """Give the lines of one endpoint, which are made once for each probe."""
        known = self._written.get(name)
        if known is None or known[0] is not latest:
            known = self._written[name] = (latest, _lines(latest, _labels(latest.endpoint)))

        return known[1]


def _lines(latest: Latest, labels: str) -> dict[str, str]:
    """Write the samples of one endpoint, by family."""
    families: dict[str, str] = {}
    for sample in probe_samples(latest):
        inside = ",".join(filter(None, (labels, sample.labels)))
        name = f"{sample.family}{{{inside}}}" if inside else sample.family
        line = f"{name} {sample.value!r}\n"
        families[sample.family] = families.get(sample.family, "") + line

    return families


def _explain(families: Mapping[str, Iterable[str]]) -> str:
    """Put families together, each explained once, as the exposition format wants it."""
    return "".join(
        f"# HELP {family} {text}\n# TYPE {family} gauge\n{''.join(families[family])}"
        for family, text in _HELP.items()
        if families.get(family)
    )


def _labels(endpoint: Endpoint) -> str:
    return (
        f'endpoint="{escape(endpoint.name)}",'
        f'target="{escape(endpoint.target)}",'
        f'service="{escape(endpoint.service)}"'
    )


def _health(latest: Latest) -> Verdict | None:
    return latest.verdicts.get(f"{latest.endpoint.name}.health")


def _succeeded(latest: Latest) -> bool:
    health = _health(latest)

    return latest.observation.fault is None if health is None else health.outcome is Outcome.PASS


def _content_failed(latest: Latest) -> bool:
    """Whether header, body or JSON were not as expected; what is slow has its own series."""
    health, rule = _health(latest), _health_rule(latest.endpoint)
    if health is None or rule is None or not health.reasons:
        return False

    about_content = {one.at for one in rule.expectations if one.source in _CONTENT}

    return any(
        reason.code is Code.EXPECTATION and reason.at in about_content for reason in health.reasons
    )


def _health_rule(endpoint: Endpoint) -> HealthRule | None:
    return next((one.rule for one in endpoint.checks if isinstance(one.rule, HealthRule)), None)
