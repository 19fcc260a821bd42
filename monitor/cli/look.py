"""How output may look: in color where it is a terminal, and as wide as that."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How output may look; `width` is None where no terminal sets one: lines are never broken."""

    color: bool = False
    width: int | None = None


def find_look() -> Look:
    """Give the look of standard output: plain unless it is a terminal, NO_COLOR respected."""
    if not sys.stdout.isatty():
        return Look()

    from rich.console import Console

    return Look(color=not os.environ.get("NO_COLOR"), width=Console().width)
