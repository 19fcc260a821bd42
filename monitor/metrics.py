"""What Prometheus reads: blackbox_exporter's series per endpoint, and the monitor's own figures."""

from __future__ import annotations

from collections import Counter as Counts
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics import exposition as openmetrics

from monitor import __version__
from monitor.core.expectations import Source
from monitor.core.model.endpoint import HealthRule
from monitor.core.model.observation import Code, Phase
from monitor.core.model.rollback import Blocked, RollbackState
from monitor.core.model.verdict import Outcome
from monitor.core.outbox import Why

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from datetime import datetime, timedelta

    from monitor.core.engine import Engine
    from monitor.core.model.changes import Changes
    from monitor.core.model.endpoint import Endpoint
    from monitor.core.model.notice import Delivery, Receipt
    from monitor.core.model.observation import Observation
    from monitor.core.model.verdict import Verdict
    from monitor.core.sight import Latest

TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"

_CONTENT: Final = (Source.HEADER, Source.BODY, Source.JSON)
_NOT_GOOD: Final = (Outcome.FAIL, Outcome.UNKNOWN)
_STATES: Final = {Outcome.PASS: 0, Outcome.FAIL: 1, Outcome.UNKNOWN: 2}
_AT_A_TIME: Final = 100  # endpoints, two milliseconds, before anything else gets its turn
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_LAGS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

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
        yield Sample("probe_tls_version_info", 1.0, f'version="{_escape(seen.tls_version)}"')
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


