"""`incident`: see what is wrong, take it on, note, resolve, open one, and write it up."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

import click

from monitor.cli.asking import act, look, server_option
from monitor.cli.common import config_option
from monitor.cli.remote import who_asks

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.app import Monitor

_EXPECTED: Final = ("id", "service", "phase", "timeline")
_KNOWN: Final = "this is what it knew when it ended"

_output = click.option(
    "--output", type=click.Choice(["text", "json"]), default="text", help="How it is written."
)
_which = click.argument("which", metavar="ID")


@click.group(short_help="See incidents, take one on, note, resolve, or write it up.")
def incident() -> None:
    """See incidents, take one on, note something, resolve it, open one, or write it up.

    ID is that of an incident, the beginning of one, or a service that has one open incident.
    """


@incident.command("list")
@click.option("--open", "open_only", is_flag=True, help="Only those that are not over.")
@click.option("--service", default="", metavar="NAME", help="Only those of this service.")
@click.option("--limit", type=click.IntRange(1, 500), default=20, help="How many, the newest.")
@_output
@config_option
@server_option
def list_(
    open_only: bool,
    service: str,
    limit: int,
    output: str,
    configs: tuple[Path, ...],
    server: str | None,
) -> None:
    """List the newest incidents, newest first."""
    query = {"limit": str(limit), "service": service, "open": "true" if open_only else ""}

    async def report(monitor: Monitor) -> dict[str, Any]:
        from monitor import operations

        return await operations.list_incidents(
            monitor.desk, open_only=open_only, service=service, limit=limit
        )

    resource = f"/api/v1/incidents?{urlencode({key: of for key, of in query.items() if of})}"
    found = look(configs, server, resource, report, expected=("incidents", "more"), known=_KNOWN)
    if output == "json":
        click.echo(json.dumps(found, ensure_ascii=False, indent=2))
        return

    from monitor.cli.incident_text import write_incidents
    from monitor.cli.look import find_look

    click.echo(write_incidents(found, find_look()), nl=False)


@incident.command(epilog="For example: production-monitor incident show shop")
@_which
@_output
@config_option
@server_option
def show(which: str, output: str, configs: tuple[Path, ...], server: str | None) -> None:
    """Show one incident: its checks, its timeline, and who has taken it on."""

    async def report(monitor: Monitor) -> dict[str, Any]:
        from monitor import operations

        return await operations.show_incident(which, monitor.desk)

    found = look(configs, server, _at(which), report, expected=_EXPECTED, known=_KNOWN)
    if output == "json":
        click.echo(json.dumps(found, ensure_ascii=False, indent=2))
        return

    from monitor.cli.incident_text import write_incident
    from monitor.cli.look import find_look

    click.echo(write_incident(found, find_look()), nl=False)


@incident.command(epilog="For example: production-monitor incident postmortem shop > shop.md")
@_which
@config_option
@server_option
def postmortem(which: str, configs: tuple[Path, ...], server: str | None) -> None:
    """Write the post-mortem of an incident, as Markdown, as far as the records tell it."""

    async def report(monitor: Monitor) -> dict[str, Any]:
        from monitor import operations

        return await operations.write_postmortem(which, monitor.desk)

    resource = f"{_at(which)}/postmortem?format=json"
    found = look(configs, server, resource, report, expected=("incident", "markdown"), known=_KNOWN)
    click.echo(found["markdown"], nl=False)


@incident.command(epilog="For example: production-monitor incident ack shop")
@_which
@config_option
@server_option
def ack(which: str, configs: tuple[Path, ...], server: str | None) -> None:
    """Take an incident on: nobody is reminded of it, and it is escalated no further."""

    async def do(monitor: Monitor) -> dict[str, Any]:
        from monitor import operations

        return await operations.acknowledge(which, who_asks(), monitor.desk)

    found = act(configs, server, f"{_at(which)}/ack", {}, do, expected=_EXPECTED)
    click.echo(f"{found['id']}: taken on by {found['acknowledged']['by']}")


@incident.command(
    epilog='For example: production-monitor incident note shop "the cache is full, clearing it"'
)
@_which
@click.argument("text")
@click.option(
    "--phase",
    type=click.Choice(["investigating", "identified", "monitoring"]),
    help="How far it is by that: the cause is identified, or a fix is being monitored.",
)
@config_option
@server_option
def note(
    which: str, text: str, phase: str | None, configs: tuple[Path, ...], server: str | None
) -> None:
    """Write TEXT into the timeline of an incident; while it is open, receivers are told."""

    async def do(monitor: Monitor) -> dict[str, Any]:
        from monitor import operations
        from monitor.core.model.incident import IncidentPhase

        reached = IncidentPhase(phase) if phase else None

        return await operations.note(which, who_asks(), text, monitor.desk, phase=reached)

    raw = {"text": text, **({"phase": phase} if phase else {})}
    found = act(configs, server, f"{_at(which)}/note", raw, do, expected=_EXPECTED)
    click.echo(f"{found['id']}: noted")


@incident.command(
    epilog='For example: production-monitor incident resolve shop --reason "restarted the queue"'
)
@_which
@click.option("--reason", default="", metavar="TEXT", help="Why it is over.")
@config_option
@server_option
def resolve(which: str, reason: str, configs: tuple[Path, ...], server: str | None) -> None:
    """End an incident by hand.

    A check of it that still fails opens nothing before it has passed and fails anew.
    """

    async def do(monitor: Monitor) -> dict[str, Any]:
        from monitor import operations

        return await operations.resolve(which, who_asks(), reason, monitor.desk)

    raw = {"reason": reason} if reason else {}
    found = act(configs, server, f"{_at(which)}/resolve", raw, do, expected=_EXPECTED)
    still = [check["check"] for check in found["checks"] if check["closed_at"] is None]
    more = f"; still failing: {', '.join(still)}" if still else ""
    click.echo(f"{found['id']}: resolved{more}")


@incident.command(
    "open",
    epilog='For example: production-monitor incident open shop "customers cannot pay"',
)
@click.argument("service")
@click.argument("title")
@click.option(
    "--severity",
    type=click.Choice(["critical", "high", "medium", "low"]),
    default="high",
    help="How bad it is.",
)
@config_option
@server_option
def open_(
    service: str, title: str, severity: str, configs: tuple[Path, ...], server: str | None
) -> None:
    """Open an incident of SERVICE by hand, for what no check has seen.

    Checks that fail join it. It ends with `incident resolve`.
    """

    async def do(monitor: Monitor) -> dict[str, Any]:
        from monitor import operations
        from monitor.core.model.endpoint import Severity

        return await operations.open_incident(
            service, title, who_asks(), monitor.desk, severity=Severity(severity)
        )

    raw = {"service": service, "title": title, "severity": severity}
    found = act(configs, server, "/api/v1/incidents", raw, do, expected=_EXPECTED)
    click.echo(f"{found['id']}: open, {found['severity']}")


@incident.command(epilog="For example: production-monitor incident label shop database capacity")
@_which
@click.argument("labels", nargs=-1)
@config_option
@server_option
def label(
    which: str, labels: tuple[str, ...], configs: tuple[Path, ...], server: str | None
) -> None:
    """Give an incident these LABELS instead of those that it has; without any, none."""

    async def do(monitor: Monitor) -> dict[str, Any]:
        from monitor import operations

        return await operations.label(which, who_asks(), labels, monitor.desk)

    found = act(
        configs, server, f"{_at(which)}/label", {"labels": list(labels)}, do, expected=_EXPECTED
    )
    click.echo(f"{found['id']}: {', '.join(found['labels']) or 'no label'}")


def _at(which: str) -> str:
    return f"/api/v1/incidents/{quote(which, safe='')}"
