"""How configured plug-ins become objects: each from the table of its kind, kept over a reload."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from monitor import __version__, hooks, notifiers, probes
from monitor.hooks.hook import HookContext
from monitor.notifiers.notifier import NotifierContext
from monitor.probes.probe import ProbeContext

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from monitor.config import Compiled, Plugin
    from monitor.core.model.endpoint import Endpoint
    from monitor.hooks.hook import Hook
    from monitor.notifiers.notifier import Notifier
    from monitor.probes.probe import Probe

USER_AGENT: Final = f"production-monitor/{__version__}"

Made = TypeVar("Made")
Spec = TypeVar("Spec")


def make_probe(compiled: Compiled, endpoint: Endpoint) -> Probe:
    """Make the probe of one endpoint."""
    plugin = compiled.probes[endpoint.name]
    context = ProbeContext(timeout=endpoint.timeout, user_agent=USER_AGENT)
    probe: Probe = probes.KINDS[plugin.kind].make(plugin.options, context)

    return probe


def make_notifier(
    plugin: Plugin, *, clock: Callable[[], datetime], mask: Callable[[str], str]
) -> Notifier:
    """Make one notifier."""
    context = NotifierContext(clock=clock, user_agent=USER_AGENT, mask=mask)
    notifier: Notifier = notifiers.KINDS[plugin.kind].make(plugin.options, context)

    return notifier


def make_hook(plugin: Plugin, *, mask: Callable[[str], str]) -> Hook:
    """Make the hook of one rollback step."""
    context = HookContext(mask=mask, user_agent=USER_AGENT)
    hook: Hook = hooks.KINDS[plugin.kind].make(plugin.options, context)

    return hook


def keep_same(
    wanted: Mapping[str, Spec],
    known: Mapping[str, Spec],
    made: Mapping[str, Made],
    make: Callable[[str, Spec], Made],
) -> tuple[dict[str, Made], list[Made]]:
    """Make what is new or changed and keep the rest; give all of them, and what is retired."""
    fresh = {
        name: made[name]
        if name in made and name in known and known[name] == spec
        else make(name, spec)
        for name, spec in wanted.items()
    }
    retired = [old for name, old in made.items() if fresh.get(name) is not old]

    return fresh, retired
