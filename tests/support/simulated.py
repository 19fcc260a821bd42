"""An event loop whose time is simulated: what waits an hour is over at once, in the same order."""

from __future__ import annotations

import asyncio
import selectors
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

_Result = TypeVar("_Result")

NOON = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)


class SimulatedLoop(asyncio.SelectorEventLoop):
    """Never waits: where it would, its clock goes on by so much instead."""

    def __init__(self) -> None:
        self.now = 0.0
        super().__init__(_Hasty(self))

    def time(self) -> float:
        return self.now

    def wall(self) -> datetime:
        """Give the time of day, which starts at noon."""
        return NOON + timedelta(seconds=self.now)


class _Hasty(selectors.DefaultSelector):
    def __init__(self, loop: SimulatedLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "nothing is left that would ever happen"
        self._loop.now += timeout

        return super().select(0)


def simulate(story: Callable[[SimulatedLoop], Coroutine[Any, Any, _Result]]) -> _Result:
    """Run a story from its beginning to its end on a loop of its own."""
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, SimulatedLoop)
        return runner.run(story(loop))
