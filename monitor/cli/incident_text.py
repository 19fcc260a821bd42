"""Incidents and silences as text for a terminal."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from rich.markup import escape

from monitor.cli.page import Page
from monitor.core.timeline import MONITOR, by_whom
from monitor.core.wording import duration_text

if TYPE_CHECKING:
    from monitor.cli.look import Look

_WHY: Final = {
    "dependency": "an outage of what it depends on",
    "maintenance": "maintenance",
    "silence": "a silence",
}

_TO_DO: Final = {
    "before": "to do now:",
    "during": "to do while it is rolled back:",
    "after": "to do afterwards:",
}
_TICK: Final = {True: "[x]", False: "[ ]", None: "[?]"}
"""Done, not done, and what only a person can know."""


def write_incidents(found: dict[str, Any], look: Look) -> str:
    """Write many incidents, one below the other; ends in a line break."""
    page, now = Page(look), datetime.now(UTC)
    for incident in found["incidents"]:
        page.line(_head(incident, now))
        for line in _attention(incident):
            page.line(line, lead="  ")
    if not found["incidents"]:
        page.line("no incident")
    if found["more"]:
        page.line("there are more; see --limit")

    return page.text()


def write_incident(incident: dict[str, Any], look: Look) -> str:
    """Write one incident with its checks and its timeline; ends in a line break."""
    page, now = Page(look), datetime.now(UTC)
    show_incident(page, incident, now)
    page.line()
    for check in incident["checks"]:
        over = check["closed_at"]
        state = f"over at {_clock(over)}" if over else "fails"
        why = "; ".join(reason["message"] for reason in check["reasons"])
        page.line(escape(f"{check['check']}: {state}, since {_clock(check['since'])}: {why}"))
    _write_checklist(page, incident)
    if incident["labels"]:
        page.line(escape(f"labels: {', '.join(incident['labels'])}"))

    return page.text()


def _write_checklist(page: Page, incident: dict[str, Any]) -> None:
    """Write what is to be done at the stage in which it is; an older monitor has no list."""
    tasks = incident.get("checklists", {}).get(incident.get("stage"), ())
    if tasks:
        page.line()
        page.line(_TO_DO[incident["stage"]])
    for task in tasks:
        page.line(escape(f"{_TICK[task['done']]} {task['text']}"), lead="  ")


def show_incident(page: Page, incident: dict[str, Any], now: datetime) -> None:
    """Write an incident and its timeline on a page."""
    page.line(_head(incident, now))
    for line in _attention(incident):
        page.line(line, lead="  ")
    for entry in incident["timeline"]:
        at = datetime.fromisoformat(entry["at"])
        actor = by_whom(entry.get("actor", MONITOR), entry["text"])
        by = f"[dim] ({escape(actor)})[/]" if actor else ""
        page.line(escape(entry["text"]) + by, lead=f"  [dim]{at:%H:%M:%S}[/]  ")
        for seen in entry.get("evidence", "").splitlines():
            page.line(f"[dim]{escape(seen)}[/]", lead=" " * 12)


def write_silences(silences: list[dict[str, Any]], look: Look) -> str:
    """Write the silences that hold; ends in a line break."""
    page = Page(look)
    for silence in silences:
        page.line(silence_line(silence))
    if not silences:
        page.line("no silence")

    return page.text()


def silence_line(silence: dict[str, Any]) -> str:
    """Say what is silenced until when, by whom and why."""
    what = ", ".join(silence["services"]) or "every service"
    if silence["severities"]:
        what += f" ({', '.join(silence['severities'])})"
    why = f": {silence['reason']}" if silence["reason"] else ""

    return (
        escape(f"{what} silenced until {_clock(silence['ends_at'])} by {silence['by']}{why}")
        + f" [dim]({escape(silence['id'])})[/]"
    )


def maintenance_line(window: dict[str, Any]) -> str:
    """Say what is in maintenance until when, or is so next, and why."""
    what = ", ".join(window["services"]) or "every service"
    span, now = window["active"] or window["next"], window["active"] is not None
    if now:
        when = f"in maintenance until {_clock(span['until'])}"
    else:
        when = f"in maintenance from {_clock(span['since'])} to {_clock(span['until'])}"
    why = f": {window['reason']}" if window["reason"] else ""

    return escape(f"{what} {when}{why}") + f" [dim]({escape(window['name'])})[/]"


def _head(incident: dict[str, Any], now: datetime) -> str:
    since = datetime.fromisoformat(incident["since"])
    over = incident["resolved_at"]
    lasted = duration_text((datetime.fromisoformat(over) if over else now) - since)
    color = "bold" if over else "red bold"
    title = f": {escape(incident['title'])}" if incident.get("title") else ""
    ended = f"for {lasted}, until {_clock(over)}" if over else f"for {lasted}"

    return (
        f"[{color}]{escape(incident['service'])}[/]{title}: {incident['class']}, "
        f"{incident['severity']}, {incident['phase']}, {ended} "
        f"[dim]({escape(incident['id'])})[/]"
    )


def _attention(incident: dict[str, Any]) -> list[str]:
    """Say who has taken it on, and why nobody is told of it; an older monitor says neither."""
    lines = []
    if taken := incident.get("acknowledged"):
        lines.append(escape(f"taken on by {taken['by']} at {_clock(taken['at'])}"))
    if hold := incident.get("withheld"):
        until = f", until {_clock(hold['until'])}" if hold["until"] else ""
        why = f"{_WHY.get(hold['why'], hold['why'])} ({hold['by']})"
        if not incident["resolved_at"]:
            lines.append(escape(f"nobody is told for now: {why}{until}"))
        elif not incident["told_at"]:
            lines.append(escape(f"nobody was told: {why}"))
    if affected := incident.get("affected"):
        lines.append(escape(f"also affected: {', '.join(affected)}"))

    return lines


def _clock(iso: str) -> str:
    return f"{datetime.fromisoformat(iso).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
