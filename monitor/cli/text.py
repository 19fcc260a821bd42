"""A finished run as text for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.markup import escape

from monitor.cli.common import count
from monitor.cli.finished import say_why, tally
from monitor.cli.page import MARKS, Page, mark
from monitor.options import format_duration

if TYPE_CHECKING:
    from monitor.cli.finished import Run
    from monitor.cli.look import Look
    from monitor.core.report import CheckReport

_BESIDE_WHY: Final = 22
"""What stands before the reasons of a check, its name apart."""
_ROOM_FOR_WHY: Final = 50
_BELOW: Final = " " * 11


def write_text(run: Run, look: Look) -> str:
    """Write a line for each check, and what came of all."""
    page = Page(look)
    longest = max((len(report.check.id) for report in run.reports), default=0)
    for report in run.reports:
        _write_report(page, report, longest)
    took = format_duration(run.finished_at - run.started_at)
    end = ", interrupted" if run.interrupted else ""
    page.line()
    page.line(
        f"{tally(run.reports)}; {count(run.cycles, 'round')} in {took}{end}",
        lead=f"{MARKS[run.verdict]}  ",
    )

    return page.text()


def _write_report(page: Page, report: CheckReport, longest: int) -> None:
    """Write a check and what it took; the reasons beside it, or below where it is narrow."""
    took = format_duration(report.observation.duration) if report.observation else ""
    lead = f"{mark(report.verdict)}{escape(report.check.id):<{longest}}  {took:>7}  "
    why = say_why(report).splitlines()
    if page.width - _BESIDE_WHY - longest < _ROOM_FOR_WHY:
        page.line(lead=lead)
        lead = _BELOW
    elif not why:
        page.line(lead=lead)
    for line in why:
        page.line(escape(line), lead=lead)
        lead = _BELOW if lead == _BELOW else " " * (_BESIDE_WHY + longest)
