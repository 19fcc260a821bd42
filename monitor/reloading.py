"""Takes a changed configuration over while everything goes on: all or nothing, one at a time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from monitor import plugins
from monitor.config import ConfigError, find_doubts
from monitor.config.difference import Difference, Reloaded, compare, few
from monitor.logs import Log

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from monitor.actuator import Actuator
    from monitor.config import Compiled
    from monitor.core.engine import Engine
    from monitor.core.model.endpoint import Endpoint
    from monitor.dispatch import Dispatch
    from monitor.evidence import Evidence
    from monitor.metrics import Metrics
    from monitor.options import Redactor
    from monitor.pipeline import Pipeline
    from monitor.scheduler import Scheduler
    from monitor.slack_socket import SlackSockets

_log = Log()


@dataclass(slots=True, kw_only=True)
class Setup:
    """What is configured now and what was made from it: a reload replaces both in one go.

    `started` is what was configured when the process began.
    """

    compiled: Compiled
    made: plugins.Plugins
    around: plugins.Surroundings
    redactor: Redactor
    selected: Callable[[Endpoint], bool]
    started: Compiled

    @property
    def now(self) -> datetime:
        """The time, UTC."""
        return self.around.clock()

    @property
    def needs_restart(self) -> tuple[str, ...]:
        """The keys that were changed since the start, and are taken over by a restart only."""
        old, new = self.started, self.compiled
        pairs = (
            ("store", old.store, new.store),
            ("web.listen", (old.web.host, old.web.port), (new.web.host, new.web.port)),
        )

        return tuple(key for key, before, after in pairs if before != after)

    @property
    def watched(self) -> tuple[Endpoint, ...]:
        """The endpoints that are probed, in the order of the configuration."""
        return tuple(filter(self.selected, self.compiled.endpoints))

    def make_anew(self, fresh: Compiled) -> plugins.Plugins:
        """Make the plug-ins of a changed configuration; those that did not change are kept."""
        return plugins.remake_plugins(fresh, self.around, before=self.compiled, known=self.made)


class Parts(Protocol):
    """Who goes on under the changed configuration."""

    engine: Engine
    pipeline: Pipeline
    scheduler: Scheduler
    actuator: Actuator
    dispatch: Dispatch
    evidence: Evidence
    metrics: Metrics
    sockets: SlackSockets


_STOPPING: Final = Reloaded(problems=("the monitor is stopping",))
_BROKEN: Final = Reloaded(
    problems=("the reload broke off inside, the log of the monitor has more",)
)


class Reloads:
    """Reloads one after the other, for whoever asks in whatever way.

    Who asks while one is under way waits for the next, which all of them share: however many ask
    at once, the configuration is read twice at most, and the last of them sees it as it is then.
    `on_begin` and `on_end` are told of each.
    """

    def __init__(self, setup: Setup, load: Callable[[], Compiled], parts: Parts) -> None:
        self.on_begin: Callable[[], None] = lambda: None
        self.on_end: Callable[[Reloaded], None] = lambda _reloaded: None
        self._load = load
        self._setup = setup
        self._parts = parts
        self._turn = asyncio.Lock()
        self._next: asyncio.Task[Reloaded] | None = None
        self._tasks: set[asyncio.Task[Reloaded]] = set()
        self._closing = False
        self._last = Reloaded()
        self._doubts: tuple[str, ...] = ()

    @property
    def trouble(self) -> list[str]:
        """What people should know: that the last reload was refused, or a restart is due."""
        mask = self._setup.redactor.mask
        refused = [mask(f"the last reload was refused: {why}") for why in self._last.problems[:1]]
        due = [f"{key} was changed: a restart takes it over" for key in self._setup.needs_restart]

        return refused + due

    def tell_doubts(self) -> None:
        """Log what is likely to be regretted in the configuration as it is now, each once."""
        before, self._doubts = self._doubts, find_doubts(self._setup.compiled)
        for doubt in self._doubts:
            if doubt not in before:
                _log.warning("configuration_is_doubtful", doubt=doubt)

    async def close(self) -> None:
        """Let the reload under way end, and begin no other."""
        self._closing = True
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def reload(self) -> Reloaded:
        """Take over the changed configuration, all or nothing."""
        return await asyncio.shield(self.ask())

    def ask(self) -> asyncio.Task[Reloaded]:
        """Give the reload that is to begin, which ends even if nobody waits."""
        if self._next is None:
            self._next = asyncio.create_task(self._run(), name="reload")
            self._tasks.add(self._next)
            self._next.add_done_callback(self._tasks.discard)

        return self._next

    async def _run(self) -> Reloaded:
        async with self._turn:
            self._next = None  # who asks from now on may have changed what is being read
            if self._closing:
                return _STOPPING

            self.on_begin()
            try:
                outcome = await self._reload()
            except Exception:  # noqa: BLE001 - a bug of ours leaves what was configured before
                _log.exception("reload_broke")
                outcome = _BROKEN
            self._last = outcome
            self._parts.metrics.reloaded(successful=not outcome.problems, now=self._setup.now)
            self.on_end(outcome)

        return outcome

    async def _reload(self) -> Reloaded:
        try:
            fresh, difference = await asyncio.to_thread(self._read)
            made = self._setup.make_anew(fresh)
        except ConfigError as error:
            return _refuse(tuple(str(problem) for problem in error.problems))
        except (OSError, ValueError) as error:
            return _refuse((f"what is configured cannot be set up: {error}",))

        await self._take_over(fresh, made)
        told = self._mask(difference)
        _log.info("reloaded", endpoints=len(fresh.endpoints), **_fields(told))

        return Reloaded(difference=told, needs_restart=self._setup.needs_restart)

    def _read(self) -> tuple[Compiled, Difference]:
        fresh = self._load()

        return fresh, compare(self._setup.compiled, fresh)

    def _mask(self, difference: Difference) -> Difference:
        """Mask what only the other configuration knows to be a secret."""
        mask = self._setup.redactor.mask

        return Difference(
            added=tuple(map(mask, difference.added)),
            removed=tuple(map(mask, difference.removed)),
            changed=tuple(map(mask, difference.changed)),
        )

    async def _take_over(self, fresh: Compiled, made: plugins.Plugins) -> None:
        """Replace everything in one go, then close what is no longer needed."""
        setup, parts = self._setup, self._parts
        setup.compiled = fresh
        old_plugins, setup.made = setup.made, made
        setup.redactor.learn(fresh.secrets)
        for key in setup.needs_restart:
            _log.warning("change_needs_a_restart", key=key)
        self.tell_doubts()

        parts.pipeline.replace(made.probes, made.witnesses)
        parts.pipeline.record(parts.engine.adopt(fresh.endpoints, fresh.directory, setup.now))
        parts.scheduler.watch(setup.watched)
        parts.evidence.replace(fresh.evidence)
        await parts.actuator.replace(made.hooks, fresh.directory)
        await parts.dispatch.replace(made.notifiers)
        await parts.sockets.replace()

        kept = {id(plugin) for plugin in made}
        await plugins.close_all(one for one in old_plugins if id(one) not in kept)


def _refuse(problems: tuple[str, ...]) -> Reloaded:
    _log.error("reload_refused", problems="; ".join(few(problems)))

    return Reloaded(problems=problems)


def _fields(difference: Difference) -> dict[str, str]:
    """Give the fields of the log line; that nothing changed is said as well."""
    fields = {
        "added": difference.added,
        "removed": difference.removed,
        "changed": difference.changed,
    }

    return {name: "; ".join(lines) for name, lines in fields.items() if lines} or {
        "changed": "nothing"
    }
