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
    help="Where results are kept. Default: $STATE_DIRECTORY, with --probes $RUNTIME_DIRECTORY.",
)
@click.option("--probes", is_flag=True, help="Answer orders for commands of probes, and no others.")
@click.option(
    "--group",
    default="production-monitor",
    show_default=True,
    help="The group as which the monitor runs; apart from root, nobody else may ask.",
)
def hook_runner(configs: tuple[Path, ...], state: Path | None, probes: bool, group: str) -> None:
    """Answer the one order that comes through the socket on standard input.

    The order names a step of a rollback; its command is that of the configuration, which has to be
    root's alone. It is run once, and its result is kept. With --probes the order names an endpoint;
    its command is run for as long as whoever asks waits.
    """
    start_logs(default_level="info")
    paths = find_config(configs)
    state = state or _find_folder("RUNTIME_DIRECTORY" if probes else "STATE_DIRECTORY")
    if not stat.S_ISSOCK(os.fstat(0).st_mode):
        raise click.UsageError("expected a socket on standard input: systemd starts this")

    from monitor.tools.hook_runner import answer_one
    from monitor.tools.probe_runner import answer_probe

    answer = answer_probe if probes else answer_one
    with socket.socket(fileno=os.dup(0)) as connection:
        answer(connection, paths=paths, state=state, group=group, environ=os.environ)


def _find_folder(variable: str) -> Path:
    folder = os.environ.get(variable, "").split(":")[0]
    if not folder:
        end(f"no folder for results: expected --state DIRECTORY or ${variable}")

    return Path(folder)
