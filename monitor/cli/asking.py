"""How a command reaches the monitor: by its URL, over the control socket, or through its store."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from monitor.cli.common import end, find_config, loader, mistakes_end_it, start_logs
from monitor.cli.remote import NobodyThere, RemoteError, ask_server, ask_socket

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from monitor.app import Monitor
    from monitor.config import Compiled

SERVICE_CONFIG: Final = Path("/etc/production-monitor")
SERVICE_SOCKET: Final = Path("/run/production-monitor/control.sock")
"""Where the system's service has its configuration, and where it listens."""


server_option = click.option(
    "--server",
    metavar="URL",
    help="Ask the monitor at this URL, with the token in $MONITOR_TOKEN, instead of the one here.",
)


def ask(
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


def act(
    configs: tuple[Path, ...],
    server: str | None,
    resource: str,
    body: object,
    otherwise: Callable[[Monitor], Awaitable[dict[str, Any]]],
    *,
    expected: tuple[str, ...],
    method: str = "POST",
) -> dict[str, Any]:
    """Do something; where no daemon runs it waits in the store for the next one."""
    return ask(
        configs,
        server,
        method,
        resource,
        body,
        otherwise,
        lambda _found: "written to the store, for the next run",
        expected=expected,
    )


def look(
    configs: tuple[Path, ...],
    server: str | None,
    resource: str,
    otherwise: Callable[[Monitor], Awaitable[dict[str, Any]]],
    *,
    expected: tuple[str, ...],
    known: str = "this is what its store holds",
) -> dict[str, Any]:
    """Look at something; `known` says what it is worth where no daemon runs."""
    return ask(
        configs,
        server,
        "GET",
        resource,
        None,
        otherwise,
        lambda _found: known,
        expected=expected,
        looks=True,
    )


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
