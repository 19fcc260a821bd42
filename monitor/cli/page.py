"""Laying text out for a terminal: color, width, and long lines that hang below their beginning."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from io import StringIO
from typing import Final

from rich.console import Console
from rich.text import Text

from monitor.core.model.verdict import Outcome

MARKS: Final = {
    Outcome.PASS: "[green bold]✔ pass[/]",
    Outcome.FAIL: "[red bold]✘ FAIL[/]",
    Outcome.UNKNOWN: "[yellow bold]? unknown[/]",
    Outcome.WAITING: "[dim]… waiting[/]",
}
"""How each outcome is marked, also where there is no color."""

_WIDEST_MARK: Final = 9

_ENDLESS: Final = 10_000
_NARROWEST: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How output may look; `width` is None where no terminal sets one: lines are never broken."""

    color: bool = False
    width: int | None = None


def find_look() -> Look:
    """Give the look of standard output: plain unless it is a terminal, NO_COLOR respected."""
    if not sys.stdout.isatty():
        return Look()

    return Look(color=not os.environ.get("NO_COLOR"), width=Console().width)


class Page:
    """Text that is laid out line by line."""

    def __init__(self, look: Look) -> None:
        self._out = StringIO()
        self.width = max(look.width or _ENDLESS, _NARROWEST)
        self._console = Console(
            file=self._out,
            force_terminal=look.color,
            no_color=not look.color,
            width=self.width,
            highlight=False,
            legacy_windows=False,
        )

    def line(self, markup: str = "", *, lead: str = "", hang: int = 0) -> None:
        """Write one line; what does not fit continues below, `hang` deeper than `lead` reaches."""
        first = Text.from_markup(lead)
        room = max(self.width - first.cell_len - hang, _NARROWEST)
        rest = Text.from_markup(markup)
        parts = rest.wrap(self._console, room) if rest.cell_len > room else [rest]
        below = Text(" " * (first.cell_len + hang))
        for part in parts:
            part.rstrip()
            self._console.print(first + part, soft_wrap=True)
            first = below

    def text(self) -> str:
        """Give everything, ending in a line break, without white space at the ends of lines."""
        return "\n".join(line.rstrip() for line in self._out.getvalue().splitlines()) + "\n"


def mark(outcome: Outcome) -> str:
    """Give the mark of an outcome and the gap after it, as wide for each, so that names align."""
    gap = _WIDEST_MARK - Text.from_markup(MARKS[outcome]).cell_len + 2

    return MARKS[outcome] + " " * gap
