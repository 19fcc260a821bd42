"""The time of one observation, split into phases."""

from __future__ import annotations

from datetime import timedelta
from time import perf_counter
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitor.core.model.observation import Phase


class Stopwatch:
    """Adds up how long each phase took; one phase runs at a time, and some moments belong to none.

    Parts are rounded down to the microsecond, so that their sum never exceeds the whole.
    """

    __slots__ = ("_began", "_phase_began", "_spent", "phase")

    def __init__(self) -> None:
        self._began = perf_counter()
        self._phase_began = self._began
        self._spent: dict[Phase, float] = {}
        self.phase: Phase | None = None

    def enter(self, phase: Phase) -> None:
        """End the phase that runs, if any, and begin another."""
        now = perf_counter()
        self._add(now)
        self.phase = phase
        self._phase_began = now

    def leave(self) -> None:
        """End the phase that runs; what follows belongs to none."""
        self._add(perf_counter())
        self.phase = None

    def phases(self) -> Mapping[Phase, timedelta]:
        """Give the time of each phase that took place."""
        return MappingProxyType({phase: _floor(spent) for phase, spent in self._spent.items()})

    def elapsed(self) -> timedelta:
        """Give the time since the beginning."""
        return _floor(perf_counter() - self._began)

    def _add(self, now: float) -> None:
        if self.phase is not None:
            spent = now - self._phase_began
            self._spent[self.phase] = self._spent.get(self.phase, 0.0) + spent


def _floor(seconds: float) -> timedelta:
    return timedelta(0, 0, int(seconds * 1_000_000))
