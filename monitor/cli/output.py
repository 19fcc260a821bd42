"""How a finished run is written: text for people, JSON, JUnit XML, or GitHub annotations."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from monitor.core.model.verdict import Outcome
from monitor.core.report import check_json
from monitor.options import format_duration

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from monitor.core.report import CheckReport

_MARKS: Final = {
    Outcome.PASS: "[green]✔ pass[/]",
    Outcome.FAIL: "[red bold]✘ FAIL[/]",
    Outcome.UNKNOWN: "[yellow]? unknown[/]",
    Outcome.WAITING: "[dim]… waiting[/]",
}


class Output(StrEnum):
    """The forms of a result."""

    TEXT = "text"
    JSON = "json"
    JUNIT = "junit"
    GITHUB = "github"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A finished run of one or more rounds; `verdict` is that of the last round."""

    verdict: Outcome
    started_at: datetime
    finished_at: datetime
    environment: str
    cycles: int
    reports: Sequence[CheckReport]


def write_run(run: Run, form: Output, *, color: bool) -> str:
    """Write a run in the wanted form, ending in a line break."""
    match form:
        case Output.TEXT:
            return _text(run, color=color)
        case Output.JSON:
            return json.dumps(run_json(run), ensure_ascii=False, indent=2) + "\n"
        case Output.JUNIT:
            return _junit(run)
        case Output.GITHUB:
            return _github(run)


def run_json(run: Run) -> dict[str, Any]:
    """Write a run as one JSON object; times are ISO 8601 UTC, durations seconds."""
    return {
        "verdict": run.verdict.value,
        "started_at": run.started_at.isoformat(),
        "finished_at": run.finished_at.isoformat(),
        "environment": run.environment,
        "cycles": run.cycles,
        "checks": [check_json(report) for report in run.reports],
    }


def checks_table(reports: Sequence[CheckReport]) -> Table:
    """Lay out checks as a table, a line each, the reasons of a failure below one another."""
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="dim")
    table.add_column("verdict", no_wrap=True)
    table.add_column("check", no_wrap=True)
    table.add_column("took", justify="right", no_wrap=True)
    table.add_column("why", overflow="fold")
    for report in reports:
        took = format_duration(report.observation.duration) if report.observation else ""
        table.add_row(_MARKS[report.verdict], escape(report.check.id), took, escape(_why(report)))

    return table


def _text(run: Run, *, color: bool) -> str:
    console = Console(
        force_terminal=color, no_color=not color, width=None if color else 200, highlight=False
    )
    with console.capture() as captured:
        console.print(checks_table(run.reports))
        took = format_duration(run.finished_at - run.started_at)
        rounds = "1 round" if run.cycles == 1 else f"{run.cycles} rounds"
        console.print(f"\n{_MARKS[run.verdict]}  {_tally(run.reports)}; {rounds} in {took}")

    return "\n".join(line.rstrip() for line in captured.get().splitlines()) + "\n"


def _tally(reports: Sequence[CheckReport]) -> str:
    counts = {outcome: sum(report.verdict is outcome for report in reports) for outcome in Outcome}
    words = {
        Outcome.PASS: "pass",
        Outcome.FAIL: "fail",
        Outcome.UNKNOWN: "unknown",
        Outcome.WAITING: "waiting",
    }
    said = [f"{count} {words[outcome]}" for outcome, count in counts.items() if count]

    total = "1 check" if len(reports) == 1 else f"{len(reports)} checks"

    return f"{total}: " + ", ".join(said)


def _why(report: CheckReport) -> str:
    if report.verdict is Outcome.WAITING and report.waiting:
        have, need = report.waiting
        return f"waiting ({have} of {need} samples)"

    lines = [reason.message for reason in report.reasons]
    if report.note:
        lines.append(report.note)
    if report.verdict is Outcome.FAIL and report.state is not Outcome.FAIL:
        lines.append(f"{report.consecutive_failures} in a row, below its threshold")

    return "\n".join(lines)


def _junit(run: Run) -> str:
    """Write JUnit XML: a test case a check; unknown is an error, waiting is skipped."""
    by_outcome = [report.verdict for report in run.reports]
    counts = {
        "tests": str(len(by_outcome)),
        "failures": str(by_outcome.count(Outcome.FAIL)),
        "errors": str(by_outcome.count(Outcome.UNKNOWN)),
        "skipped": str(by_outcome.count(Outcome.WAITING)),
        "time": f"{(run.finished_at - run.started_at).total_seconds():.3f}",
    }
    suites = ET.Element("testsuites", {"name": "production-monitor", **counts})
    suite = ET.SubElement(
        suites,
        "testsuite",
        {"name": run.environment or "production-monitor", **counts}
        | {"timestamp": run.started_at.strftime("%Y-%m-%dT%H:%M:%S")},
    )
    for report in run.reports:
        took = report.observation.duration.total_seconds() if report.observation else 0.0
        case = ET.SubElement(
            suite,
            "testcase",
            {
                "classname": _printable(report.check.service),
                "name": _printable(report.check.id),
                "time": f"{took:.3f}",
            },
        )
        _add_outcome(case, report)
    ET.indent(suites)

    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(suites, encoding="unicode") + "\n"
    )


def _add_outcome(case: ET.Element, report: CheckReport) -> None:
    why = _printable(_why(report))
    first = _printable(report.reasons[0].message if report.reasons else report.note)
    code = report.reasons[0].code.value if report.reasons else "internal"
    match report.verdict:
        case Outcome.FAIL:
            ET.SubElement(case, "failure", {"message": first, "type": code}).text = why
        case Outcome.UNKNOWN:
            ET.SubElement(case, "error", {"message": first, "type": code}).text = why
        case Outcome.WAITING:
            ET.SubElement(case, "skipped", {"message": why})
        case Outcome.PASS:
            pass


def _github(run: Run) -> str:
    """Write workflow commands: an annotation for each check that does not pass, then a summary."""
    lines = []
    for report in run.reports:
        if report.verdict not in (Outcome.FAIL, Outcome.UNKNOWN):
            continue

        level = "error" if report.verdict is Outcome.FAIL else "warning"
        place = _place(report)
        title = _github_property(f"{report.check.id}: {report.verdict.value}")
        lines.append(f"::{level} {place}title={title}::{_github_data(_why(report))}")
    lines.append(f"{run.verdict.value}: {_tally(run.reports)}")

    return "\n".join(lines) + "\n"


def _place(report: CheckReport) -> str:
    """Point at the line of the configuration that was not met, when it is known."""
    at = next((reason.at for reason in report.reasons if reason.at), "")
    file, _, rest = at.partition(":")
    line, _, column = rest.partition(":")
    if not file or not line.isdigit() or not column.isdigit():
        return ""

    return f"file={_github_property(file)},line={line},col={column},"


def _github_data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _github_property(text: str) -> str:
    return _github_data(text).replace(":", "%3A").replace(",", "%2C")


def _printable(text: str) -> str:
    """Leave out what XML 1.0 cannot carry."""
    return "".join(
        char if char in "\t\n" or (char.isprintable() and char <= "\U0010ffff") else "�"
        for char in text
    )
