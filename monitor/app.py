"""The composition root: builds everything from the configuration, and drains it at the end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from monitor import operations, plugins
from monitor.actuator import Actuator
from monitor.background import Background, drain
from monitor.chores import Chores
from monitor.clicks import Clicks
from monitor.clock import Clock, ClockWatch
from monitor.core.engine import Conditions, Engine
from monitor.dispatch import Dispatch
from monitor.evidence import Evidence
from monitor.hearing import Hearing
from monitor.metrics import Metrics
from monitor.names import Resolver
from monitor.operations import Desk
from monitor.options import Redactor
from monitor.pipeline import Pipeline, probe_slots
from monitor.reloading import Reloads, Setup
from monitor.restore import open_store, restore_windows, start_clock
from monitor.runner import HookRunner
from monitor.scheduler import Scheduler
from monitor.slack_socket import SlackSockets
from monitor.store.journal import Journal
from monitor.upkeep import Upkeep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from monitor.config import Compiled, WebSettings
    from monitor.config.difference import Reloaded
    from monitor.core.model.changes import Changes
    from monitor.core.model.endpoint import Endpoint
    from monitor.core.situation import Situation
    from monitor.store import MemoryStore, Store

DRAIN: Final = timedelta(seconds=10)
"""How long running probes, notices and a hook get when the daemon is told to stop."""

KILL_SWITCH: Final = "rollbacks-off"
"""A file of this name beside the store keeps every rollback from having an effect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How this process was asked to behave; the configuration says everything else.

    `oneshot` marks a run that ends by itself: its counts come from the store, so it does not warm
    up. `holder` is what another process is told that finds the store taken. `selected` says which
    endpoints are probed; the others keep what is known of them. One that only `looks` changes
    nothing about the store; a `patient` one does without a store that cannot be written yet.
    `hook_runner` is the socket of the hook runner, which runs commands in our place, and
    `probe_runner` that of the one for commands of probes.
    """

    holder: str
    oneshot: bool = False
    selected: Callable[[Endpoint], bool] = lambda _endpoint: True
    notify: bool = True
    hooks: bool = True
    state: bool = True
    looks: bool = False
    patient: bool = True
    hook_runner: Path | None = None
    probe_runner: Path | None = None


class Monitor:
    """Everything that runs, wired together: `open` builds, `start` runs and `close` drains it."""

    def __init__(
        self,
        *,
        compiled: Compiled,
        load: Callable[[], Compiled],
        options: RunOptions,
        store: Store | MemoryStore,
        situation: Situation,
        clock: Clock,
    ) -> None:
        self.options = options
        self.redactor = Redactor(compiled.secrets)
        self.now = clock
        self._store = store
        self._background = Background()
        self.crashed = self._background.crashed
        self.engine = Engine(
            endpoints=compiled.endpoints,
            directory=compiled.directory,
            situation=situation,
            mask=self.redactor.mask,
            conditions=self._conditions,
        )
        self.metrics = Metrics(self.engine)
        self.journal = Journal(
            store.commit,
            reattach=store.reattach,
            everything=situation.everything,
            problem=store.problem,
        )
        self.scheduler = Scheduler(
            probe=self._probe, settled=self.engine.settled, meter=self.metrics
        )
        self.clock_watch = ClockWatch(
            clock,
            stalled_since=self.scheduler.stalled_since,
            on_set=self._set_clock,
            on_absence=self._note_absence,
        )
        self.hearing = self._make_hearing()
        self._commands, self._errands = plugins.make_commands(options.probe_runner)
        around = plugins.Surroundings(
            clock=clock,
            mask=self.redactor.mask,
            resolver=Resolver(),
            commands=self._commands,
            errands=self._errands,
            heard=self.hearing.heard,
            hook_runner=HookRunner(options.hook_runner) if options.hook_runner else None,
        )
        made = plugins.make_plugins(compiled, around)
        self._setup = Setup(
            compiled=compiled,
            made=made,
            around=around,
            redactor=self.redactor,
            selected=options.selected,
            started=compiled,
        )
        self._first_round = frozenset(endpoint.name for endpoint in self.watched)
        self.dispatch = self._make_dispatch(made)
        self.actuator = self._make_actuator(made)
        self.evidence = self._make_evidence()
        self.pipeline = self._make_pipeline(made)
        self.chores = self._make_chores()
        self.clicks = Clicks(lambda: self.desk, lambda: self.compiled.notifiers, plugins.USER_AGENT)
        self.sockets = SlackSockets(self.clicks, clock)
        self.reloads = Reloads(self._setup, load, self)

    @classmethod
    async def open(
        cls,
        load: Callable[[], Compiled],
        options: RunOptions,
        clock: Clock | None = None,
    ) -> Monitor:
        """Build a monitor from what `load` reads, and restore what the store remembers.

        Raises ConfigError, StoreHeld naming the holder, or StoreError.
        """

        def load_told() -> Compiled:
            compiled = load()
            return compiled if options.notify else _tell_nobody(compiled)

        compiled = load_told()
        store = await open_store(compiled.store, options)
        try:
            situation = await store.load()
            monitor = cls(
                compiled=compiled,
                load=load_told,
                options=options,
                store=store,
                situation=situation,
                clock=clock or start_clock(situation),
            )
            await restore_windows(monitor.engine, compiled.endpoints, store, monitor.now())
        except BaseException:
            await store.close()
            raise

        return monitor

    async def start(self) -> None:
        """Take up what an earlier process left, deliver and act; a daemon probes as well."""
        self.metrics.reloaded(successful=True, now=self.now())
        self.pipeline.record(
            self.engine.adopt(self.compiled.endpoints, self.compiled.directory, self.now())
        )
        self.hearing.begin()
        if (set_aside := self._store.set_aside) is not None:
            error = f"the store was corrupt and starts empty; what was in it is now {set_aside}"
            self.pipeline.record(self.engine.store_failed(error, self.now()))
        if self._store.problem is not None:  # a run that ends by itself may be over in a second
            self.chores.tell_of_store(self.now())
        if self.options.notify:
            self.dispatch.start()
            self._background.own(self._make_upkeep().run(), "upkeep")
        if self.options.hooks:
            await self.actuator.recover()
            self.actuator.start()
        self._background.own(self.chores.run(), "chores")
        self._background.own(self.chores.prune(), "pruning")
        self._background.own(self.evidence.run(), "evidence")
        if self.options.oneshot:
            return

        self.reloads.tell_doubts()
        self.scheduler.watch(self.watched)
        self._background.own(self.scheduler.run(), "scheduler")
        self.chores.plan()
        self.sockets.start()

    async def close(self, grace: timedelta = DRAIN, hurry: asyncio.Event | None = None) -> None:
        """Drain: running probes finish or are cancelled, a hook is waited for, all is written.

        `hurry` cuts the waiting short, at whatever moment it is set.
        """
        hurry = hurry or asyncio.Event()
        await self.reloads.close()
        await self.sockets.stop()
        await drain(self.scheduler.stop, grace, hurry)
        self.chores.stop()
        await drain(self.evidence.stop, grace, hurry)
        await self._background.stop()
        await drain(self.actuator.stop, grace, hurry)
        await self.dispatch.stop()
        await plugins.close_all([*self._setup.made, self._commands, self._errands])
        try:
            await self.journal.close()
        finally:
            await self._store.close()

    @property
    def compiled(self) -> Compiled:
        """The configuration as it is now."""
        return self._setup.compiled

    @property
    def watched(self) -> tuple[Endpoint, ...]:
        """The endpoints that are probed, in the order of the configuration."""
        return self._setup.watched

    @property
    def ready(self) -> bool:
        """Whether the first round is done: what a reload adds later does not take it back."""
        latest, known = self.engine.latest, self.engine.endpoints

        return all(name in latest or name not in known for name in self._first_round)

    @property
    def web(self) -> WebSettings:
        """Who may use the HTTP interface now; its address is that of the start."""
        return self.compiled.web

    @property
    def sees(self) -> bool:
        """Whether the network was there when it was last in doubt."""
        return self.pipeline.sees

    @property
    def store_works(self) -> bool:
        """Whether the last commit succeeded."""
        return self.journal.error is None

    @property
    def kill_switch(self) -> Path:
        """The file that, while it exists, keeps every rollback from having an effect.

        It lies beside the store that is in use, also where a reload names another.
        """
        return self._setup.started.store.with_name(KILL_SWITCH)

    async def tell_control(self, control: Path) -> None:
        """Let commands that know the store find the socket on which this process listens."""
        await self._store.tell_control(control)

    def metrics_parts(self, *, as_openmetrics: bool) -> Iterator[bytes]:
        """Write the page that Prometheus reads, so that probes go on between its parts."""
        return self.metrics.parts(
            now=self.now(),
            sees=self.sees,
            store_works=self.store_works,
            rollbacks_off=self.kill_switch.exists(),
            as_openmetrics=as_openmetrics,
        )

    def token_refused(self) -> None:
        """Count a wrong token that was given over HTTP."""
        self.metrics.token_refused()

    def status(self) -> dict[str, Any]:
        """Give what is failing now, open incidents, rollbacks and deploys, as JSON."""
        switch = self.kill_switch if self.kill_switch.exists() else None

        return {
            **operations.report_status(self.engine, self.now(), rollbacks_off=switch),
            "configuration": self.reloads.trouble,
        }

    @property
    def desk(self) -> Desk:
        """Where acts of people are taken."""
        return Desk(
            engine=self.engine,
            journal=self.journal,
            record=self.pipeline.record,
            clock=self.now,
            archive=self._store,
        )

    async def reload(self) -> Reloaded:
        """Take over the changed configuration, all or nothing."""
        return await self.reloads.reload()

    def _make_hearing(self) -> Hearing:
        return Hearing(
            keys=lambda: self.compiled.ping_keys,
            engine=self.engine,
            journal=self.journal,
            clock=self.now,
            clock_watch=self.clock_watch,
            mask=self.redactor.mask,
            record=self._record,
            hasten=self.scheduler.hasten,
            listens=not self.options.oneshot,
        )

    def _make_dispatch(self, made: plugins.Plugins) -> Dispatch:
        return Dispatch(
            notifiers=made.notifiers,
            situation=self.engine.situation,
            record=self.journal.now,
            clock=self.now,
            on_receipt=self.metrics.delivered,
            directory=lambda: self.engine.directory,
        )

    def _make_upkeep(self) -> Upkeep:
        return Upkeep(
            notifiers=lambda: self._setup.made.notifiers,
            situation=self.engine.situation,
            clock=self.now,
        )

    def _make_actuator(self, made: plugins.Plugins) -> Actuator:
        return Actuator(
            hooks=made.hooks,
            directory=self.compiled.directory,
            situation=self.engine.situation,
            record=self._record_rollback,
            clock=self.now,
            mask=self.redactor.mask,
            allowed=lambda rollback: self.engine.still_allowed(rollback, self.now()),
        )

    def _make_evidence(self) -> Evidence:
        return Evidence(
            named=self.compiled.evidence,
            commands=self._errands,
            situation=self.engine.situation,
            act=lambda step: self._record(self.engine.act(step, self.now())),
            clock=self.now,
            mask=self.redactor.mask,
        )

    def _make_pipeline(self, made: plugins.Plugins) -> Pipeline:
        return Pipeline(
            engine=self.engine,
            probes=made.probes,
            witnesses=made.witnesses,
            journal=self.journal,
            clock=self.now,
            disturbance=self.clock_watch.disturbance,
            wake=self._wake,
            meter=self.metrics,
            slots=probe_slots(),
        )

    def _make_chores(self) -> Chores:
        return Chores(
            engine=self.engine,
            journal=self.journal,
            store=self._store,
            record=self.pipeline.record,
            clock=self.now,
            clock_watch=self.clock_watch,
            retention=lambda: self.compiled.retention,
            kill_switch=lambda: self.kill_switch,
        )

    async def _probe(self, endpoint: Endpoint, scheduled: bool) -> None:
        await self.pipeline.run(endpoint, scheduled)

    def _record(self, changes: Changes) -> None:
        self.pipeline.record(changes)

    def _wake(self) -> None:
        self.dispatch.wake()
        self.actuator.wake()
        self.evidence.wake()

    def _conditions(self) -> Conditions:
        return Conditions(
            kill_switch=self.kill_switch.exists(),
            store_works=self.store_works,
            sees=self.sees,
            hooks=self.options.hooks,
            oneshot=self.options.oneshot,
        )

    def _set_clock(self, by: timedelta) -> None:
        """Let all that is known go on by a clock that was set.

        All records have only moved along: none of them is a turn to be logged or
        counted, and nothing is due that was not. That the clock was set is in the log already.
        """
        self.journal.soon(self.engine.set_clock(by, self.now()))
        self.chores.plan_anew()
        self.metrics.clock_jumped()

    def _note_absence(self) -> None:
        self.pipeline.record(self.engine.note_absence(self.now()))

    async def _record_rollback(self, changes: Changes) -> None:
        """Make a turn of a rollback durable, and let people know of it."""
        told = self.engine.absorb(changes, self.now())
        self.metrics.changed(told)
        try:
            await self.journal.now(told)
        finally:
            self.dispatch.wake()


def _tell_nobody(compiled: Compiled) -> Compiled:
    """Take the notifiers away, so that nothing is queued; a later run tells what still is so."""
    directory = replace(compiled.directory, notifiers=())

    return replace(compiled, directory=directory, notifiers={})
