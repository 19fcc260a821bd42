"""`silence`: not to be told of some services for a time."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click

from monitor.cli.asking import act, look, server_option
from monitor.cli.common import config_option
from monitor.cli.durations import DURATION
from monitor.cli.remote import who_asks

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.app import Monitor


@click.group(short_help="Do not be told of some services for a time.")
def silence() -> None:
    """Withhold alerts of some services for a time; everything is measured as ever."""


@silence.command(
    epilog='For example: production-monitor silence add shop --for 2h --reason "new database"'
)
@click.argument("services", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="For every service.")
@click.option("--for", "lasts", type=DURATION, metavar="DURATION", help="How long, such as 2h.")
@click.option("--until", metavar="TIME", help="Until when, UTC: 06:30, or 2026-07-01T06:30.")
@click.option(
    "--severity",
    "severities",
    multiple=True,
    type=click.Choice(["critical", "high", "medium", "low"]),
    help="Only what is of this severity; may be repeated.",
)
@click.option("--reason", default="", metavar="TEXT", help="Why.")
@config_option
@server_option
def add(
    services: tuple[str, ...],
    everything: bool,
    lasts: timedelta | None,
    until: str | None,
    severities: tuple[str, ...],
    reason: str,
    configs: tuple[Path, ...],
    server: str | None,
) -> None:
    """Silence SERVICES for a time, 30 days at most.

    What still fails when it ends is told then. The end of what was told is told in any case.
    """
    if bool(services) is everything:
        raise click.UsageError("expected the names of services, or --all")
    if (lasts is None) is (until is None):
        raise click.UsageError("expected either --for or --until")

    end = _read_until(until) if until is not None else None
    raw: dict[str, Any] = {"services": list(services), "severities": list(severities)}
    if end is not None:
        raw["until"] = end.isoformat()
    if lasts is not None:
        raw["minutes"] = lasts / timedelta(minutes=1)
    if reason:
        raw["reason"] = reason

    async def do(monitor: Monitor) -> dict[str, Any]:
        from monitor import operations
        from monitor.core.model.endpoint import Severity

        return await operations.add_silence(
            services,
            end or monitor.now() + (lasts or timedelta()),
            who_asks(),
            monitor.desk,
            severities=[Severity(one) for one in severities],
            reason=reason,
        )

    found = act(
        configs,
        server,
        "/api/v1/silences",
        raw,
        do,
        expected=("id", "services", "ends_at"),
    )
    _tell(found)


@silence.command(epilog="For example: production-monitor silence remove silence-20260701T120000Z")
@click.argument("id")
@config_option
@server_option
def remove(id: str, configs: tuple[Path, ...], server: str | None) -> None:
    """End the silence ID now."""

    async def do(monitor: Monitor) -> dict[str, Any]:
        from monitor import operations

        return await operations.remove_silence(id, who_asks(), monitor.desk)

    found = act(
        configs,
        server,
        f"/api/v1/silences/{quote(id, safe='')}",
        None,
        do,
        method="DELETE",
        expected=("id", "services", "ends_at"),
    )
    click.echo(f"{found['id']}: ended")


@silence.command("list")
@click.option(
    "--output", type=click.Choice(["text", "json"]), default="text", help="How it is written."
)
@config_option
@server_option
def list_(output: str, configs: tuple[Path, ...], server: str | None) -> None:
    """List the silences that hold."""

    async def report(monitor: Monitor) -> dict[str, Any]:
        from monitor import operations

        return operations.list_silences(monitor.desk)

    found = look(
        configs,
        server,
        "/api/v1/silences",
        report,
        expected=("silences",),
    )
    if output == "json":
        click.echo(json.dumps(found, ensure_ascii=False, indent=2))
        return

    from monitor.cli.incident_text import write_silences
    from monitor.cli.look import find_look

    click.echo(write_silences(found["silences"], find_look()), nl=False)


def _tell(found: dict[str, Any]) -> None:
    what = ", ".join(found["services"]) or "every service"
    end = datetime.fromisoformat(found["ends_at"]).astimezone(UTC)
    click.echo(f"{found['id']}: {what} silenced until {end:%Y-%m-%d %H:%M} UTC")


def _read_until(text: str) -> datetime:
    """Read a time, UTC where it has no zone; of an hour alone the next one."""
    try:
        end = datetime.fromisoformat(text)
        return end if end.tzinfo else end.replace(tzinfo=UTC)
    except ValueError:
        pass
    try:
        hour = datetime.strptime(text, "%H:%M").replace(tzinfo=UTC)
    except ValueError:
        raise click.UsageError(
            f"--until: expected a time such as 06:30 or 2026-07-01T06:30, found {text!r}"
        ) from None

    now = datetime.now(UTC)
    end = now.replace(hour=hour.hour, minute=hour.minute, second=0, microsecond=0)

    return end if end > now else end + timedelta(days=1)
