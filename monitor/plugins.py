"""How configured plug-ins become objects: each from the table of its kind, kept over a reload."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from monitor import __version__, hooks, notifiers, probes
from monitor.core.model.heartbeat import Heard
from monitor.hooks.hook import HookContext
from monitor.logs import Log
from monitor.names import Resolver
from monitor.notifiers.notifier import NotifierContext
from monitor.probes.probe import ProbeContext
from monitor.runner.elsewhere import CommandsElsewhere
from monitor.runner.probing import CommandsHere
from monitor.witness import Witnesses

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime, timedelta
    from pathlib import Path

    from monitor.config import Compiled, Plugin
    from monitor.core.model.endpoint import Endpoint
    from monitor.hooks.hook import Hook
    from monitor.notifiers.notifier import Notifier
    from monitor.probes.probe import Probe
    from monitor.runner import HookRunner
    from monitor.runner.probing import Commands

USER_AGENT: Final = f"production-monitor/{__version__}"

_log = Log()

Hearing = Callable[[str], Heard]
"""Gives what was heard of the heartbeat of an endpoint."""

Made = TypeVar("Made")
Spec = TypeVar("Spec")


class Closable(Protocol):
    """What may hold connections."""

    async def close(self) -> None:
        """Let go of them."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugins:
    """All plug-ins of one configuration: probes by endpoint, notifiers by name, hooks by service.

    The hooks of a service are one for each step of its rollback. All probes have one `resolver`,
    over all reloads: its threads are a resource like descriptors. So have their commands.
    """

    resolver: Resolver
    commands: Commands

    probes: Mapping[str, Probe]
    notifiers: Mapping[str, Notifier]
    hooks: Mapping[str, tuple[Hook, ...]]
    witnesses: Witnesses

    def __iter__(self) -> Iterator[Closable]:
        yield from self.probes.values()
        yield from self.notifiers.values()
        yield from chain.from_iterable(self.hooks.values())
        yield self.witnesses
        yield self.commands


def hear_nothing(_endpoint: str) -> Heard:
    """Give what is known where nobody listens."""
    return Heard()


def make_plugins(
    compiled: Compiled,
    *,
    clock: Callable[[], datetime],
    mask: Callable[[str], str],
    hook_runner: HookRunner | None = None,
    probe_runner: Path | None = None,
    heard: Hearing = hear_nothing,
) -> Plugins:
    """Make all plug-ins of a configuration; with a runner, commands are left to it.

    `probe_runner` is the socket of the one for probes. `heard` gives what was heard of an endpoint.
    """
    resolver = Resolver()
    commands = CommandsElsewhere(probe_runner) if probe_runner else CommandsHere()

    return Plugins(
        resolver=resolver,
        commands=commands,
        probes={
            one.name: make_probe(
                compiled,
                one,
                clock=clock,
                resolver=resolver,
                mask=mask,
                commands=commands,
                heard=heard,
            )
            for one in compiled.endpoints
        },
        notifiers={
            name: make_notifier(plugin, clock=clock, mask=mask)
            for name, plugin in compiled.notifiers.items()
        },
        hooks={
            service: tuple(make_hook(step, mask=mask, hook_runner=hook_runner) for step in steps)
            for service, steps in compiled.hooks.items()
        },
        witnesses=Witnesses(compiled.witnesses, known=resolver.known),
    )


def remake_plugins(
    compiled: Compiled,
    *,
    before: Compiled,
    known: Plugins,
    clock: Callable[[], datetime],
    mask: Callable[[str], str],
    hook_runner: HookRunner | None = None,
    heard: Hearing = hear_nothing,
) -> Plugins:
    """Make the plug-ins that a changed configuration needs, and keep those that did not change."""
    asked = {endpoint.name: endpoint for endpoint in compiled.endpoints}

    return Plugins(
        resolver=known.resolver,
        commands=known.commands,
        probes=keep_same(
            _probe_specs(compiled),
            _probe_specs(before),
            known.probes,
            lambda name, _spec: make_probe(
                compiled,
                asked[name],
                clock=clock,
                resolver=known.resolver,
                mask=mask,
                commands=known.commands,
                heard=heard,
            ),
        ),
        notifiers=keep_same(
            compiled.notifiers,
            before.notifiers,
            known.notifiers,
            lambda _name, plugin: make_notifier(plugin, clock=clock, mask=mask),
        ),
        hooks=keep_same(
            compiled.hooks,
            before.hooks,
            known.hooks,
            lambda _service, steps: tuple(
                make_hook(step, mask=mask, hook_runner=hook_runner) for step in steps
            ),
        ),
        witnesses=known.witnesses
        if compiled.witnesses == before.witnesses
        else Witnesses(compiled.witnesses, known=known.resolver.known),
    )


async def close_all(plugins: Iterable[Closable]) -> None:
    """Close plug-ins, all of them, whatever comes of one."""
    closing = [plugin.close() for plugin in plugins]
    for outcome in await asyncio.gather(*closing, return_exceptions=True):
        if isinstance(outcome, Exception):
            _log.warning("close_failed", error=str(outcome))


def make_probe(
    compiled: Compiled,
    endpoint: Endpoint,
    *,
    clock: Callable[[], datetime],
    resolver: Resolver,
    mask: Callable[[str], str] = str,
    commands: Commands | None = None,
    heard: Hearing = hear_nothing,
) -> Probe:
    """Make the probe of one endpoint; without `commands` it runs its own."""
    plugin = compiled.probes[endpoint.name]
    context = ProbeContext(
        clock=clock,
        resolver=resolver,
        timeout=endpoint.timeout,
        user_agent=USER_AGENT,
        preflight=endpoint.preflight,
        endpoint=endpoint.name,
        commands=commands,
        expectations=plugin.expectations,
        mask=mask,
        heard=partial(heard, endpoint.name),
    )
    probe: Probe = probes.KINDS[plugin.kind].make(plugin.options, context)

    return probe


def make_notifier(
    plugin: Plugin, *, clock: Callable[[], datetime], mask: Callable[[str], str]
) -> Notifier:
    """Make one notifier."""
    context = NotifierContext(clock=clock, user_agent=USER_AGENT, mask=mask)
    notifier: Notifier = notifiers.KINDS[plugin.kind].make(plugin.options, context)

    return notifier


def make_hook(
    plugin: Plugin, *, mask: Callable[[str], str], hook_runner: HookRunner | None = None
) -> Hook:
    """Make the hook of one rollback step."""
    context = HookContext(mask=mask, user_agent=USER_AGENT, hook_runner=hook_runner)
    hook: Hook = hooks.KINDS[plugin.kind].make(plugin.options, context)

    return hook


def keep_same(
    wanted: Mapping[str, Spec],
    known: Mapping[str, Spec],
    made: Mapping[str, Made],
    make: Callable[[str, Spec], Made],
) -> dict[str, Made]:
    """Make what is new or changed, and keep the rest."""
    return {
        name: made[name]
        if name in made and name in known and known[name] == spec
        else make(name, spec)
        for name, spec in wanted.items()
    }


def _probe_specs(compiled: Compiled) -> dict[str, tuple[Plugin, timedelta, bool]]:
    """Give what each probe is made from."""
    return {
        one.name: (compiled.probes[one.name], one.timeout, one.preflight)
        for one in compiled.endpoints
    }
