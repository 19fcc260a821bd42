"""`status`, `deploy` and `headers`: what people ask and tell a monitor that runs, or its store."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import suppress
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from monitor.cli.common import (
    CODES,
    FAIL,
    config_option,
    end,
    find_config,
    loader,
    mistakes_end_it,
    start_logs,
)
from monitor.cli.remote import NobodyThere, RemoteError, ask_server, ask_socket
from monitor.core.model.verdict import Outcome

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from monitor.app import Monitor
    from monitor.config import Compiled
    from monitor.core.model.heartbeat import Heard

SERVICE_CONFIG: Final = Path("/etc/production-monitor")
SERVICE_SOCKET: Final = Path("/run/production-monitor/control.sock")
"""Where the system's service has its configuration, and where it listens."""


server_option = click.option(
    "--server",
    metavar="URL",
    help="Ask the monitor at this URL, with the token in $MONITOR_TOKEN, instead of the one here.",
)


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
    found = _ask(
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
    found = _ask(
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
    found = _ask(
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


def _ask(
    configs: tuple[Path, ...],
    server: str | None,
    method: str,
    resource: str,
    body: object,
    otherwise: Callable[[Monitor], Awaitable[dict[str, Any]]],
    alone: Callable[[dict[str, Any]], str],
    *,
    expected: tuple[str, ...],
    looks: bool = False,
) -> dict[str, Any]:
    """Ask a server, else the daemon that holds the store, else the store that nobody holds.

    `alone` says of what was found what that means, where no daemon runs; `expected` are keys of a
    monitor's answer. Who only `looks` changes nothing about the store.
    """
    try:
        if server:
            token = os.environ.get("MONITOR_TOKEN")
            found: dict[str, Any] = ask_server(
                server, token, method, resource, body, expected=expected
            )
            return found

        with mistakes_end_it():
            from monitor.config import find_store

            load = _load_to_look(configs) if looks else loader(configs)
            files = find_config(configs)
            store = find_store(files, environ=os.environ) or load().store
            for path in _sockets(files, store):
                with suppress(NobodyThere):
                    answer: dict[str, Any] = ask_socket(path, method, resource, body)
                    return answer
            if not store.exists():
                end(f"no monitor runs here, and there is no store at {store}: nothing is known yet")
            found = asyncio.run(_open_store(load, otherwise, looks=looks))
            click.echo(f"no monitor runs on {store}: {alone(found)}", err=True)
    except RemoteError as error:
        end(str(error))

    return found


def ask_heard(configs: tuple[Path, ...], endpoint: str) -> Heard:
    """Give what the monitor here, or its store, knows of a heartbeat."""
    from urllib.parse import quote

    from monitor.core.report_heard import heard_json, read_heard

    async def heard_of_store(monitor: Monitor) -> dict[str, Any]:
        return heard_json(monitor.hearing.heard(endpoint))

    found = _ask(
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


def _load_to_look(configs: tuple[Path, ...]) -> Callable[[], Compiled]:
    """Load what is configured, to look only: what is not set in this shell does not matter much."""
    from monitor.config import ConfigError

    def load() -> Compiled:
        try:
            return loader(configs)()
        except ConfigError as error:
            compiled = loader(configs, allow_unset=True)()
            more = f", and {len(error.problems) - 1} more" if len(error.problems) > 1 else ""
            click.echo(
                f"{error.problems[0]}{more}; nothing is known here of checks that need it", err=True
            )
            return compiled

    return cache(load)  # read twice, and it would complain twice


def _sockets(files: Sequence[Path], store: Path) -> list[Path]:
    """Give where a daemon may listen, the likeliest first.

    The holder of the store wrote down where it listens. The system's service has its store and its
    socket in places that a shell's environment does not name.
    """
    from monitor.daemon import control_path
    from monitor.store.lock import read_holder

    holder = read_holder(store)
    sockets = [Path(holder.control)] if holder and holder.control else []
    if any(file.resolve().is_relative_to(SERVICE_CONFIG) for file in files):
        sockets.append(SERVICE_SOCKET)

    return [*sockets, control_path(store, os.environ)]


async def _open_store(
    load: Callable[[], Compiled],
    act: Callable[[Monitor], Awaitable[dict[str, Any]]],
    *,
    looks: bool,
) -> dict[str, Any]:
    from monitor.app import Monitor, RunOptions

    start_logs(default_level="warning")
    command = click.get_current_context().info_name
    options = RunOptions(
        holder=f"production-monitor {command}", oneshot=True, looks=looks, patient=False
    )
    monitor = await Monitor.open(load, options)
    try:
        return await act(monitor)
    finally:
        await monitor.close()


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
