"""What `doctor` says of one thing that it tried."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


class Fitness(StrEnum):
    """What was found of one thing: a warning works, what was skipped was not tried."""

    OK = "ok"
    WARNING = "warning"
    BROKEN = "broken"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """One thing that was tried: the part it belongs to, its name, and what was found."""

    part: str
    name: str
    fitness: Fitness
    text: str

    def to_json(self) -> dict[str, Any]:
        """Give it as `doctor --output json` has it."""
        return {
            "part": self.part,
            "name": self.name,
            "health": self.fitness.value,
            "text": self.text,
        }


def worst(findings: Iterable[Examined]) -> Fitness:
    """Give the worst of what was found; what was skipped is no trouble."""
    found = {finding.fitness for finding in findings}

    return next((one for one in (Fitness.BROKEN, Fitness.WARNING) if one in found), Fitness.OK)
