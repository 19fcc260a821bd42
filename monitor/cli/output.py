"""How a finished run is written: text for people, JSON, JUnit XML, or GitHub annotations."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from monitor.cli.finished import say_why, tally
from monitor.core.model.verdict import Outcome
from monitor.core.report import check_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.cli.finished import Run
    from monitor.cli.look import Look
    from monitor.core.report import CheckReport

_NAMED: Final = 3


class Output(StrEnum):
    """The forms of a result."""

    TEXT = "text"
    JSON = "json"
    JUNIT = "junit"
    GITHUB = "github"


def write_run(run: Run, form: Output, look: Look) -> str:
    """Write a run in the wanted form, ending in a line break; only text has a look."""
    match form:
        case Output.TEXT:
            from monitor.cli.text import write_text

            return write_text(run, look)
        case Output.JSON:
            return json.dumps(run_json(run), ensure_ascii=False, indent=2) + "\n"
        case Output.JUNIT:
            from monitor.cli.junit import write_junit

            return write_junit(run)
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
        "interrupted": run.interrupted,
        "checks": [check_json(report) for report in run.reports],
    }


def round_text(number: int, cycles: int, reports: Sequence[CheckReport]) -> str:
    """Say on one line how a round ended: `round 3 of 10: 1 fails: shop.health: status is 500`."""
    said = []
    for outcome, one, many in (
        (Outcome.FAIL, "fails", "fail"),
        (Outcome.UNKNOWN, "is unknown", "are unknown"),
    ):
        those = [report for report in reports if report.verdict is outcome]
        if not those:
            continue

        first = those[0].reasons[0].message if those[0].reasons else those[0].note
        names = [report.check.id for report in those[1:_NAMED]]
        more = len(those) - 1 - len(names)
        what = "; ".join([f"{those[0].check.id}: {first}", *names])
        rest = f" and {more} more" if more else ""
        said.append(f"{len(those)} {one if len(those) == 1 else many}: {what}{rest}")

    return f"round {number} of {cycles}: {'; '.join(said) or 'nothing fails'}"


def _github(run: Run) -> str:
    """Write workflow commands: an annotation for each check that does not pass, then a summary."""
    lines = []
    for report in run.reports:
        if report.verdict not in (Outcome.FAIL, Outcome.UNKNOWN):
            continue

        level = "error" if report.verdict is Outcome.FAIL else "warning"
        place = _place(report)
        how = "fails" if report.verdict is Outcome.FAIL else "is unknown"
        title = _github_property(f"{report.check.id} {how}")
        lines.append(f"::{level} {place}title={title}::{_github_data(say_why(report))}")
    lines.append(f"{run.verdict.value}: {tally(run.reports)}")

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
