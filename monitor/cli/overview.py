"""The status as text for a terminal: what fails first, then incidents and rollbacks."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from rich.console import Console
from rich.markup import escape

from monitor.core.wording import duration_text

_MARKS: Final = {
    "pass": "[green]✔ pass[/]",
    "fail": "[red bold]✘ FAIL[/]",
    "unknown": "[yellow]? unknown[/]",
}


def write_status(status: dict[str, Any], *, color: bool) -> str:
    """Write the status that the API gives; ends in a line break."""
    console = Console(
        force_terminal=color, no_color=not color, width=None if color else 200, highlight=False
    )
    now = datetime.fromisoformat(status["at"])
    with console.capture() as captured:
        for check in sorted(status["checks"], key=lambda one: one["state"] != "fail"):
            why = "; ".join(reason["message"] for reason in check["reasons"]) or check.get(
                "note", ""
            )
            console.print(
                f"{_MARKS[check['state']]}  {escape(check['check'])}  [dim]{escape(why)}[/]"
            )
        for incident in status["incidents"]:
            if incident["resolved_at"] is None:
                _write_incident(console, incident, now)
        for rollback in status["rollbacks"]:
            if rollback["ended_at"] is None:
                _write_rollback(console, rollback)
        _write_summary(console, status)

    return "\n".join(line.rstrip() for line in captured.get().splitlines()) + "\n"


def _write_incident(console: Console, incident: dict[str, Any], now: datetime) -> None:
    lasts = duration_text(now - datetime.fromisoformat(incident["since"]))
    console.print(
        f"\n[red bold]{escape(incident['service'])}[/]: {incident['class']}, "
        f"{incident['severity']}, {incident['phase']}, for {lasts} ({escape(incident['id'])})"
    )
    for entry in incident["timeline"]:
        at = datetime.fromisoformat(entry["at"])
        console.print(f"  {at:%H:%M:%S}  {escape(entry['text'])}")


def _write_rollback(console: Console, rollback: dict[str, Any]) -> None:
    why = rollback["blocked"] or rollback["detail"] or rollback["reason"]
    console.print(
        f"\nrollback of {escape(rollback['service'])}: {rollback['state']}, {escape(why)}"
    )


def _count(number: int, what: str) -> str:
    return f"1 {what}" if number == 1 else f"{number} {what}s"


def _write_summary(console: Console, status: dict[str, Any]) -> None:
    open_now = sum(one["resolved_at"] is None for one in status["incidents"])
    parts = [
        _count(len(status["checks"]), "check"),
        _count(open_now, "open incident") if open_now else "no open incident",
    ]
    if status["undelivered"]:
        parts.append(f"{_count(status['undelivered'], 'notice')} not delivered yet")
    console.print(f"\n{', '.join(parts)}")
