"""The status as text for a terminal: what fails first, then incidents and rollbacks."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from rich.markup import escape

from monitor.cli.common import count
from monitor.cli.incident_text import maintenance_line, show_incident, silence_line
from monitor.cli.page import Page, mark
from monitor.core.model.verdict import Outcome

if TYPE_CHECKING:
    from monitor.cli.look import Look

_DAY: Final = timedelta(hours=24)


def write_status(status: dict[str, Any], look: Look) -> str:
    """Write the status that the API gives; ends in a line break."""
    page = Page(look)
    now = datetime.fromisoformat(status["at"])
    for check in sorted(status["checks"], key=_urgency):
        _write_check(page, check)
    for incident in status["incidents"]:
        if incident["resolved_at"] is None:
            page.line()
            show_incident(page, incident, now)
    for rollback in status["rollbacks"]:
        if rollback["ended_at"] is None:
            _write_rollback(page, rollback)
    _write_versions(page, status, now)
    _write_summary(page, status)

    return page.text()


def write_rollback(rollback: dict[str, Any], look: Look) -> str:
    """Write one rollback or remedy with the journal of its steps; ends in a line break."""
    page = Page(look)
    _write_rollback(page, rollback)
    for step in rollback["steps"]:
        what = f"{step['name']}, {step['kind']}" if step["name"] else step["kind"]
        number = step["key"].partition(".")[2]
        said = f": {step['detail']}" if step["detail"] else ""
        page.line(
            escape(f"step {number} ({what}) {step['state']}{said}"),
            lead=f"  [dim]{datetime.fromisoformat(step['at']):%H:%M:%S}[/]  ",
        )
    for act, key in (("started", "started_by"), ("approved", "approved_by")):
        if rollback[key]:
            page.line(escape(f"{act} by {rollback[key]}"), lead="  ")
    page.line(f"[dim]({escape(rollback['id'])})[/]", lead="  ")

    return page.text().lstrip("\n")


def _urgency(check: dict[str, Any]) -> int:
    """What fails first, then what begins to or does at times, then what nobody knows."""
    if check["state"] == "fail":
        return 0
    if "flapping" in check:
        return 1

    return {"fail": 1, "unknown": 2}.get(check["verdict"], 3)


def _write_check(page: Page, check: dict[str, Any]) -> None:
    """Mark a check by what its thresholds make of it, else by its newest verdict."""
    open_now = check["state"] == "fail"
    outcome = Outcome.FAIL if open_now else Outcome(check["verdict"])
    why = [reason["message"] for reason in check["reasons"]]
    if check.get("note"):
        why.append(check["note"])
    if outcome is Outcome.WAITING and check.get("waiting"):
        why = [_waiting(check["waiting"])]
    if outcome is Outcome.FAIL and not open_now:
        why.append(f"{check['consecutive_failures']} in a row, below its threshold")
    page.line(f"{escape(check['check'])}  [dim]{escape('; '.join(why))}[/]", lead=mark(outcome))


def _waiting(waiting: dict[str, Any]) -> str:
    samples = "{samples} of {needed} samples".format_map(waiting)
    ends_at = waiting.get("ends_at")

    return (
        f"{samples}, judged after {datetime.fromisoformat(ends_at):%H:%M} UTC"
        if ends_at
        else samples
    )


def _write_rollback(page: Page, rollback: dict[str, Any]) -> None:
    page.line()
    page.line(f"{_subject(rollback)}: {_state(rollback)}, {escape(rollback['why'])}")
    if due := rollback.get("due_at"):
        page.line(_what_may_be_done(rollback, datetime.fromisoformat(due)), lead="  ")


def _what_may_be_done(rollback: dict[str, Any], due: datetime) -> str:
    """Say what a person may do about what waits, and until when."""
    id = rollback["id"][:8]
    if rollback["state"] == "awaiting":
        return f"until {due:%H:%M:%S} UTC: rollback approve {id}, or rollback veto {id}"

    return f"begins at {due:%H:%M:%S} UTC, unless somebody says no: rollback veto {id}"


def _write_versions(page: Page, status: dict[str, Any], now: datetime) -> None:
    """Say what is silenced or in maintenance, what runs, and what became of the day's rollbacks."""
    lines = [silence_line(one) for one in status.get("silences", ())]
    lines += [maintenance_line(one) for one in status.get("maintenance", ()) if _soon(one, now)]
    lines += [_version(deploy) for deploy in status["deploys"]]
    lines += [
        _ended(rollback)
        for rollback in status["rollbacks"]
        if rollback["ended_at"] and now - datetime.fromisoformat(rollback["ended_at"]) <= _DAY
    ]
    if off := status.get("rollbacks_off"):
        lines.append(f"[yellow bold]rollbacks are off[/] ({escape(str(off))})")
    if lines:
        page.line()
    for line in lines:
        page.line(line)


