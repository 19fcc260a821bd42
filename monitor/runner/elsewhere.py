"""The monitor's side of the runner of tied commands: each is asked for once, over a connection."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from time import time
from typing import TYPE_CHECKING, Final

from monitor.options import format_duration
from monitor.runner.command import Finished
from monitor.runner.protocol import Malformed
from monitor.runner.tied import NotBegun, take_place
from monitor.runner.tied_protocol import (
    LARGEST_SIGHT,
    Purpose,
    Sight,
    TiedOrder,
    make_key,
    read_sight,
    write_order,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from monitor.runner.tied import TiedCommand

_AT_ONCE: Final = 8
"""How many are asked for at once: half of what the socket's unit lets in."""

_TO_BEGIN: Final = timedelta(seconds=5)
"""How long a runner may take to begin at least: it starts, and reads the whole configuration."""

_OVERHEAD: Final = timedelta(seconds=5)
"""What the runner may need beyond the time of the command, for the end of its group."""


class CommandsElsewhere:
    """Leaves commands to a runner behind a Unix socket, which knows them by name."""

    def __init__(self, path: Path, at_once: int = _AT_ONCE) -> None:
        self._path = path
        self._at_once = at_once
        self._places = asyncio.Semaphore(at_once)

    async def run(self, command: TiedCommand, begun: Callable[[], None]) -> Finished:
        """Have it run, once; whoever leaves ends it."""
        await take_place(self._places, command.timeout, self._at_once)
        try:
            return await self._ask(command, begun)
        finally:
            self._places.release()

    async def close(self) -> None:
        """Hold nothing between runs."""

    async def _ask(self, command: TiedCommand, begun: Callable[[], None]) -> Finished:
        patience = max(command.timeout, _TO_BEGIN)
        writer: asyncio.StreamWriter | None = None
        try:
            try:
                async with asyncio.timeout(patience.total_seconds()):
                    reader, writer = await asyncio.open_unix_connection(
                        self._path, limit=LARGEST_SIGHT
                    )
                    writer.write(write_order(_order(command)))
                    await writer.drain()
                    first = await _hear(reader)
            except TimeoutError as error:
                within = format_duration(patience)
                raise NotBegun(f"the runner of probes did not begin within {within}") from error
            except OSError as error:
                said = error.strerror or type(error).__name__
                raise NotBegun(f"the runner of probes cannot be reached: {said}") from error
            if first is None:
                raise NotBegun("the runner of probes is full, or ended before it began")
            if not first.begun:
                raise NotBegun(f"the runner of probes refused: {first.denied}")

            begun()
            return await _wait(reader, command.timeout + _OVERHEAD)
        finally:
            if writer is not None:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()


async def _wait(reader: asyncio.StreamReader, patience: timedelta) -> Finished:
    try:
        async with asyncio.timeout(patience.total_seconds()):
            last = await _hear(reader)
    except TimeoutError:
        return Finished(problem="the runner of probes does not answer", lost=True)
    except OSError:
        last = None

    if last is None or last.finished is None:
        return Finished(problem="the runner of probes ended while the command ran", lost=True)

    return last.finished


def _order(command: TiedCommand) -> TiedOrder:
    return TiedOrder(
        name=command.name,
        fingerprint=command.fingerprint,
        key=make_key(time()),
        purpose=command.purpose,
        variables=command.told,
        input=command.stdin.decode() if command.purpose is Purpose.NOTICE else "",
    )


async def _hear(reader: asyncio.StreamReader) -> Sight | None:
    """Read one line; None where there is none, or one that means nothing."""
    try:
        return read_sight(await reader.readuntil(b"\n"))
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, Malformed):
        return None
