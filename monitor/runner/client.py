"""The monitor's side of the hook runner: it asks for a step, or what became of one."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from monitor.core.model.rollback import Effect, EffectOutcome
from monitor.runner.local import KILL_AFTER
from monitor.runner.protocol import (
    LARGEST_ANSWER,
    Answer,
    Known,
    Malformed,
    Order,
    Wish,
    read_answer,
    write_order,
)

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.core.model.rollback import EffectContext

_OVERHEAD: Final = KILL_AFTER + timedelta(seconds=20)
"""What the runner may need beyond the time of the command: its start, and the end of a group."""

_PATIENCE: Final = timedelta(seconds=10)
"""How long a runner that is not there is waited for, before what it knows is given up."""

_AGAIN: Final = 0.2
_SILENT: Final = "the hook runner does not answer"


class _Unreachable(Exception):
    """Nobody listens, so nothing was asked."""


class HookRunner:
    """A hook runner behind a Unix socket; each question is a connection of its own."""

    def __init__(self, path: Path, *, patience: timedelta = _PATIENCE) -> None:
        self._path = path
        self._patience = patience.total_seconds()

    async def run(self, fingerprint: str, context: EffectContext, timeout: timedelta) -> Effect:
        """Have a step carried out, once; `timeout` is that of its command."""
        order = Order(wish=Wish.RUN, fingerprint=fingerprint, context=context)
        try:
            answer = await self._ask(order, timeout)
        except _Unreachable as error:
            return Effect(outcome=EffectOutcome.NOTHING_APPLIED, detail=str(error))

        except TimeoutError:
            return _uncertain(_SILENT)

        if answer is None:  # it ended while it was asked: what does the next one know?
            recalled = await self.recall(fingerprint, context, timeout)
            return recalled or Effect(
                outcome=EffectOutcome.NOTHING_APPLIED,
                detail="the hook runner ended before it began",
            )
        if answer.known is Known.DENIED:
            return Effect(
                outcome=EffectOutcome.REFUSED, detail=f"the hook runner refused: {answer.detail}"
            )

        return _effect(answer)

    async def recall(
        self, fingerprint: str, context: EffectContext, timeout: timedelta
    ) -> Effect | None:
        """Give what came of a step, once it has ended; None where it was never begun."""
        order = Order(wish=Wish.RECALL, fingerprint=fingerprint, context=context)
        loop = asyncio.get_running_loop()
        until = loop.time() + self._patience
        while True:
            try:
                answer = await self._ask(order, timeout)
            except _Unreachable as error:
                if loop.time() >= until:
                    return _uncertain(str(error))
            except TimeoutError:
                return _uncertain(_SILENT)
            else:
                break
            await asyncio.sleep(_AGAIN)

        if answer is None:
            return _uncertain("the hook runner ended before it could answer")

        return None if answer.known is Known.NEVER_SEEN else _effect(answer)

    async def _ask(self, order: Order, timeout: timedelta) -> Answer | None:
        """Ask once; None where the connection ended without an answer.

        Raises _Unreachable, or TimeoutError where an answer does not come in time.
        """
        try:
            async with asyncio.timeout(self._patience):
                reader, writer = await asyncio.open_unix_connection(
                    self._path, limit=LARGEST_ANSWER
                )
        except (OSError, ValueError) as error:
            raise _Unreachable(f"the hook runner cannot be reached: {_say(error)}") from error

        try:
            async with asyncio.timeout((timeout + _OVERHEAD).total_seconds()):
                writer.write(write_order(order))
                await writer.drain()
                line = await reader.readline()
        except TimeoutError:
            raise
        except (OSError, ValueError):  # ValueError: a line without end
            return None
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

        if not line.endswith(b"\n"):
            return None
        try:
            return read_answer(line)
        except Malformed:
            return None


def _effect(answer: Answer) -> Effect:
    return answer.effect or _uncertain(answer.detail)


def _uncertain(detail: str) -> Effect:
    return Effect(outcome=EffectOutcome.UNCERTAIN, detail=f"{detail}, so the outcome is not known")


def _say(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
