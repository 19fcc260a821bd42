"""What is measured in a soak: memory and descriptors over time, and whether they stay flat."""

from __future__ import annotations

import asyncio
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tests.soak.town import Town

MEBIBYTE: Final = 1024 * 1024
LOOK_EVERY: Final = 2.0
MOST_GROWTH: Final = 1.0
"""MiB an hour."""

COUNTED: Final = 2 / 3
"""The share of the looks, the last ones, that counts: by then it is warm."""

SHORTEST: Final = 0.25
"""Hours that have to be counted before a slope means anything."""

_NOISE: Final = 3.0
"""MiB by which memory may differ for no reason: what the allocator keeps comes and goes.

One growth of the interpreter's table of interned names alone takes 1.8.
"""

_SPAN: Final = 10
"""Looks that are one point of the line: the least of them, as peaks are no leak."""

_MORE_DESCRIPTORS: Final = 6


@dataclass(frozen=True)
class Look:
    """What the process held at one moment."""

    at: float
    memory: float
    descriptors: int


@dataclass
class Record:
    """All looks of one life."""

    looks: list[Look] = field(default_factory=list)

    async def keep(self, town: Town) -> None:
        """Look every two seconds, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            assert town.running is not None
            self.looks.append(_look(town.running.process.pid, loop.time()))
            await asyncio.sleep(LOOK_EVERY)

    @property
    def counted(self) -> list[Look]:
        """The looks that count."""
        return self.looks[round(len(self.looks) * (1 - COUNTED)) :]

    @property
    def hours(self) -> float:
        """How long that took."""
        return (self.counted[-1].at - self.counted[0].at) / 3600

    @property
    def tells_slope(self) -> bool:
        """Whether it was long enough to tell a slope from what comes and goes."""
        return self.hours >= SHORTEST

    @property
    def slope(self) -> float:
        """MiB an hour."""
        return statistics.linear_regression(*self._points()).slope * 3600

    def breaches(self) -> list[str]:
        """Say what grew; nothing if all is flat."""
        found = []
        growth = self.slope * self.hours
        if (
            self.tells_slope
            and self.slope > MOST_GROWTH
            and growth > max(MOST_GROWTH * self.hours, _NOISE)
        ):
            found.append(f"memory grew by {growth:.1f} MiB in {self.hours:.2f} h: {self}")
        half = len(self.counted) // 2
        first, last = (
            statistics.median(look.descriptors for look in part)
            for part in (self.counted[:half], self.counted[half:])
        )
        if last > first + _MORE_DESCRIPTORS:
            found.append(f"descriptors grew from {first} to {last}")

        return found

    def __str__(self) -> str:
        memory = [look.memory for look in self.counted]
        descriptors = [look.descriptors for look in self.counted]
        slope = f"slope {self.slope:+.2f} MiB/h" if self.tells_slope else "too short for a slope"

        return (
            f"memory {memory[0]:.1f} to {memory[-1]:.1f} MiB ({min(memory):.1f} to"
            f" {max(memory):.1f}), {slope}; descriptors {min(descriptors)}"
            f" to {max(descriptors)}, median {statistics.median(descriptors):g}"
        )

    def _points(self) -> tuple[list[float], list[float]]:
        looks = self.counted
        parts = [looks[start : start + _SPAN] for start in range(0, len(looks), _SPAN)]

        return (
            [part[0].at for part in parts],
            [min(look.memory for look in part) for part in parts],
        )


def _look(pid: int, now: float) -> Look:
    process = Path(f"/proc/{pid}")
    (resident,) = (
        int(line.split()[1]) * 1024
        for line in (process / "status").read_text().splitlines()
        if line.startswith("VmRSS:")
    )

    return Look(now, resident / MEBIBYTE, len(list((process / "fd").iterdir())))
