"""`status`, `deploy` and `headers`: what people ask and tell a monitor that runs, or its store."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from monitor.cli.asking import ask, server_option
from monitor.cli.common import CODES, FAIL, config_option, end
from monitor.core.model.verdict import Outcome

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.app import Monitor
    from monitor.core.model.heartbeat import Heard


@click.command(short_help="Show what fails now, open incidents, and rollbacks.")
@config_option
@server_option
@click.option(
    "--output", type=click.Choice(["text", "json"]), default="text", help="How it is written."
)
def status(configs: tuple[Path, ...], server: str | None, output: str) -> None:
    """Show what is failing now, open incidents, and rollbacks.

    Exit codes as of a check: 0 all pass, 1 something fails, 3 something is unknown.
    """
    found = ask(
        configs,
        server,
        "GET",
        "/api/v1/status",
        None,
        _status_of_store,
        _say_how_old,
        expected=("verdict", "checks", "incidents", "rollbacks"),
        looks=True,
    )
    if output == "json":
        click.echo(json.dumps(found, ensure_ascii=False, indent=2))
    else:
        from monitor.cli.look import find_look
        from monitor.cli.overview import write_status

        click.echo(write_status(found, find_look()), nl=False)
    failing = any(check["state"] == "fail" for check in found["checks"])
    raise SystemExit(FAIL if failing else CODES[Outcome(found["verdict"])])


@click.command(
    short_help="Announce that a version is deployed.",
    epilog="For example: production-monitor deploy shop --version 1.5.0",
)
@click.argument("service")
@click.option("--version", required=True, metavar="V", help="The version that is deployed.")
@click.option("--id", metavar="ID", help="The deploy's own id; by default version@time.")
@click.option("--commit", metavar="SHA", help="The commit it was built from.")
@click.option(
    "--kind",
    type=click.Choice(["planned", "rollback", "hotfix"]),
    default="planned",
    help="Why; a rollback arms nothing.",
)
@click.option("--started", "state", flag_value="started", help="It begins now.")
@click.option("--finished", "state", flag_value="finished", default=True, help="It is live now.")
@click.option("--failed", "state", flag_value="failed", help="It came to nothing.")
@config_option
@server_option
def deploy(
    service: str,
    version: str,
    id: str | None,
    commit: str | None,
    kind: str,
    state: str,
    configs: tuple[Path, ...],
    server: str | None,
) -> None:
    """Announce that a version of SERVICE is deployed: what fails from now on may be its doing."""
    raw = {"service": service, "version": version, "kind": kind, "state": state}
    raw |= {key: text for key, text in (("id", id), ("commit", commit)) if text is not None}
    found = ask(
        configs,
        server,
        "POST",
        "/api/v1/deploys",
        raw,
        lambda monitor: _announce(monitor, raw),
        lambda _found: "written to the store, for the next run",
        expected=("service", "version", "state", "id"),
    )
    click.echo(f"{found['service']} {found['version']}: {found['state']} ({found['id']})")


@click.group(short_help="Accept the security headers that an endpoint answers with.")
def headers() -> None:
    """Change what the pinned headers of endpoints are held against."""


@headers.command(epilog="For example: production-monitor headers accept homepage")
@click.argument("endpoint")
@config_option
@server_option
def accept(endpoint: str, configs: tuple[Path, ...], server: str | None) -> None:
    """Accept the headers that ENDPOINT answered with last: no drift is found in them any more."""
    found = ask(
        configs,
        server,
        "POST",
        "/api/v1/headers",
        {"endpoint": endpoint},
        lambda monitor: _accept(monitor, endpoint),
        lambda _found: "written to the store, for the next run",
        expected=("endpoint", "headers", "changed"),
    )
    changed = ", ".join(found["changed"]) or "nothing: they are those that were accepted before"
    click.echo(f"{found['endpoint']}: accepted {changed}")


def ask_heard(configs: tuple[Path, ...], endpoint: str) -> Heard:
    """Give what the monitor here, or its store, knows of a heartbeat."""
    from urllib.parse import quote

    from monitor.core.report_heard import heard_json, read_heard

    async def heard_of_store(monitor: Monitor) -> dict[str, Any]:
        return heard_json(monitor.hearing.heard(endpoint))

    found = ask(
        configs,
        None,
        "GET",
        f"/api/v1/heartbeats/{quote(endpoint, safe='')}",
        None,
        heard_of_store,
        lambda _found: "this is what was heard until it ended",
        expected=(),
        looks=True,
    )

    try:
        return read_heard(found)
    except ValueError as error:
        end(f"another version of the monitor runs here: {error}")


async def _status_of_store(monitor: Monitor) -> dict[str, Any]:
    states = monitor.engine.situation.states.values()
    newest = max((state.last_at for state in states if state.last_at), default=None)

    return {**monitor.status(), "known_at": newest.isoformat() if newest else None}


def _say_how_old(found: dict[str, Any]) -> str:
    from monitor.options import format_duration

    if found["known_at"] is None:
        return "nothing was ever checked"

    age = datetime.fromisoformat(found["at"]) - datetime.fromisoformat(found["known_at"])
    whole = timedelta(seconds=max(1, round(age.total_seconds())))

    return f"this is what was known last, {format_duration(whole)} ago"


async def _accept(monitor: Monitor, endpoint: str) -> dict[str, Any]:
    from monitor.operations import accept_headers

    return await accept_headers(endpoint, monitor.desk)


async def _announce(monitor: Monitor, raw: dict[str, str]) -> dict[str, Any]:
    from monitor.operations import announce_deploy, read_marker

    return await announce_deploy(read_marker(raw), monitor.desk)
