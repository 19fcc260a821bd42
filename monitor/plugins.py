"""How configured plug-ins become objects: each from the table of its kind, kept over a reload."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from monitor import __version__, hooks, notifiers, probes
from monitor.core.model.heartbeat import Heard
from monitor.hooks.hook import HookContext
from monitor.logs import Log
from monitor.notifiers.notifier import NotifierContext
from monitor.probes.probe import ProbeContext
from monitor.runner.elsewhere import CommandsElsewhere
from monitor.runner.tied import CommandsHere
from monitor.witness import Witnesses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import datetime, timedelta
    from pathlib import Path

    from monitor.config import Compiled, Plugin
    from monitor.core.model.endpoint import Endpoint
    from monitor.hooks.hook import Hook
    from monitor.names import Resolver
    from monitor.notifiers.notifier import Notifier
    from monitor.probes.probe import Probe
    from monitor.runner import HookRunner
    from monitor.runner.tied import Commands

USER_AGENT: Final = f"production-monitor/{__version__}"

_log = Log()

_ERRANDS: Final = 6
"""How many commands of notifiers and of evidence run at once, beside those of probes."""

Made = TypeVar("Made")
Spec = TypeVar("Spec")


class Closable(Protocol):
    """What may hold connections."""

    async def close(self) -> None:
        """Let go of them."""
        ...


def hear_nothing(_endpoint: str) -> Heard:
    """Give what is known where nobody listens."""
    return Heard()


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What all plug-ins of this process share, over all reloads.

    `clock` tells the time, and `mask` takes secrets out of what is told. All probes have one
    `resolver`, whose threads are a resource like descriptors, and so they have `commands`: how
    those of probes are run, None where each sees to that itself; `errands` is the same for the
    commands of notifiers and of evidence, which wait for no probe. `heard` gives what was heard of
    the heartbeat of an endpoint. With a `hook_runner`, commands of rollbacks are left to it.
    """

    clock: Callable[[], datetime]
    mask: Callable[[str], str]
    resolver: Resolver
    commands: Commands | None = None
    errands: Commands | None = None
    heard: Callable[[str], Heard] = hear_nothing
    hook_runner: HookRunner | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugins:
    """All plug-ins of one configuration: probes by endpoint, notifiers by name, hooks by service.

    The hooks of a service are one for each step of its rollback.
    """

    probes: Mapping[str, Probe]
    notifiers: Mapping[str, Notifier]
    hooks: Mapping[str, tuple[Hook, ...]]
    witnesses: Witnesses

    def __iter__(self) -> Iterator[Closable]:
        yield from self.probes.values()
        yield from self.notifiers.values()
        yield from chain.from_iterable(self.hooks.values())
        yield self.witnesses


def make_commands(runner: Path | None) -> tuple[Commands, Commands]:
    """Make what runs the commands of probes, and what runs those of notifiers and of evidence.

    With the socket of a runner, that is left to it.
    """
    if runner is not None:
        return CommandsElsewhere(runner), CommandsElsewhere(runner, _ERRANDS)

    return CommandsHere(), CommandsHere(_ERRANDS)


def make_plugins(compiled: Compiled, around: Surroundings) -> Plugins:
    """Make all plug-ins of a configuration."""
    before = replace(compiled, endpoints=(), notifiers={}, hooks={})
    witnesses = _make_witnesses(compiled, around)
    known = Plugins(probes={}, notifiers={}, hooks={}, witnesses=witnesses)

    return remake_plugins(compiled, around, before=before, known=known)


def remake_plugins(
    compiled: Compiled, around: Surroundings, *, before: Compiled, known: Plugins
) -> Plugins:
    """Make the plug-ins that a changed configuration needs, and keep those that did not change."""
    asked = {endpoint.name: endpoint for endpoint in compiled.endpoints}

    return Plugins(
        probes=keep_same(
            _probe_specs(compiled),
            _probe_specs(before),
            known.probes,
            lambda name, _spec: make_probe(compiled, asked[name], around),
        ),
        notifiers=keep_same(
            compiled.notifiers,
            before.notifiers,
            known.notifiers,
            lambda name, plugin: make_notifier(name, plugin, around),
        ),
        hooks=keep_same(
            compiled.hooks,
            before.hooks,
            known.hooks,
            lambda _service, steps: tuple(make_hook(step, around) for step in steps),
        ),
        witnesses=known.witnesses
        if compiled.witnesses == before.witnesses
        else _make_witnesses(compiled, around),
    )


async def close_all(plugins: Iterable[Closable]) -> None:
    """Close plug-ins, all of them, whatever comes of one."""
    closing = [plugin.close() for plugin in plugins]
    for outcome in await asyncio.gather(*closing, return_exceptions=True):
        if isinstance(outcome, Exception):
            _log.warning("close_failed", error=str(outcome))


def make_probe(compiled: Compiled, endpoint: Endpoint, around: Surroundings) -> Probe:
    """Make the probe of one endpoint."""
    plugin = compiled.probes[endpoint.name]
    context = ProbeContext(
        clock=around.clock,
        resolver=around.resolver,
        timeout=endpoint.timeout,
        user_agent=USER_AGENT,
        preflight=endpoint.preflight,
        endpoint=endpoint.name,
        commands=around.commands,
        expectations=plugin.expectations,
        mask=around.mask,
        heard=partial(around.heard, endpoint.name),
    )
    probe: Probe = probes.KINDS[plugin.kind].make(plugin.options, context)

    return probe


def make_notifier(name: str, plugin: Plugin, around: Surroundings) -> Notifier:
    """Make one notifier."""
    context = NotifierContext(
        clock=around.clock,
        user_agent=USER_AGENT,
        mask=around.mask,
        name=name,
        commands=around.errands,
    )
    notifier: Notifier = notifiers.KINDS[plugin.kind].make(plugin.options, context)

    return notifier


def make_hook(plugin: Plugin, around: Surroundings) -> Hook:
    """Make the hook of one rollback step."""
    context = HookContext(mask=around.mask, user_agent=USER_AGENT, hook_runner=around.hook_runner)
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


def _make_witnesses(compiled: Compiled, around: Surroundings) -> Witnesses:
    return Witnesses(compiled.witnesses, known=around.resolver.known)


def _probe_specs(compiled: Compiled) -> dict[str, tuple[Plugin, timedelta, bool]]:
    """Give what each probe is made from."""
    return {
        one.name: (compiled.probes[one.name], one.timeout, one.preflight)
        for one in compiled.endpoints
    }
