"""The person on call in a story: approves rollbacks, takes incidents on, remembers the answers."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp

from monitor.core.model.rollback import RollbackState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from tests.support.account import Books


@dataclass
class OnCall:
    """Presses everything twice at once; nobody may be there to hear it.

    `approved` are rollbacks. `taken` are the incidents of which the answer was that this person has
    taken them on, with who and when.
    """

    folder: Path
    approved: set[str] = field(default_factory=set)
    taken: dict[str, dict[str, str]] = field(default_factory=dict)
    contradicted: list[str] = field(default_factory=list)

    async def approve(self, rollbacks: Iterable[Mapping[str, Any]]) -> None:
        """Approve what waits for it."""
        waiting = [one["id"] for one in rollbacks if one["state"] == RollbackState.AWAITING]
        self.approved |= set(waiting)
        await self._press([f"rollbacks/{id}/approve" for id in waiting])

    async def take_on(self, incidents: Iterable[Mapping[str, Any]]) -> list[str]:
        """Take on what was escalated; name the services of what this person has from now on."""
        waiting = {
            one["id"]: one["service"]
            for one in incidents
            if one["id"] not in self.taken and not one["resolved_at"]
            if any(entry["event"] == "escalated" for entry in one["timeline"])
        }
        for said in await self._press([f"incidents/{id}/ack" for id in waiting]):
            before = self.taken.setdefault(said["id"], said["acknowledged"])
            if said["acknowledged"] != before:
                self.contradicted.append(f"{said['id']}: {before}, then {said['acknowledged']}")

        return [service for id, service in waiting.items() if id in self.taken]

    async def _press(self, paths: Sequence[str]) -> list[Any]:
        """Give the answers that came whole, and say yes."""
        socket = aiohttp.UnixConnector(str(self.folder / ".production-monitor/control.sock"))
        async with aiohttp.ClientSession(connector=socket) as control:

            async def press(path: str) -> Any:
                async with control.post(f"http://monitor/api/v1/{path}") as answer:
                    return json.loads(await answer.read()) if answer.status == 200 else None

            answers = await asyncio.gather(
                *(press(path) for path in paths for _ in range(2)), return_exceptions=True
            )

        return [one for one in answers if one is not None and not isinstance(one, BaseException)]

    def unapproved(self, effects: Mapping[str, Iterable[str]]) -> list[str]:
        """Say what was done without anybody's approval."""
        done = {line.partition(".")[0] for lines in effects.values() for line in lines}

        return [
            f"{id} was carried out, and nobody approved it" for id in sorted(done - self.approved)
        ]

    def forgotten(self, books: Books) -> list[str]:
        """Say of what the program forgot, or turned around, that this person has taken it on."""
        known = {one.id: one.acknowledgement for one in books.incidents}
        breaches = [f"it was said twice who has {one}" for one in self.contradicted]
        for id, said in self.taken.items():
            kept = known.get(id)
            if kept is None or {"by": kept.by, "at": kept.at.isoformat()} != said:
                breaches.append(f"{id} was taken on by {said}, but it has {kept}")

        return breaches
