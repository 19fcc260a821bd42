"""The runner of probes: looks a command up in configuration that is root's alone, and runs it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from monitor.runner.records import Keys
from monitor.runner.service import Denied
from monitor.runner.tied_protocol import Purpose
from monitor.runner.tied_service import serve_tied
from monitor.tools.runner_trust import find_group, load_trusted, trust_program

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from monitor.config import Compiled
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
    """Answer the one order of a connection; its key is kept in the `state` folder."""
    serve_tied(
        connection,
        group=find_group(group),
        keys=Keys(state),
        find=lambda order: find_command(order, paths=paths, environ=environ),
    )


def find_command(
    order: TiedOrder, *, paths: Sequence[Path], environ: Mapping[str, str]
) -> TiedCommand:
    """Find the command that an order means; raises Denied."""
    compiled, document = load_trusted(paths, environ)
    section, owner = _SECTIONS[order.purpose], order.name.partition("/")[0]
    if any(at[:2] == (section, owner) for at in document.unsettled):
        raise Denied(f"a variable that {owner} needs is not set for the runner of probes as well")

    command = _find(compiled, order)
    if command is None:
        raise Denied(f"there is no such {_NAMES[order.purpose]}: reload the monitor")
    if command.fingerprint != order.fingerprint:
        raise Denied(
            f"{order.name} has another command in the configuration now: reload the monitor"
        )
    trust_program(command.argv[0])
    if order.purpose is Purpose.PROBE:
        return command

    return replace(command, told=order.variables, stdin=order.input.encode())


_SECTIONS: Final = {
    Purpose.PROBE: "endpoints",
    Purpose.NOTICE: "notifiers",
    Purpose.EVIDENCE: "services",
}
_NAMES: Final = {
    Purpose.PROBE: "endpoint, or it runs no command",
    Purpose.NOTICE: "notifier, or it runs no command",
    Purpose.EVIDENCE: "evidence of a service",
}


def _find(compiled: Compiled, order: TiedOrder) -> TiedCommand | None:
    match order.purpose:
        case Purpose.PROBE:
            return _find_probe(compiled, order.name)
        case Purpose.NOTICE:
            return _find_notifier(compiled, order.name)
        case Purpose.EVIDENCE:
            return _find_evidence(compiled, *order.name.split("/", 1))


def _find_probe(compiled: Compiled, name: str) -> TiedCommand | None:
    endpoint = next((one for one in compiled.endpoints if one.name == name), None)
    plugin = compiled.probes.get(name)
    if endpoint is None or plugin is None or plugin.kind != "command":
        return None

    command: TiedCommand = plugin.options.command(endpoint=name, timeout=endpoint.timeout)

    return command


def _find_notifier(compiled: Compiled, name: str) -> TiedCommand | None:
    plugin = compiled.notifiers.get(name)
    if plugin is None or plugin.kind != "command":
        return None

    command: TiedCommand = plugin.options.command(name)

    return command


def _find_evidence(compiled: Compiled, service: str, name: str = "") -> TiedCommand | None:
    options = compiled.evidence.get(service, {}).get(name)

    return options.command(service, name) if options is not None else None
