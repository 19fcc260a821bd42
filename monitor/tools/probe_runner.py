"""The runner of probes: looks a command up in configuration that is root's alone, and runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.runner.records import Keys
from monitor.runner.service import Denied
from monitor.runner.tied_service import serve_tied
from monitor.tools.runner_trust import find_group, load_trusted, trust_program

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from monitor.runner.tied import TiedCommand
    from monitor.runner.tied_protocol import TiedOrder


def answer_probe(
    connection: socket.socket,
    *,
    paths: Sequence[Path],
    state: Path,
    group: str,
    environ: Mapping[str, str],
) -> None:
    """Answer the one order of a connection for a probe; its key is kept in the `state` folder."""
    serve_tied(
        connection,
        group=find_group(group),
        keys=Keys(state),
        find=lambda order: find_command(order, paths=paths, environ=environ),
    )


def find_command(
    order: TiedOrder, *, paths: Sequence[Path], environ: Mapping[str, str]
) -> TiedCommand:
    """Find the command of the endpoint that an order means; raises Denied."""
    compiled, document = load_trusted(paths, environ)
    name = order.name
    if any(at[:2] == ("endpoints", name) for at in document.unsettled):
        raise Denied(f"a variable that {name} needs is not set for the runner of probes as well")
    endpoint = next((one for one in compiled.endpoints if one.name == name), None)
    plugin = compiled.probes.get(name)
    if endpoint is None or plugin is None or plugin.kind != "command":
        raise Denied("there is no such endpoint, or it runs no command: reload the monitor")
    options = plugin.options
    if options.fingerprint != order.fingerprint:
        raise Denied(f"{name} has another command in the configuration now: reload the monitor")
    trust_program(options.program)

    command: TiedCommand = options.command(endpoint=name, timeout=endpoint.timeout)

    return command
