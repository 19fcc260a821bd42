"""Takes a changed configuration over while everything goes on: all or nothing, one at a time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from monitor import plugins
from monitor.config import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from monitor.actuator import Actuator
    from monitor.config import Compiled
    from monitor.core.engine import Engine
    from monitor.core.model.endpoint import Endpoint
    from monitor.dispatch import Dispatch
    from monitor.metrics import Metrics
    from monitor.options import Redactor
    from monitor.pipeline import Pipeline
    from monitor.runner import HookRunner
    from monitor.scheduler import Scheduler

_log = structlog.get_logger()


@dataclass(slots=True, kw_only=True)
class Setup:
    """What is configured now and what was made from it: a reload replaces both in one go."""

    compiled: Compiled
    made: plugins.Plugins
    redactor: Redactor
    clock: Callable[[], datetime]
    selected: Callable[[Endpoint], bool]
    hook_runner: HookRunner | None

    @property
    def watched(self) -> tuple[Endpoint, ...]:
        """The endpoints that are probed, in the order of the configuration."""
        return tuple(filter(self.selected, self.compiled.endpoints))

    def make_anew(self, fresh: Compiled) -> plugins.Plugins:
        """Make the plug-ins of a changed configuration; those that did not change are kept."""
        return plugins.remake_plugins(
            fresh,
            before=self.compiled,
            known=self.made,
            clock=self.clock,
            mask=self.redactor.mask,
            hook_runner=self.hook_runner,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Who goes on under the changed configuration."""

    engine: Engine
    pipeline: Pipeline
    scheduler: Scheduler
    actuator: Actuator
    dispatch: Dispatch
    metrics: Metrics


class Reloads:
    """Reloads one after the other; when it is closed, the one under way has ended."""

    def __init__(self, setup: Setup, load: Callable[[], Compiled], parts: Parts) -> None:
        self.load = load
        self._setup = setup
        self._parts = parts
        self._turn = asyncio.Lock()
        self._closing = False

    async def close(self) -> None:
        """Let the reload under way end, and begin no other."""
        self._closing = True
        async with self._turn:
            return

    async def reload(self) -> tuple[str, ...]:
        """Take over the changed configuration, all or nothing; give what was wrong with it."""
        async with self._turn:
            if self._closing:
                return ("the monitor is stopping",)

            try:
                fresh = await asyncio.to_thread(self.load)
                made = self._setup.make_anew(fresh)
            except ConfigError as error:
                return self._refuse(tuple(str(problem) for problem in error.problems))
            except (OSError, ValueError) as error:
                return self._refuse((f"what is configured cannot be set up: {error}",))

            await self._take_over(fresh, made)
            self._parts.metrics.reloaded(successful=True, now=self._setup.clock())
            _log.info("reloaded", endpoints=len(fresh.endpoints))

        return ()

    def _refuse(self, problems: tuple[str, ...]) -> tuple[str, ...]:
        self._parts.metrics.reloaded(successful=False, now=self._setup.clock())
        _log.error("reload_refused", problems=problems)

        return problems

    async def _take_over(self, fresh: Compiled, made: plugins.Plugins) -> None:
        """Replace everything in one go, then close what is no longer needed."""
        setup, parts = self._setup, self._parts
        old, setup.compiled = setup.compiled, fresh
        old_plugins, setup.made = setup.made, made
        setup.redactor.learn(fresh.secrets)
        for key, before, after in (
            ("store", old.store, fresh.store),
            ("web.listen", (old.web.host, old.web.port), (fresh.web.host, fresh.web.port)),
        ):
            if before != after:
                _log.warning("change_needs_a_restart", key=key)

        parts.pipeline.probes = made.probes
        parts.pipeline.witnesses = made.witnesses
        parts.pipeline.record(parts.engine.adopt(fresh.endpoints, fresh.directory, setup.clock()))
        parts.scheduler.watch(setup.watched)
        await parts.actuator.replace(made.hooks, fresh.directory)
        await parts.dispatch.replace(made.notifiers)

        kept = {id(plugin) for plugin in made}
        await plugins.close_all(one for one in old_plugins if id(one) not in kept)
