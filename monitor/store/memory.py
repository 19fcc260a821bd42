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
    from monitor.core.model.verdict import Outcome

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
        return {
            endpoint: [
                (result.at, result.latency)
                for result in results
                if result.scheduled and result.latency is not None
            ]
            for endpoint, results in self._by_endpoint(since).items()
        }

    async def values_of(
        self, since: Mapping[str, datetime]
    ) -> dict[str, list[tuple[datetime, float]]]:
        """Give the scheduled values of many endpoints, oldest first."""
        return {
            endpoint: [
                (result.at, result.value)
                for result in results
                if result.scheduled and result.value is not None
            ]
            for endpoint, results in self._by_endpoint(since).items()
        }

    async def outcomes_of(
        self, since: Mapping[str, datetime], checks: Mapping[str, str], limit: int
    ) -> dict[str, list[tuple[datetime, Outcome]]]:
        """Give what one check of each endpoint said of its newest probes, oldest first."""
        return {
            endpoint: [
                (result.at, outcome)
                for result in [one for one in results if one.scheduled][-limit:]
                for check, outcome in result.outcomes
                if check == checks[endpoint]
            ]
            for endpoint, results in self._by_endpoint(since).items()
        }

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

    async def incidents_named(self, beginning: str, limit: int) -> tuple[Incident, ...]:
        """Give the incidents whose ids begin so, in the order of their ids; an exact one first."""
        known = self._situation.incidents
        found = sorted(id for id in known if id.startswith(beginning))

        return tuple(known[id] for id in found[:limit])

    async def prune(self, before: datetime, now: datetime) -> int:
        """Forget results before; the rest bounds itself."""
        old = [key for key, result in self._results.items() if result.at < before]
        for key in old:
            del self._results[key]

        return len(old)

    async def close(self) -> None:
        """Nothing is open."""

    def _by_endpoint(self, since: Mapping[str, datetime]) -> dict[str, list[Result]]:
        """Give the results of each endpoint that has any, since its time, oldest first."""
        found: dict[str, list[Result]] = {}
        for result in sorted(self._results.values(), key=lambda one: one.at):
            if result.endpoint in since:
                of_endpoint = found.setdefault(result.endpoint, [])
                if result.at >= since[result.endpoint]:
                    of_endpoint.append(result)

        return found
