"""blackbox_exporter's series of each endpoint, from its newest probe."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from monitor.core.expectations import Source
from monitor.core.model.endpoint import HealthRule
from monitor.core.model.observation import Code, Phase
from monitor.core.model.verdict import Outcome
from monitor.metrics.exposition import NOTHING_YET, escape, explain, in_parts, write_lines
from monitor.probes import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from monitor.core.model.endpoint import Endpoint
    from monitor.core.model.observation import Measure, Observation
    from monitor.core.model.verdict import Verdict
    from monitor.core.sight import Latest

_HTTP: Final = "http"
_WITHOUT_CONTENT: Final = frozenset({204, 304})
_FNV_BASIS: Final = 0x811C9DC5  # http://www.isthe.com/chongo/tech/comp/fnv/
_FNV_PRIME: Final = 0x01000193
_CONTENT: Final = (
    Source.HEADER,
    Source.BODY,
    Source.JSON,
    Source.JSON_SCHEMA,
    Source.HTML,
)

_NO_CHAIN: Final = -62135596800.0  # the first moment of the year 1
_LONGEST_NAMES: Final = 1000

Values = tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Series:
    """One series that an endpoint may have; `labels` are those beside the endpoint's own."""

    family: str
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
    if health is not None and health.outcome is Outcome.WAITING:
        return f"waits for what can be judged: {health.note}"
    verdicts = (health,) if health is not None else tuple(latest.verdicts.values())
    unknown = any(verdict.outcome is Outcome.UNKNOWN for verdict in verdicts)
    if (fault and fault.own) or (unknown and (fault or health)):
        return "could not be judged: the fault may be the monitor's own"

    return None


def render_probe(latest: Latest) -> str:
    """Write one endpoint's series without its own labels, as blackbox_exporter's `/probe` does."""
    families: dict[str, str] = {}
    for series, value in zip(_SERIES, _values(latest), strict=True):
        if value is not None:
            labels = series.labels(latest) if series.labels else ""
            _add(families, series.family, labels, value)
    if latest.observation.certificate is not None:
        _add(families, "probe_ssl_last_chain_info", _facts(latest), 1.0)
    for one in latest.observation.measures:
        _add(families, one.family, _own_labels(one), one.value)
    known = {**_HELP, **KINDS[latest.endpoint.kind].series}

    return "".join([explain(name, known[name]) + lines for name, lines in families.items()])


def endpoint_series(newest: Mapping[str, Latest], now: datetime) -> Iterator[str]:
    """Write the series of all endpoints as they are at this moment, part by part.

    All values of an endpoint are read at once, because what they are in lies together in memory;
    the lines of a series are written at once, because most of them have the same value.
    """
    shown: list[tuple[list[Latest], list[str], list[Values]]] = []
    own: dict[str, str] = {}
    meant: dict[str, str] = dict(_HELP)
    for some in in_parts(list(newest.values())):
        known = [latest for latest in some if why_no_series(latest, now) is None]
        if known:
            labels = [_labels(latest.endpoint) for latest in known]
            shown.append((known, labels, list(zip(*map(_values, known), strict=True))))
            _add_own(known, labels, own, meant)
        yield NOTHING_YET
    explained = ""
    for number, series in enumerate(_SERIES):
        for known, labels, columns in shown:
            lines = _lines(series, known, labels, columns[number])
            lines += own.pop(series.family, "")
            if lines and series.family != explained:
                explained = series.family
                lines = explain(explained, _HELP[explained]) + lines
            yield lines
    for family, lines in own.items():
        yield explain(family, meant[family]) + lines


def _lines(series: Series, shown: list[Latest], labels: list[str], column: Values) -> str:
    """Write one series of many endpoints, for those that have it."""
    values = [value for value in column if value is not None]
    if not values:
        return ""

    more = series.labels
    if more is not None:
        labels = [f"{own},{more(latest)}" for own, latest in zip(labels, shown, strict=True)]
    if len(values) < len(column):
        labels = [own for own, value in zip(labels, column, strict=True) if value is not None]

    return write_lines(series.family, labels, values)


def _add_own(
    known: list[Latest], labels: list[str], own: dict[str, str], meant: dict[str, str]
) -> None:
    """Add the lines of the series that belong to one kind of probe alone, and what they mean."""
    for latest, theirs in zip(known, labels, strict=True):
        if not latest.observation.measures:
            continue
        meant |= KINDS[latest.endpoint.kind].series
        for one in latest.observation.measures:
            more = _own_labels(one)
            _add(own, one.family, f"{theirs},{more}" if more else theirs, one.value)


def _add(families: dict[str, str], family: str, labels: str, value: float) -> None:
    line = f"{family}{{{labels}}} {value!r}\n" if labels else f"{family} {value!r}\n"
    families[family] = families.get(family, "") + line


def _own_labels(measure: Measure) -> str:
    return ",".join([f'{name}="{escape(value)}"' for name, value in measure.labels])


def _labels(endpoint: Endpoint) -> str:
    return (
        f'endpoint="{escape(endpoint.name)}",'
        f'target="{escape(endpoint.target)}",'
        f'service="{escape(endpoint.service)}"'
    )


def _health(latest: Latest) -> Verdict | None:
    return latest.verdicts.get(f"{latest.endpoint.name}.health")


def _succeeded(latest: Latest, health: Verdict | None) -> float:
    if health is None:
        return float(latest.observation.fault is None)

    return float(health.outcome is Outcome.PASS)


def _content_failed(latest: Latest, health: Verdict | None) -> float:
    """Whether header, body or JSON were not as expected; what is slow has its own series."""
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


