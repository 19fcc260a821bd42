"""One bundle of changed records: what is applied to memory and committed in one transaction."""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime, timedelta

    from monitor.core.model.check_state import CheckState
    from monitor.core.model.deploy import Deploy
    from monitor.core.model.heartbeat import Heartbeat, Presence
    from monitor.core.model.incident import Incident, TimelineEntry
    from monitor.core.model.notice import Delivery
    from monitor.core.model.observation import Code
    from monitor.core.model.pin import HeaderPin
    from monitor.core.model.rollback import Rollback, Step
    from monitor.core.model.silence import Silence
    from monitor.core.model.verdict import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What is kept of one probe, for windows, history and reports.

    `latency` is the sample that enters latency windows: the duration of an answer, at least the
    timeout for a timeout, None where it was no latency (refused, 5xx, the monitor's own fault).
    `scheduled` is False for retry samples. `value` is the sample that enters windows of values.
    """

    endpoint: str
    at: datetime
    duration: timedelta
    scheduled: bool
    outcomes: tuple[tuple[str, Outcome], ...]
    code: Code | None = None
    status: int | None = None
    latency: timedelta | None = None
    version: str | None = None
    value: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Records that changed together. Every record has a key, so that a commit may be repeated.

    Keys: `CheckState.check`, `Incident.id`, (`incident`, `sequence`) of a timeline entry,
    `Delivery.id`, `Deploy.id`, `Rollback.id`, `Step.key`, `HeaderPin.check`, `Heartbeat.endpoint`,
    `Presence.id`, `Silence.id`; results are only ever added.
    """

    states: tuple[CheckState, ...] = ()
    results: tuple[Result, ...] = ()
    incidents: tuple[Incident, ...] = ()
    timeline: tuple[TimelineEntry, ...] = ()
    deliveries: tuple[Delivery, ...] = ()
    deploys: tuple[Deploy, ...] = ()
    rollbacks: tuple[Rollback, ...] = ()
    steps: tuple[Step, ...] = ()
    pins: tuple[HeaderPin, ...] = ()
    heartbeats: tuple[Heartbeat, ...] = ()
    presences: tuple[Presence, ...] = ()
    silences: tuple[Silence, ...] = ()
    forgotten: tuple[str, ...] = ()
    """Checks whose state and pin are to be deleted: the configuration no longer has them."""
    silenced: tuple[str, ...] = ()
    """Endpoints whose heartbeat is to be deleted, for the same reason."""

    def __add__(self, later: Changes) -> Changes:
        return Changes.merge((self, later))

    @staticmethod
    def merge(bundles: Iterable[Changes]) -> Changes:
        """Put bundles together, oldest first; of what has one record by its key, the newest."""
        full = [bundle for bundle in bundles if bundle]
        if len(full) <= 1:
            return full[0] if full else NOTHING

        merged: dict[str, tuple[Any, ...]] = {
            name: tuple(chain.from_iterable(getattr(bundle, name) for bundle in full))
            for name in _NAMES
        }
        states: dict[str, CheckState] = {}
        pins: dict[str, HeaderPin] = {}
        heartbeats: dict[str, Heartbeat] = {}
        for bundle in full:
            for check in bundle.forgotten:
                states.pop(check, None)
                pins.pop(check, None)
            for endpoint in bundle.silenced:
                heartbeats.pop(endpoint, None)
            states |= {state.check: state for state in bundle.states}
            pins |= {pin.check: pin for pin in bundle.pins}
            heartbeats |= {one.endpoint: one for one in bundle.heartbeats}
        merged["states"] = tuple(states.values())
        merged["pins"] = tuple(pins.values())
        merged["heartbeats"] = tuple(heartbeats.values())
        merged["presences"] = tuple({one.id: one for one in merged["presences"]}.values())
        merged["incidents"] = tuple({one.id: one for one in merged["incidents"]}.values())

        return Changes(**merged)

    @property
    def urgent(self) -> bool:
        """Whether this must be durable before anyone is told: all but results and counters,
        and that somebody still listens.
        """
        return bool(
            self.incidents
            or self.timeline
            or self.deliveries
            or self.deploys
            or self.rollbacks
            or self.steps
            or self.pins
            or self.heartbeats
            or self.silences
            or self.forgotten
            or self.silenced
        )

    def __bool__(self) -> bool:
        return bool(self.results or self.states or self.presences or self.urgent)


_NAMES: Final = tuple(field.name for field in fields(Changes))

NOTHING: Final = Changes()
"""What most moments change."""