def _soon(window: dict[str, Any], now: datetime) -> bool:
    """Whether a window of maintenance is open, or opens within a day."""
    following = window["next"]

    return window["active"] is not None or (
        following is not None and datetime.fromisoformat(following["since"]) - now <= _DAY
    )


def _version(deploy: dict[str, Any]) -> str:
    of, version = escape(deploy["service"]), escape(deploy["version"])
    if deploy["state"] == "started":
        return f"{of}: {version} is being deployed"

    if undone := deploy.get("rolled_back_at"):  # an older monitor does not say
        return f"{of}: {version} is bad, and was rolled back at {_clock(undone)}"

    bad = ", which is bad" if deploy["state"] == "bad" else ""

    return f"{of} runs {version} since {_clock(deploy['finished_at'] or deploy['at'])}{bad}"


def _ended(rollback: dict[str, Any]) -> str:
    at = _clock(rollback["ended_at"])
    if rollback["state"] == "recovered" and _kind(rollback) == "rollback":
        return f"rolled back {escape(rollback['service'])}{_way(rollback)} at {at} (recovered)"

    return f"{_subject(rollback)} at {at}: {_state(rollback)}, {escape(rollback['why'])}"


def _subject(rollback: dict[str, Any]) -> str:
    if _kind(rollback) == "remedy":
        return f"remedy for {escape(rollback['service'])}"

    return f"rollback of {escape(rollback['service'])}{_way(rollback)}"


def _kind(rollback: dict[str, Any]) -> str:
    return str(rollback.get("kind", "rollback"))  # an older monitor does not say


def _way(rollback: dict[str, Any]) -> str:
    before, after = rollback["from"], rollback["to"]
    if not before:
        return ""

    return escape(f" {before} → {after}" if after else f" {before}")


def _state(rollback: dict[str, Any]) -> str:
    return str(rollback["state"]).replace("_", " ")


def _clock(iso: str) -> str:
    return f"{datetime.fromisoformat(iso):%Y-%m-%d %H:%M} UTC"


def _backlog(one: dict[str, Any]) -> str:
    """Say what a receiver was not told: what waits, and what it refused."""
    parts = []
    if one["undelivered"]:
        since = _clock(one["oldest_undelivered_at"])
        parts.append(f"{count(one['undelivered'], 'notice')} not delivered, since {since}")
    if one["dead_letters"]:
        name = one["notifier"]
        parts.append(f"{count(one['dead_letters'], 'notice')} refused (notify requeue {name})")

    return escape(f"{one['notifier']}: {'; '.join(parts)}") if parts else ""


def _write_summary(page: Page, status: dict[str, Any]) -> None:
    open_now = sum(one["resolved_at"] is None for one in status["incidents"])
    parts = [
        count(len(status["checks"]), "check"),
        count(open_now, "open incident") if open_now else "no open incident",
    ]
    if status["undelivered"]:
        parts.append(f"{count(status['undelivered'], 'notice')} not delivered yet")
    if status.get("given_up"):  # an older monitor does not say
        parts.append(f"{count(status['given_up'], 'notice')} of the last day given up")
    page.line()
    for trouble in status.get("configuration", ()):
        page.line(escape(trouble))
    for one in status.get("notifiers", ()):
        if line := _backlog(one):
            page.line(line)
    page.line(", ".join(parts))
