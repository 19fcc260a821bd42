"""The hook runner: looks a step up in configuration that is root's alone, and runs it."""

from __future__ import annotations

import asyncio
import os
import shutil
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from monitor.runner.probe_service import serve_probe
from monitor.runner.records import Keys, Records
from monitor.runner.service import Denied, serve
from monitor.runner.trust import find_distrust

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping, Sequence

    from monitor.config import Compiled, Plugin
    from monitor.config.document import Document
    from monitor.core.model.rollback import Effect
    from monitor.runner.probe_protocol import ProbeOrder
    from monitor.runner.probing import ProbeCommand
    from monitor.runner.protocol import Order


def answer_one(
    connection: socket.socket,
    *,
    paths: Sequence[Path],
    state: Path,
    group: str,
    environ: Mapping[str, str],
) -> None:
    """Answer the one order of a connection; records are kept in the `state` folder."""
    serve(
        connection,
        group=_find_group(group),
        records=Records(state),
        prepare=lambda order: prepare(order, paths=paths, environ=environ),
    )


def answer_probe(
    connection: socket.socket,
    *,
    paths: Sequence[Path],
    state: Path,
    group: str,
    environ: Mapping[str, str],
) -> None:
    """Answer the one order of a connection for a probe; its key is kept in the `state` folder."""
    serve_probe(
        connection,
        group=_find_group(group),
        keys=Keys(state),
        find=lambda order: find_command(order, paths=paths, environ=environ),
    )


def find_command(
    order: ProbeOrder, *, paths: Sequence[Path], environ: Mapping[str, str]
) -> ProbeCommand:
    """Find the command of the endpoint that an order means; raises Denied."""
    from monitor.probes._command.options import CommandOptions
    from monitor.probes._command.probe import make_command

    compiled, document = _load_trusted(paths, environ)
    name = order.endpoint
    if any(at[:2] == ("endpoints", name) for at in document.unsettled):
        raise Denied(f"a variable that {name} needs is not set for the runner of probes as well")
    endpoint = next((one for one in compiled.endpoints if one.name == name), None)
    options = compiled.probes[name].options if endpoint else None
    if endpoint is None or not isinstance(options, CommandOptions):
        raise Denied("there is no such endpoint, or it runs no command: reload the monitor")
    if options.fingerprint != order.fingerprint:
        raise Denied(f"{name} has another command in the configuration now: reload the monitor")
    _trust_program(options.program)

    return make_command(options, endpoint=name, timeout=endpoint.timeout)


def prepare(
    order: Order, *, paths: Sequence[Path], environ: Mapping[str, str]
) -> Callable[[], Effect]:
    """Find the command that an order means; raises Denied that says why it is not run."""
    from monitor import plugins
    from monitor.names import Resolver
    from monitor.options import Redactor

    compiled, document = _load_trusted(paths, environ)
    service = order.context.service
    if any(at[:2] == ("services", service) for at in document.unsettled):
        raise Denied(f"a variable that {service} needs is not set for the hook runner as well")
    plugin = _find_step(compiled, order)
    around = plugins.Surroundings(
        clock=lambda: datetime.now(UTC),
        mask=Redactor(compiled.secrets).mask,
        resolver=Resolver(),
    )
    hook = plugins.make_hook(plugin, around)

    return lambda: asyncio.run(hook.apply(order.context))


def _load_trusted(paths: Sequence[Path], environ: Mapping[str, str]) -> tuple[Compiled, Document]:
    """Load the configuration as it is now; what is unset for others is none of our business."""
    from monitor.config.compile import compile_document
    from monitor.config.reader import read_document

    _trust(paths)
    cwd = Path.cwd()
    document = read_document(paths, environ=environ, allow_unset=True, cwd=cwd)
    compiled, problems = compile_document(document, environ=environ, cwd=cwd)
    if compiled is None:
        raise Denied(f"the configuration is wrong: {problems[0]}")
    _trust(compiled.files)

    return compiled, document


def _trust(paths: Sequence[Path]) -> None:
    owners = {0, os.geteuid()}
    for path in paths:
        if problem := find_distrust(path, owners):
            raise Denied(f"the configuration is not root's alone: {problem}")


def _find_step(compiled: Compiled, order: Order) -> Plugin:
    service = order.context.service
    steps = compiled.hooks.get(service, ())
    if order.step > len(steps) or steps[order.step - 1].kind != "command":
        raise Denied(f"step {order.step} of {service} is no command that is set up for it")

    plugin = steps[order.step - 1]
    if plugin.options.fingerprint != order.fingerprint:
        raise Denied(
            f"step {order.step} of {service} is another command in the configuration now: "
            "reload the monitor"
        )
    _trust_program(plugin.options.program)

    return plugin


def _trust_program(name: str) -> None:
    program = shutil.which(name)
    if program is not None and (problem := find_distrust(Path(program), {0, os.geteuid()})):
        raise Denied(f"the program is not root's alone: {problem}")


def _find_group(name: str) -> int | None:
    import grp

    with suppress(KeyError):
        return grp.getgrnam(name).gr_gid

    return None