def _values(latest: Latest) -> Values:
    """Read what an endpoint has of each of `_SERIES`, None where it has none."""
    seen, health = latest.observation, _health(latest)
    took = {phase: time.total_seconds() for phase, time in seen.phases.items()}
    certificate = seen.certificate

    return (
        _succeeded(latest, health),
        seen.duration.total_seconds(),
        latest.endpoint.timeout.total_seconds(),
        took.get(Phase.RESOLVE, 0.0),
        float(seen.ip_family or 0),
        None if seen.address is None else _hash_address(seen.address),
        None if certificate is None else certificate.earliest_not_after.timestamp(),
        _end_of_trust(latest),
        None if seen.tls_version is None else 1.0,
        *_http_values(latest, health, took),
    )


def _http_values(latest: Latest, health: Verdict | None, took: Mapping[Phase, float]) -> Values:
    seen = latest.observation
    if KINDS[latest.endpoint.kind].prober != _HTTP:
        return _NO_HTTP

    return (
        *map(took.get, Phase),
        float(seen.status or 0),
        float(seen.http_version or 0),
        float(seen.over_tls),
        float(len(seen.redirects)),
        _length_of_content(seen),
        float(latest.body_length),
        _content_failed(latest, health),
    )


@lru_cache(maxsize=4096)
def _hash_address(address: str) -> float:
    """Give FNV-1a in 32 bits over the bytes of an IP address, as blackbox_exporter has it."""
    try:
        packed = ip_address(address.partition("%")[0]).packed
    except ValueError:
        packed = address.encode()
    digest = _FNV_BASIS
    for byte in packed:
        digest = (digest ^ byte) * _FNV_PRIME & 0xFFFFFFFF

    return float(digest)


def _length_of_content(seen: Observation) -> float:
    """Give the declared length: -1 where it was not, 0 where there can be no content."""
    if seen.content_length is not None:
        return float(seen.content_length)

    return 0.0 if seen.status is None or seen.status in _WITHOUT_CONTENT else -1.0


def _phase(phase: Phase, _latest: Latest) -> str:
    return f'phase="{phase.value}"'


def _tls_version(latest: Latest) -> str:
    return f'version="{escape(latest.observation.tls_version or "")}"'


def _end_of_trust(latest: Latest) -> float | None:
    """Give when the verified chain ends; where none was, blackbox_exporter's word for it."""
    certificate = latest.observation.certificate
    if certificate is None:
        return None

    end = certificate.trusted_not_after

    return _NO_CHAIN if end is None else end.timestamp()


def _facts(latest: Latest) -> str:
    """Write what a certificate says of itself as labels: too long for the page of all endpoints."""
    certificate = latest.observation.certificate
    assert certificate is not None
    names = [one for one in certificate.subject_alternative_names if not _is_address(one)]
    facts = (
        ("fingerprint_sha256", certificate.fingerprint_sha256),
        ("subject", certificate.subject),
        ("issuer", certificate.issuer),
        ("subjectalternative", ",".join(names)[:_LONGEST_NAMES]),
        ("serialnumber", certificate.serial_number),
    )

    return ",".join([f'{name}="{escape(value)}"' for name, value in facts])


def _is_address(name: str) -> bool:
    """Whether a name is an IP address, which blackbox_exporter does not list among the names."""
    return ":" in name or name.replace(".", "").isdigit()


_HELP: Final = {
    "probe_success": "Whether the health check passed.",
    "probe_duration_seconds": "How long the probe took.",
    "probe_timeout_seconds": "How long the probe was allowed to take.",
    "probe_dns_lookup_time_seconds": "Time taken to resolve the name.",
    "probe_ip_protocol": "The IP version that was used: 4 or 6.",
    "probe_ip_addr_hash": "A hash of the address that was used: it tells whether it changed.",
    "probe_ssl_earliest_cert_expiry": "Earliest expiry of the presented certificates, Unix time.",
    "probe_ssl_last_chain_expiry_timestamp_seconds": "Earliest expiry of the verified chain.",
    "probe_ssl_last_chain_info": "Which certificate was presented.",
    "probe_tls_version_info": "The TLS version that was used.",
    "probe_http_duration_seconds": "Time by phase, summed over all redirects.",
    "probe_http_status_code": "The status of the final answer; 0 if there was none.",
    "probe_http_version": "The HTTP version of the final answer.",
    "probe_http_ssl": "Whether TLS was used for the final redirect.",
    "probe_http_redirects": "How many redirects were followed.",
    "probe_http_content_length": "The declared length of the content; -1 if it was not declared.",
    "probe_http_uncompressed_body_length": "The length of the decoded body.",
    "probe_failed_due_to_regex": "Whether an expectation on the content failed.",
}
"""The families per endpoint, in the order in which they are written (blackbox_exporter 0.28)."""

_SERIES: Final = (
    Series("probe_success"),
    Series("probe_duration_seconds"),
    Series("probe_timeout_seconds"),
    Series("probe_dns_lookup_time_seconds"),
    Series("probe_ip_protocol"),
    Series("probe_ip_addr_hash"),
    Series("probe_ssl_earliest_cert_expiry"),
    Series("probe_ssl_last_chain_expiry_timestamp_seconds"),
    Series("probe_tls_version_info", _tls_version),
    *(Series("probe_http_duration_seconds", partial(_phase, phase)) for phase in Phase),
    Series("probe_http_status_code"),
    Series("probe_http_version"),
    Series("probe_http_ssl"),
    Series("probe_http_redirects"),
    Series("probe_http_content_length"),
    Series("probe_http_uncompressed_body_length"),
    Series("probe_failed_due_to_regex"),
)
"""In the order of what `_values` gives."""

_NO_HTTP: Final[Values] = (None,) * sum(
    series.family.startswith(("probe_http_", "probe_failed_")) for series in _SERIES
)
