"""A store that forgets: for runs without state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from monitor.core.situation import Situation

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta
    from pathlib import Path

    from monitor.core.model.changes import Changes, Result
    from monitor.core.model.incident import Incident, TimelineEntry

MOST_RESULTS: Final = 20_000
"""How many results are kept, the newest."""


class MemoryStore:
    """The methods of `Store` over this process's memory: bounded, and gone when it ends."""

    path: Final = None
    set_aside: Path | None = None
    problem: Final = None

    def __init__(self) -> None:
        self._situation = Situation()
        self._results: dict[tuple[str, datetime], Result] = {}

    async def tell_control(self, control: Path) -> None:
        """Tell nobody: there is no file to find it by."""

    async def load(self) -> Situation:
        """Begin with nothing."""
        return Situation()

    async def commit(self, changes: Changes) -> None:
        """Keep a bundle while the process lives, its newest results at least."""
        self._situation.apply(changes)
        self._results |= {(result.endpoint, result.at): result for result in changes.results}
        for key in list(self._results)[: max(0, len(self._results) - MOST_RESULTS)]:
            del self._results[key]

    async def reattach(self) -> None:
        """Nothing can be lost but with this process."""

    async def samples_of(
        self, since: Mapping[str, datetime]
    ) -> dict[str, list[tuple[datetime, timedelta]]]:
        """Give the scheduled latency samples of many endpoints, oldest first."""
        known = {result.endpoint for result in self._results.values()}

        return {name: self._samples(name, since[name]) for name in since if name in known}

    async def values_of(
        self, since: Mapping[str, datetime]
    ) -> dict[str, list[tuple[datetime, float]]]:
        """Give the scheduled values of many endpoints, oldest first."""
        found: dict[str, list[tuple[datetime, float]]] = {}
        for result in sorted(self._results.values(), key=lambda one: one.at):
            start = since.get(result.endpoint)
            if start is None or result.at < start or not result.scheduled:
                continue
            if result.value is not None:
                found.setdefault(result.endpoint, []).append((result.at, result.value))

        return found

    async def results(self, endpoint: str | None, since: datetime, limit: int) -> list[Result]:
        """Give the newest results at or after `since`, of one endpoint or of all, oldest first."""
        found = sorted(
            (
                result
                for result in self._results.values()
                if endpoint in (None, result.endpoint) and result.at >= since
            ),
            key=lambda result: result.at,
        )

        return found[-limit:] if limit > 0 else []

    async def timeline(self, incident: str) -> tuple[TimelineEntry, ...]:
        """Give the record of one incident in its order."""
        return tuple(self._situation.timelines.get(incident, ()))

    async def incidents(self, since: datetime, limit: int) -> list[Incident]:
        """Give the newest incidents that were open at `since` or later, oldest first."""
        found = sorted(
            (
                incident
                for incident in self._situation.incidents.values()
                if incident.resolved_at is None or incident.resolved_at >= since
            ),
            key=lambda incident: (incident.opened_at, incident.id),
        )

        return found[-limit:] if limit > 0 else []

    async def prune(self, before: datetime, now: datetime) -> int:
        """Forget results before; the rest bounds itself."""
        old = [key for key, result in self._results.items() if result.at < before]
        for key in old:
            del self._results[key]

        return len(old)

    async def close(self) -> None:
        """Nothing is open."""

    def _samples(self, endpoint: str, since: datetime) -> list[tuple[datetime, timedelta]]:
        return sorted(
            (result.at, result.latency)
            for result in self._results.values()
            if result.endpoint == endpoint
            and result.at >= since
            and result.scheduled
            and result.latency is not None
        )
