"""The hook runner: looks a step up in configuration that is root's alone, and runs it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from monitor.runner.records import Records
from monitor.runner.service import Denied, serve
from monitor.tools.runner_trust import find_group, load_trusted, trust_program

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from monitor.config import Compiled, Plugin
    from monitor.core.model.rollback import Effect
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
        group=find_group(group),
        records=Records(state),
        prepare=lambda order: prepare(order, paths=paths, environ=environ),
    )


def prepare(
    order: Order, *, paths: Sequence[Path], environ: Mapping[str, str]
) -> Callable[[], Effect]:
    """Find the command that an order means; raises Denied that says why it is not run."""
    from monitor import plugins
    from monitor.names import Resolver
    from monitor.options import Redactor

    compiled, document = load_trusted(paths, environ)
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


def _find_step(compiled: Compiled, order: Order) -> Plugin:
    """Find the command at the place that an order names, of the rollback or else of the remedy."""
    service = order.context.service
    hooks = compiled.hooks.get(service, ())
    levels = (policy.level(order.level) for policy in compiled.directory.service(service).policies)
    commands = [
        plugin
        for level in levels
        if level is not None and order.step <= len(level.steps)
        for plugin in (hooks[level.first_hook + order.step - 1],)
        if plugin.kind == "command"
    ]
    step = f"step {order.step}" if order.level == 1 else f"step {order.step} of level {order.level}"
    if not commands:
        raise Denied(f"{step} of {service} is no command that is set up for it")

    plugin = next((one for one in commands if one.options.fingerprint == order.fingerprint), None)
    if plugin is None:
        raise Denied(
            f"{step} of {service} is another command in the configuration now: reload the monitor"
        )
    trust_program(plugin.options.program)

    return plugin
