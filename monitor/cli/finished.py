"""A finished run, and what is said of its checks in whatever form it is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from monitor.cli.common import count
from monitor.core.model.verdict import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from monitor.core.report import CheckReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A finished run of one or more rounds; `verdict` is that of the last round."""

    verdict: Outcome
    started_at: datetime
    finished_at: datetime
    environment: str
    cycles: int
    reports: Sequence[CheckReport]
    interrupted: bool = False


def tally(reports: Sequence[CheckReport]) -> str:
    """Count the outcomes: `3 checks: 2 pass, 1 waiting`."""
    counts = {outcome: sum(report.verdict is outcome for report in reports) for outcome in Outcome}
    said = [f"{count} {outcome.value}" for outcome, count in counts.items() if count]
    total = count(len(reports), "check")

    return f"{total}: " + ", ".join(said) if said else total


def say_why(report: CheckReport) -> str:
    """Say why a check stands as it does, in lines; nothing where it simply passes."""
    if report.verdict is Outcome.WAITING and report.waiting:
        have, need = report.waiting
        end = f", judged after {report.judged_at:%H:%M} UTC" if report.judged_at else ""
        return f"waiting ({have} of {need} samples{end})"

    lines = [reason.message for reason in report.reasons]
    if report.note:
        lines.append(report.note)
    if report.verdict is Outcome.FAIL and report.state is not Outcome.FAIL:
        lines.append(f"{report.consecutive_failures} in a row, below its threshold")

    return "\n".join(lines)
