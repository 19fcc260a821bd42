"""`rollback`: start one, approve one, veto one, and see where they stand."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote
from uuid import uuid4

import click

from monitor.cli.asking import act, look, server_option
from monitor.cli.common import config_option
from monitor.cli.remote import who_asks

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.app import Monitor

_EXPECTED: Final = ("id", "service", "state")


@click.group(short_help="Start, approve or veto a rollback, or see where it stands.")
def rollback() -> None:
    """Start, approve or veto a rollback or a remedy, or see where it stands."""


@rollback.command(epilog='For example: production-monitor rollback start shop --reason "orders"')
@click.argument("service")
@click.option("--reason", required=True, metavar="TEXT", help="Why; the steps are told as well.")
@click.option("--to", metavar="VERSION", help="The version to restore; by default the last good.")
@click.option("--remedy", is_flag=True, help="Try the remedy of the service instead.")
@config_option
@server_option
def start(
    service: str,
    reason: str,
    to: str | None,
    remedy: bool,
    configs: tuple[Path, ...],
    server: str | None,
) -> None:
    """Roll SERVICE back now.

    Its mode, the time since the deploy, a cooldown and a latch do not hold it back. The kill
    switch does, and another rollback that is under way.
    """
    kind = "remedy" if remedy else "rollback"
    raw = {"service": service, "reason": reason, "kind": kind, "request": str(uuid4())}
    if to is not None:
        raw["to"] = to

    async def begin(monitor: Monitor) -> dict[str, Any]:
        from monitor import operations
        from monitor.core.model.rollback import RollbackKind

        return await operations.start(
            service,
            who_asks(),
            reason,
            to,
            monitor.desk,
            kind=RollbackKind(kind),
            request=raw["request"],
        )

    _tell(act(configs, server, "/api/v1/rollbacks", raw, begin, expected=_EXPECTED))


@rollback.command(epilog="For example: production-monitor rollback approve shop")
@click.argument("which", metavar="SERVICE|ID")
@config_option
@server_option
def approve(which: str, configs: tuple[Path, ...], server: str | None) -> None:
    """Let the rollback begin that waits for SERVICE, or has this ID."""

    async def agree(monitor: Monitor) -> dict[str, Any]:
        from monitor import operations

        return await operations.approve(which, who_asks(), monitor.desk)

    _tell(act(configs, server, f"{_path(which)}/approve", {}, agree, expected=_EXPECTED))


@rollback.command(epilog="For example: production-monitor rollback veto shop --reason expected")
@click.argument("which", metavar="SERVICE|ID")
@click.option("--reason", default="", metavar="TEXT", help="Why not.")
@config_option
@server_option
def veto(which: str, reason: str, configs: tuple[Path, ...], server: str | None) -> None:
    """Keep the rollback from beginning that waits for SERVICE, or has this ID."""

    async def object_to(monitor: Monitor) -> dict[str, Any]:
        from monitor import operations

        return await operations.veto(which, who_asks(), reason, monitor.desk)

    raw = {"reason": reason} if reason else {}
    _tell(act(configs, server, f"{_path(which)}/veto", raw, object_to, expected=_EXPECTED))


@rollback.command(name="status", epilog="For example: production-monitor rollback status shop")
@click.argument("which", metavar="SERVICE|ID")
@click.option(
    "--output", type=click.Choice(["text", "json"]), default="text", help="How it is written."
)
@config_option
@server_option
def show(which: str, output: str, configs: tuple[Path, ...], server: str | None) -> None:
    """Show the newest rollback or remedy of SERVICE, or the one with this ID, step by step."""

    async def report(monitor: Monitor) -> dict[str, Any]:
        from monitor import operations

        return operations.report_rollback(which, monitor.desk)

    found = look(
        configs,
        server,
        _path(which),
        report,
        expected=_EXPECTED,
        known="this is what was known last",
    )
    if output == "json":
        click.echo(json.dumps(found, ensure_ascii=False, indent=2))
        return

    from monitor.cli.look import find_look
    from monitor.cli.overview import write_rollback

    click.echo(write_rollback(found, find_look()), nl=False)


def _tell(found: dict[str, Any]) -> None:
    who = found["vetoed_by"] or found["approved_by"] or found["started_by"]
    by = f", by {who}" if who else ""
    state = found["state"].replace("_", " ")
    click.echo(f"{found['kind']} of {found['service']}: {state}{by} ({found['id']})")


def _path(which: str) -> str:
    return f"/api/v1/rollbacks/{quote(which, safe='')}"
