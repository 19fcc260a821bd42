"""Laying text out for a terminal: long lines hang below their beginning."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.text import Text

from monitor.core.model.verdict import Outcome

if TYPE_CHECKING:
    from monitor.cli.look import Look

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
