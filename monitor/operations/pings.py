"""Pings of heartbeats."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from monitor.operations.desk import OperationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitor.core.model.heartbeat import Ping
    from monitor.operations.desk import Desk

_STORE_PATIENCE: Final = timedelta(seconds=2)


async def take_ping(endpoint: str, ping: Ping, desk: Desk, look: Callable[[str], None]) -> None:
    """Take a ping of a heartbeat and let it be judged by `look`; done once it is durable.

    Raises OperationError where the heartbeat is gone. After StoreError or TimeoutError it counts
    all the same, and is written down later.
    """
    heartbeat = desk.engine.situation.heartbeats.get(endpoint)
    if heartbeat is None:
        raise OperationError(f"{endpoint}: the configuration has no such heartbeat")

    desk.record(desk.engine.hear(heartbeat, ping))
    look(endpoint)
    async with asyncio.timeout(_STORE_PATIENCE.total_seconds()):
        await desk.journal.flush()
