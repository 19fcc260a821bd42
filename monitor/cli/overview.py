"""The status as text for a terminal: what fails first, then incidents and rollbacks."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from monitor.cli.common import count
from monitor.cli.page import Page, mark
from monitor.core.model.verdict import Outcome
from monitor.core.wording import duration_text

if TYPE_CHECKING:
    from monitor.cli.page import Look


def write_status(status: dict[str, Any], look: Look) -> str:
    """Write the status that the API gives; ends in a line break."""
    page = Page(look)
    now = datetime.fromisoformat(status["at"])
    for check in sorted(status["checks"], key=_urgency):
        _write_check(page, check)
    for incident in status["incidents"]:
        if incident["resolved_at"] is None:
            _write_incident(page, incident, now)
    for rollback in status["rollbacks"]:
        if rollback["ended_at"] is None:
            _write_rollback(page, rollback)
    _write_summary(page, status)

    return page.text()


def _urgency(check: dict[str, Any]) -> int:
    """What fails first, then what begins to, then what nobody knows."""
    if check["state"] == "fail":
        return 0

    return {"fail": 1, "unknown": 2}.get(check["verdict"], 3)


def _write_check(page: Page, check: dict[str, Any]) -> None:
    """Mark a check by what its thresholds make of it, else by its newest verdict."""
    open_now = check["state"] == "fail"
    outcome = Outcome.FAIL if open_now else Outcome(check["verdict"])
    why = [reason["message"] for reason in check["reasons"]]
    if check.get("note"):
        why.append(check["note"])
    if outcome is Outcome.WAITING and check.get("waiting"):
        why = ["{samples} of {needed} samples".format_map(check["waiting"])]
    if outcome is Outcome.FAIL and not open_now:
        why.append(f"{check['consecutive_failures']} in a row, below its threshold")
    page.line(f"{escape(check['check'])}  [dim]{escape('; '.join(why))}[/]", lead=mark(outcome))


def _write_incident(page: Page, incident: dict[str, Any], now: datetime) -> None:
    lasts = duration_text(now - datetime.fromisoformat(incident["since"]))
    page.line()
    page.line(
        f"[red bold]{escape(incident['service'])}[/]: {incident['class']}, "
        f"{incident['severity']}, {incident['phase']}, for {lasts} "
        f"[dim]({escape(incident['id'])})[/]"
    )
    for entry in incident["timeline"]:
        at = datetime.fromisoformat(entry["at"])
        page.line(escape(entry["text"]), lead=f"  [dim]{at:%H:%M:%S}[/]  ")


def _write_rollback(page: Page, rollback: dict[str, Any]) -> None:
    why = rollback["blocked"] or rollback["detail"] or rollback["reason"]
    page.line()
    page.line(f"rollback of {escape(rollback['service'])}: {rollback['state']}, {escape(why)}")


def _write_summary(page: Page, status: dict[str, Any]) -> None:
    open_now = sum(one["resolved_at"] is None for one in status["incidents"])
    parts = [
        count(len(status["checks"]), "check"),
        count(open_now, "open incident") if open_now else "no open incident",
    ]
    if status["undelivered"]:
        parts.append(f"{count(status['undelivered'], 'notice')} not delivered yet")
    page.line()
    page.line(", ".join(parts))
