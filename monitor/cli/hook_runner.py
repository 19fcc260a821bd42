"""`hook-runner`: what systemd starts for each order of the monitor."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import click

from monitor.cli.common import config_option, end, find_config, start_logs


@click.command("hook-runner", short_help="Carry out one step for the monitor; started by systemd.")
@config_option
@click.option(
    "--state",
    type=click.Path(path_type=Path, exists=True, file_okay=False, writable=True),
    help="Where results are kept. Default: $STATE_DIRECTORY.",
)
@click.option(
    "--group",
    default="production-monitor",
    show_default=True,
    help="The group as which the monitor runs; apart from root, nobody else may ask.",
)
def hook_runner(configs: tuple[Path, ...], state: Path | None, group: str) -> None:
    """Answer the one order that comes through the socket on standard input.

    The order names a step of a rollback; its command is that of the configuration, which has to be
    root's alone. It is run once, and its result is kept.
    """
    start_logs(default_level="info")
    paths = find_config(configs)
    state = state or _state_directory()
    if not stat.S_ISSOCK(os.fstat(0).st_mode):
        raise click.UsageError("expected a socket on standard input: systemd starts this")

    from monitor.tools.hook_runner import answer_one

    with socket.socket(fileno=os.dup(0)) as connection:
        answer_one(connection, paths=paths, state=state, group=group, environ=os.environ)


def _state_directory() -> Path:
    folder = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    if not folder:
        end("no folder for results: expected --state DIRECTORY or $STATE_DIRECTORY")

    return Path(folder)