class Metrics:
    """Counts what happens; reads the rest from the engine at the moment of the scrape."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.registry = CollectorRegistry()
        self._written: dict[str, tuple[Latest, dict[str, str]]] = {}
        self._counted: set[tuple[str, RollbackState, Blocked | None]] = set()
        self._probes = self._counter("probes", "Probes that were made.")
        self._failures = self._counter(
            "probe_failures", "Probes that a check found failing or could not judge.", "reason"
        )
        for code in Code:
            self._failures.labels(code.value)
        self._broken = self._counter("probe_bugs", "Probes lost to a fault of the monitor itself.")
        self._skipped = self._counter("skipped_probes", "Slots that came and went without a probe.")
        self._seconds = self._histogram("probe_seconds", "Duration of probes.", _SECONDS)
        self._lag = self._histogram("schedule_lag_seconds", "How late probes were started.", _LAGS)
        self._sent = self._counter("notifications", "Notices that were delivered.", "notifier")
        self._unsent = self._counter(
            "notification_failures", "Attempts to deliver that failed.", "notifier", "reason"
        )
        self._rollbacks = self._counter(
            "rollbacks", "Rollbacks that came to an end.", "service", "outcome"
        )
        self._blocked = self._counter(
            "rollback_blocked", "Trips that were held back.", "service", "reason"
        )
        self._waiting = self._gauge(
            "oldest_undelivered_notification_seconds", "Age of the oldest notice not delivered yet."
        )
        self._blind = self._gauge("blind", "Whether the witnesses failed.")
        self._store_works = self._gauge("store_works", "Whether the last commit succeeded.")
        self._off = self._gauge(
            "rollbacks_off", "Whether the kill switch holds all rollbacks back."
        )
        self._reloaded = self._gauge(
            "config_last_reload_successful", "Whether the last reload of the configuration worked."
        )
        self._reloaded_at = self._gauge(
            "config_last_reload_success_timestamp_seconds",
            "When the configuration was last loaded.",
        )
        Info("production_monitor_build", "The version that runs.", registry=self.registry).info(
            {"version": __version__}
        )

    def observed(self, endpoint: Endpoint, observation: Observation) -> None:
        """Count one probe."""
        self._probes.inc()
        self._seconds.observe(observation.duration.total_seconds())

    def broke(self, endpoint: Endpoint) -> None:
        """Count a probe that a bug of ours ended."""
        self._broken.inc()

    def lagged(self, lag: timedelta) -> None:
        """Record how late a probe was started."""
        self._lag.observe(lag.total_seconds())

    def skipped(self, endpoint: str, slots: int) -> None:
        """Count slots that were missed."""
        self._skipped.inc(slots)

    def changed(self, changes: Changes) -> None:
        """Count probes that were not good, the ends of rollbacks and the trips held back."""
        for result in changes.results:
            if result.code and any(outcome in _NOT_GOOD for _, outcome in result.outcomes):
                self._failures.labels(result.code.value).inc()
        for rollback in changes.rollbacks:
            turn = (rollback.id, rollback.state, rollback.blocked)
            if turn in self._counted:
                continue
            if rollback.state.ended:
                self._counted.add(turn)
                self._rollbacks.labels(rollback.service, rollback.state.value).inc()
            elif rollback.state is RollbackState.BLOCKED and rollback.blocked is not None:
                self._counted.add(turn)
                self._blocked.labels(rollback.service, rollback.blocked.value).inc()

    def delivered(self, delivery: Delivery, receipt: Receipt) -> None:
        """Count one attempt to deliver."""
        reason = getattr(receipt, "reason", None)
        if reason is None:
            self._sent.labels(delivery.notifier).inc()
        else:
            self._unsent.labels(delivery.notifier, reason).inc()

    def reloaded(self, *, successful: bool, now: datetime) -> None:
        """Record whether the configuration could be loaded; exactly its series exist from then."""
        self._reloaded.set(float(successful))
        if successful:
            self._reloaded_at.set(now.timestamp())
            self._follow_directory()

    def parts(
        self,
        *,
        now: datetime,
        sees: bool,
        store_works: bool,
        rollbacks_off: bool,
        as_openmetrics: bool,
    ) -> Iterator[bytes]:
        """Write the page part by part, for whoever has others to serve in between."""
        for number, (name, latest) in enumerate(list(self._engine.latest.items()), 1):
            if why_no_series(latest, now) is None:
                self._lines_of(name, latest)
            if number % _AT_A_TIME == 0:
                yield b""
        for lines in chain(self._endpoint_lines(now), self._check_lines(), self._service_lines()):
            yield lines.encode()
        self._off.set(float(rollbacks_off))
        self._read_situation(now, sees=sees, store_works=store_works)
        yield (
            openmetrics.generate_latest(self.registry)  # type: ignore[no-untyped-call]  # theirs is not annotated
            if as_openmetrics
            else generate_latest(self.registry)
        )

    def _follow_directory(self) -> None:
        """Begin what may be counted at 0, and drop what was counted of those that are gone."""
        directory = self._engine.directory
        for notifier in directory.notifiers:
            self._sent.labels(notifier)
            for why in Why:
                self._unsent.labels(notifier, why.value)
        for service in directory.services.values():
            if service.rollback is None:
                continue
            for state in RollbackState:
                if state.ended:
                    self._rollbacks.labels(service.name, state.value)
            for blocked in Blocked:
                self._blocked.labels(service.name, blocked.value)
        for counter in (self._sent, self._unsent):
            _keep(counter, directory.notifiers)
        for counter in (self._rollbacks, self._blocked):
            _keep(counter, self._services())

    def _services(self) -> set[str]:
        checks = self._engine.checks.values()

        return {check.service for check in checks} | set(self._engine.directory.services)

    def _read_situation(self, now: datetime, *, sees: bool, store_works: bool) -> None:
        situation = self._engine.situation
        self._blind.set(float(not sees))
        self._store_works.set(float(store_works))
        queued = [
            pending[0].queued_at
            for notifier in self._engine.directory.notifiers
            if (pending := situation.pending_deliveries(notifier))
        ]
        self._waiting.set(max((now - min(queued)).total_seconds(), 0.0) if queued else 0.0)

    def _endpoint_lines(self, now: datetime) -> Iterator[str]:
        """Write the series of all endpoints, and forget those of endpoints that have none now."""
        written = {
            name: (latest, self._lines_of(name, latest))
            for name, latest in self._engine.latest.items()
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

    def _check_lines(self) -> Iterator[str]:
        states = self._engine.situation.states
        known = [(f'{{check="{_escape(id)}"}}', states.get(id)) for id in self._engine.checks]
        yield ""  # here, and after each part, others may have their turn
        yield _family(
            "production_monitor_check_state",
            "0 pass, 1 fail, 2 unknown.",
            ((labels, _STATES[one.state if one else Outcome.UNKNOWN]) for labels, one in known),
        )
        yield _family(
            "production_monitor_check_consecutive_failures",
            "Failures in a row.",
            ((labels, one.consecutive_failures if one else 0) for labels, one in known),
        )

    def _service_lines(self) -> Iterator[str]:
        """Write what is told of each service: the client library is slow with many series."""
        situation = self._engine.situation
        open_now = Counts((one.service, one.severity) for one in situation.open_incidents())
        known = {(one.service, one.severity) for one in self._engine.checks.values()}
        yield _family(
            "production_monitor_incidents_open",
            "Open incidents.",
            (
                (f'{{service="{_escape(one[0])}",severity="{one[1]}"}}', float(open_now[one]))
                for one in known | open_now.keys()
            ),
        )
        deploys = ((service, situation.current_deploy(service)) for service in self._services())
        yield _family(
            "production_monitor_last_deploy_timestamp_seconds",
            "When the newest deploy was first seen.",
            (
                (f'{{service="{_escape(service)}"}}', deploy.at.timestamp())
                for service, deploy in deploys
                if deploy is not None and not deploy.baseline
            ),
        )

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"production_monitor_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"production_monitor_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(
            f"production_monitor_{name}", text, registry=self.registry, buckets=buckets
        )


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


def _family(name: str, text: str, series: Iterable[tuple[str, float]]) -> str:
    """Write a gauge of the monitor's own; each series is its labels and its value."""
    lines = "".join(f"{name}{labels} {value!r}\n" for labels, value in series)

    return f"# HELP {name} {text}\n# TYPE {name} gauge\n{lines}"


def _labels(endpoint: Endpoint) -> str:
    return (
        f'endpoint="{_escape(endpoint.name)}",'
        f'target="{_escape(endpoint.target)}",'
        f'service="{_escape(endpoint.service)}"'
    )


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _keep(counter: Counter, names: Collection[str]) -> None:
    """Drop the series whose first label is none of these."""
    known = {
        tuple(sample.labels.values()) for family in counter.collect() for sample in family.samples
    }
    for values in known:
        if values[0] not in names:
            counter.remove(*values)


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
