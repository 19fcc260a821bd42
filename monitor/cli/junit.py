"""A finished run as JUnit XML, which most build servers read."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

from monitor.cli.finished import say_why
from monitor.core.model.verdict import Outcome

if TYPE_CHECKING:
    from monitor.cli.finished import Run
    from monitor.core.report import CheckReport


def write_junit(run: Run) -> str:
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
    why = _printable(say_why(report))
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


def _printable(text: str) -> str:
    """Leave out what XML 1.0 cannot carry."""
    return "".join(
        char if char in "\t\n" or (char.isprintable() and char <= "\U0010ffff") else "�"
        for char in text
    )
