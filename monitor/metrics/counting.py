"""What is counted of probes, notices and rollbacks, and the page with all that there is."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics import exposition as openmetrics

from monitor import __version__
from monitor.core.model.observation import Code
from monitor.core.model.rollback import Blocked, RollbackKind, RollbackState
from monitor.core.model.verdict import Outcome
from monitor.core.outbox import Why
from monitor.metrics.checks import check_series
from monitor.metrics.endpoints import endpoint_series
from monitor.metrics.services import known_services, service_series

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import datetime, timedelta

    from monitor.core.engine import Engine
    from monitor.core.model.changes import Changes
    from monitor.core.model.endpoint import Endpoint
    from monitor.core.model.notice import Delivery, Receipt
    from monitor.core.model.observation import Observation

_NOT_GOOD: Final = (Outcome.FAIL, Outcome.UNKNOWN)
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_LAGS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """Counts what happens; reads the rest from the engine at the moment of the scrape."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.registry = CollectorRegistry()
        self._counted: set[tuple[str, RollbackState, Blocked | None]] = set()
        self._probes = self._counter("probes", "Probes that were made.")
        self._failures = self._counter(
            "probe_failures", "Probes that a check found failing or could not judge.", "reason"
        )
        for code in Code:
            self._failures.labels(code.value)
        self._broken = self._counter("probe_bugs", "Probes lost to a fault of the monitor itself.")
        self._skipped = self._counter("skipped_probes", "Slots that came and went without a probe.")
        self._jumps = self._counter("clock_jumps", "How often the wall clock was set.")
        self._seconds = self._histogram("probe_seconds", "Duration of probes.", _SECONDS)
        self._lag = self._histogram("schedule_lag_seconds", "How late probes were started.", _LAGS)
        self._sent = self._counter("notifications", "Notices that were delivered.", "notifier")
        self._unsent = self._counter(
            "notification_failures", "Attempts to deliver that failed.", "notifier", "reason"
        )
        self._repeats = self._counter(
            "notification_repeats",
            "Attempts at a notice that an earlier one may have brought already.",
            "notifier",
        )
        self._ended = {
            RollbackKind.ROLLBACK: self._counter(
                "rollbacks", "Rollbacks that came to an end.", "service", "outcome"
            ),
            RollbackKind.REMEDY: self._counter(
                "remedies", "Remedies that came to an end.", "service", "outcome"
            ),
        }
        self._blocked = {
            RollbackKind.ROLLBACK: self._counter(
                "rollback_blocked", "Trips that were held back.", "service", "reason"
            ),
            RollbackKind.REMEDY: self._counter(
                "remedy_blocked", "Trips of a remedy that were held back.", "service", "reason"
            ),
        }
        self._waiting = self._gauge(
            "oldest_undelivered_notification_seconds", "Age of the oldest notice not delivered yet."
        )
        self._blind = self._gauge("blind", "Whether the witnesses failed.")
        self._store_works = self._gauge("store_works", "Whether the last commit succeeded.")
        self._off = self._gauge(
            "rollbacks_off", "Whether the kill switch holds all rollbacks back."
        )
        self._wrong = self._counter("wrong_tokens", "Wrong tokens given over HTTP.")
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

    def clock_jumped(self) -> None:
        """Count that the wall clock was set."""
        self._jumps.inc()

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
                self._ended[rollback.kind].labels(rollback.service, rollback.state.value).inc()
            elif rollback.state is RollbackState.BLOCKED and rollback.blocked is not None:
                self._counted.add(turn)
                self._blocked[rollback.kind].labels(rollback.service, rollback.blocked.value).inc()

    def delivered(self, delivery: Delivery, receipt: Receipt) -> None:
        """Count one attempt to deliver; of a row that is `maybe_sent` it was a repeat."""
        if delivery.maybe_sent:
            self._repeats.labels(delivery.notifier).inc()
        reason = getattr(receipt, "reason", None)
        if reason is None:
            self._sent.labels(delivery.notifier).inc()
        else:
            self._unsent.labels(delivery.notifier, reason).inc()

    def token_refused(self) -> None:
        """Count a wrong token."""
        self._wrong.inc()

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
        for lines in chain(
            endpoint_series(self._engine.latest, now),
            check_series(self._engine),
            service_series(self._engine),
        ):
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
            self._repeats.labels(notifier)
            for why in Why:
                self._unsent.labels(notifier, why.value)
        for service in directory.services.values():
            for policy in service.policies:
                for state in RollbackState:
                    if state.ended:
                        self._ended[policy.kind].labels(service.name, state.value)
                for blocked in Blocked:
                    self._blocked[policy.kind].labels(service.name, blocked.value)
        for counter in (self._sent, self._unsent, self._repeats):
            _keep(counter, directory.notifiers)
        for counter in (*self._ended.values(), *self._blocked.values()):
            _keep(counter, known_services(self._engine))

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

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"production_monitor_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"production_monitor_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(
            f"production_monitor_{name}", text, registry=self.registry, buckets=buckets
        )


def _keep(counter: Counter, names: Collection[str]) -> None:
    """Drop the series whose first label is none of these."""
    known = {
        tuple(sample.labels.values()) for family in counter.collect() for sample in family.samples
    }
    for values in known:
        if values[0] not in names:
            counter.remove(*values)
