"""A shop that is well, watched by a daemon to which something happens, and what came of that."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.support.program import Daemon
    from tests.support.receiver import Receiver

TOKEN: Final = "operate-token-1"
PACE: Final = {"every": "600ms", "retry_every": "300ms", "timeout": "600ms"}
OWN: Final = frozenset({"witness", "internal"})
"""The reasons of verdicts that blame the monitor itself."""

_COUNTED: Final = re.compile(r'probe_failures_total\{reason="(\w+)"\} (\S+)')


def write_config(
    folder: Path,
    receiver: Receiver,
    endpoints: dict[str, Any],
    *,
    pace: Mapping[str, str] = PACE,
    **sections: Any,
) -> None:
    """Watch endpoints as one service that is rolled back at the first failure after a deploy."""
    (folder / "roll-back").write_text("#!/bin/sh\ntouch rolled-back\n")
    (folder / "roll-back").chmod(0o755)
    rollback = {
        "mode": "automatic",
        "steps": [{"command": ["./roll-back"]}],
    }
    config = {
        "web": {
            "listen": "127.0.0.1:${PORT}",
            "tokens": [{"name": "test", "scope": "operate", "token": TOKEN}],
        },
        "defaults": {"failure_threshold": 1, "success_threshold": 1, **pace},
        "notifiers": {"people": {"webhook": {"url": receiver.url()}}},
        "services": {"shop": {"rollback": rollback}},
        "endpoints": {
            name: {"service": "shop", **({"url": one} if isinstance(one, str) else one)}
            for name, one in endpoints.items()
        },
        **sections,
    }
    (folder / "monitor.yml").write_text(json.dumps(config, indent=1))


@dataclass(frozen=True)
class Watched:
    """The daemon, who is told, and what must not have happened."""

    running: Daemon
    receiver: Receiver

    async def begin(self) -> None:
        """Wait until all is well, then deploy: from now on a failure would be rolled back."""
        await self.running.until(
            lambda status: all(one["state"] == "pass" for one in status["checks"])
        )
        code, text = await self.running.post(
            "/api/v1/deploys",
            json={"service": "shop", "version": "2.0"},
            headers={"Authorization": f"Bearer {TOKEN}"},
        )
        assert code in (200, 201, 202), text

    def told(self) -> list[str]:
        """Give what people were told: the kind of incident, and what became of it."""
        return [f"{one.json['class']} {one.json['event']}" for one in self.receiver.received]

    async def until_told(self, *what: str) -> None:
        """Wait until people were told exactly this since the beginning."""
        await until(lambda: len(self.told()) >= len(what))
        assert self.told() == list(what), self.told()

    async def until_well(self) -> None:
        """Wait until every check passes again."""
        await self.running.until(
            lambda status: all(one["verdict"] == "pass" for one in status["checks"])
        )

    async def blamed(self) -> dict[str, float]:
        """Give how often a target was blamed, by the reason."""
        _, text = await self.running.get("/metrics")
        counted = {reason: float(count) for reason, count in _COUNTED.findall(text)}

        return {reason: count for reason, count in counted.items() if count and reason not in OWN}

    async def nobody_was_blamed(self) -> None:
        """Make sure that no check ever failed, nothing was rolled back, and it still runs."""
        status = await self.running.status()

        blamed = await self.blamed()
        assert blamed == {}, blamed
        assert {one["class"] for one in status["incidents"]} <= {"monitor"}
        assert status["rollbacks"] == []
        assert not (self.running.folder / "rolled-back").exists()
        assert self.running.process.returncode is None
        assert "Traceback" not in self.running.said()
