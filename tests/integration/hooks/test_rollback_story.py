"""From the first failure to the proof of recovery: engine, store, actuator and a real command."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from monitor.actuator import Actuator
from monitor.core.engine import Conditions, Engine
from monitor.core.model.deploy import DeployKind, DeployState
from monitor.core.model.endpoint import Check, Endpoint, HealthRule, InARow, Severity, Signal
from monitor.core.model.observation import Observation
from monitor.core.model.rollback import Blocked, Mode, RollbackState, StepState
from monitor.core.model.service import (
    Directory,
    LevelPlan,
    RollbackPolicy,
    Service,
    StepPlan,
    VersionSource,
)
from monitor.hooks.command import CommandHook, CommandOptions, make_hook
from monitor.runner import HookRunner
from monitor.store import Store
from monitor.store.journal import Journal
from tests.support.hook_runner import CONFIG, runner_here
from tests.support.hooks import make_context, write_program

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.core.model.changes import Changes
    from monitor.core.model.rollback import Rollback
    from monitor.hooks.hook import Hook

EVERY = timedelta(seconds=10)
RESTORE = (
    "import json, os, sys\n"
    "told = json.load(sys.stdin)\n"
    "with open('restored', 'a') as f: f.write(told['from_version'] + '\\n')\n"
    "print('restoring')\n"
)


def make_endpoint() -> Endpoint:
    check = Check(
        id="api.health",
        endpoint="api",
        service="shop",
        signal=Signal.HEALTH,
        rule=HealthRule(expectations=()),
        severity=Severity.CRITICAL,
        failure_threshold=InARow(count=3),
        success_threshold=2,
        fingerprint="f",
    )

    return Endpoint(
        name="api",
        service="shop",
        kind="url",
        target="http://shop.test/",
        every=EVERY,
        retry_every=EVERY,
        timeout=EVERY,
        checks=(check,),
    )


def make_directory(mode: Mode) -> Directory:
    policy = RollbackPolicy(
        mode=mode,
        triggers=("api.health",),
        levels=(LevelPlan(steps=(StepPlan(number=1, kind="command"),)),),
        modes={},
    )
    service = Service(
        name="shop",
        version=VersionSource(endpoint="api", header="x-release"),
        rollback=policy,
    )

    return Directory(services={"shop": service}, environment="production")


@dataclass
class Process:
    """One process of the monitor over a store: what it sees is told, what it does is real."""

    store: Store
    engine: Engine
    journal: Journal
    actuator: Actuator
    clock: Clock

    async def watch(self, answers: str, version: str) -> None:
        """Take one answer each ten seconds: `P` is a 200, `F` a 500, both with their version."""
        endpoint = self.engine.endpoints["api"]
        for answer in answers:
            self.clock.now += EVERY
            observation = Observation(
                at=self.clock.now,
                duration=timedelta(milliseconds=20),
                status=200 if answer == "P" else 500,
                headers=(("x-release", version),),
                url="http://shop.test/",
            )
            changes = self.engine.take(endpoint, observation, scheduled=True, now=self.clock.now)
            await self.journal.now(changes)
            self.actuator.wake()

    async def acted(self) -> Rollback:
        """Wait until nothing is executing."""
        async with asyncio.timeout(20):
            while any(
                one.state is RollbackState.EXECUTING
                for one in self.engine.situation.rollbacks.values()
            ):
                await asyncio.sleep(0.01)

        return self.newest

    @property
    def newest(self) -> Rollback:
        return self.engine.situation.rollbacks_of("shop")[-1]

    async def close(self, grace: timedelta = timedelta(seconds=10)) -> None:
        await self.actuator.stop(grace)
        await self.journal.close()
        await self.store.close()


@dataclass
class Clock:
    now: datetime = datetime(2026, 1, 5, 12, tzinfo=UTC)


async def start(
    folder: Path, clock: Clock, mode: Mode = Mode.AUTOMATIC, hook: Hook | None = None
) -> Process:
    store = await Store.open(folder / "monitor.db", holder="test")
    directory = make_directory(mode)
    situation = await store.load()
    engine = Engine(
        endpoints=[make_endpoint()],
        directory=directory,
        situation=situation,
        mask=str,
        conditions=lambda: Conditions(store_works=journal.error is None),
    )
    journal = Journal(store.commit)

    async def record(changes: Changes) -> None:
        await journal.now(engine.absorb(changes, clock.now))

    options = CommandOptions.model_validate(["./hook.py"], context={"base": folder})
    actuator = Actuator(
        hooks={"shop": [hook or CommandHook(options, make_context())]},
        directory=directory,
        situation=situation,
        record=record,
        clock=lambda: clock.now,
        mask=str,
        allowed=lambda rollback: engine.still_allowed(rollback, clock.now),
    )
    await actuator.recover()
    actuator.start()

    return Process(store=store, engine=engine, journal=journal, actuator=actuator, clock=clock)


async def test_a_bad_deploy_is_rolled_back_once_and_recovery_is_proven(tmp_path: Path) -> None:
    write_program(tmp_path, RESTORE)
    process = await start(tmp_path, Clock())
    await process.watch("PPPP", "v1")
    await process.watch("FFF", "v2")
    rollback = await process.acted()
    assert rollback.state is RollbackState.VERIFYING

    await process.watch("PP", "v1")
    await process.watch("PPP", "v1")
    situation = process.engine.situation
    incident = situation.incidents[rollback.incident]
    events = [entry.event for entry in situation.timelines[incident.id]]
    live = situation.current_deploy("shop")
    await process.close()

    assert process.newest.state is RollbackState.RECOVERED
    assert (tmp_path / "restored").read_text() == "v2\n"
    assert incident.resolved_at is not None
    assert incident.rollback_id == rollback.id
    assert events.index("opened") < events.index("rollback_executing")
    assert events.index("rollback_step_done") < events.index("rollback_recovered")
    assert live is not None
    assert (live.version, live.kind) == ("v1", DeployKind.ROLLBACK)


async def test_observe_runs_nothing(tmp_path: Path) -> None:
    write_program(tmp_path, RESTORE)
    process = await start(tmp_path, Clock(), Mode.OBSERVE)
    await process.watch("PPPP", "v1")
    await process.watch("FFFFF", "v2")
    await process.close()

    assert process.newest.blocked is Blocked.MODE
    assert not (tmp_path / "restored").exists()


async def test_without_a_deploy_nothing_is_rolled_back(tmp_path: Path) -> None:
    write_program(tmp_path, RESTORE)
    process = await start(tmp_path, Clock())
    await process.watch("PPPPFFFFF", "v1")
    await process.close()

    assert process.newest.blocked is Blocked.NO_DEPLOY
    assert not (tmp_path / "restored").exists()


async def test_a_started_deploy_is_waited_for(tmp_path: Path) -> None:
    write_program(tmp_path, RESTORE)
    process = await start(tmp_path, Clock())
    await process.watch("PPPP", "v1")
    await announce(process, DeployState.STARTED)
    await process.watch("FFFF", "v2")
    waiting = process.newest.blocked

    await announce(process, DeployState.FINISHED)
    process.actuator.wake()
    rollback = await process.acted()
    await process.close()

    assert waiting is Blocked.DEPLOY_IN_PROGRESS
    assert rollback.state is RollbackState.VERIFYING


async def announce(process: Process, state: DeployState) -> None:
    await process.journal.now(
        process.engine.announce(
            "shop", version="v2", kind=DeployKind.PLANNED, state=state, now=process.clock.now
        )
    )


async def test_a_hook_that_outlives_its_monitor_is_uncertain_and_never_repeated(
    tmp_path: Path,
) -> None:
    write_program(
        tmp_path,
        "import pathlib, time\n"
        "pathlib.Path('begun').touch()\n"
        "time.sleep(1)\n"
        "pathlib.Path('ended').touch()\n"
        "with open('runs', 'a') as f: f.write('run\\n')\n",
    )
    clock = Clock()
    process = await start(tmp_path, clock)
    await process.watch("PPPP", "v1")
    await process.watch("FFF", "v2")
    async with asyncio.timeout(30):
        while not (tmp_path / "begun").exists():
            await asyncio.sleep(0.01)
    await process.close(grace=timedelta(seconds=0.05))
    assert not (tmp_path / "ended").exists()

    again = await start(tmp_path, clock)
    rollback = await again.acted()
    await again.watch("FFFFF", "v2")
    (step,) = again.engine.situation.steps_of(rollback.id)
    async with asyncio.timeout(30):
        while not (tmp_path / "runs").exists():
            await asyncio.sleep(0.01)
    await again.close()

    assert again.newest == replace(rollback, state=RollbackState.UNCERTAIN)
    assert step.state is StepState.UNCERTAIN
    assert (tmp_path / "runs").read_text() == "run\n"


async def test_a_failed_hook_latches_until_the_next_deploy(tmp_path: Path) -> None:
    write_program(tmp_path, "raise SystemExit(3)")
    process = await start(tmp_path, Clock())
    await process.watch("PPPP", "v1")
    await process.watch("FFF", "v2")
    failed = await process.acted()
    await process.watch("FFFPPP", "v2")
    await process.watch("FFF", "v2")
    second = process.newest
    await process.close()

    assert failed.state is RollbackState.FAILED
    assert "exit 3" in failed.detail
    assert second.id != failed.id
    assert second.blocked is Blocked.ALREADY_ROLLED_BACK


async def test_a_step_at_the_hook_runner_outlives_its_monitor_and_its_result_is_known(
    tmp_path: Path,
) -> None:
    write_program(
        tmp_path,
        "import pathlib, time\n"
        "pathlib.Path('begun').touch()\n"
        "while not pathlib.Path('free').exists(): time.sleep(0.01)\n"
        "with open('runs', 'a') as f: f.write('run\\n')\n",
    )
    (tmp_path / "monitor.yml").write_text(CONFIG)
    (tmp_path / "monitor.yml").chmod(0o644)
    clock = Clock()
    options = CommandOptions.model_validate(
        {"run": ["./hook.py", "--back"], "env": {"TOKEN": "x"}}, context={"base": tmp_path}
    )
    with runner_here(tmp_path) as runner:
        hook = make_hook(options, make_context(hook_runner=HookRunner(runner.path)))
        process = await start(tmp_path, clock, hook=hook)
        await process.watch("PPPP", "v1")
        await process.watch("FFF", "v2")
        async with asyncio.timeout(30):
            while not (tmp_path / "begun").exists():
                await asyncio.sleep(0.01)
        await process.close(grace=timedelta(seconds=0.05))

        again = await start(tmp_path, clock, hook=hook)
        meanwhile = again.newest.state
        (tmp_path / "free").touch()
        rollback = await again.acted()
        (step,) = again.engine.situation.steps_of(rollback.id)
        await again.close()

    assert meanwhile is RollbackState.EXECUTING
    assert rollback.state is RollbackState.VERIFYING
    assert (step.state, step.detail) == (StepState.DONE, "exit 0")
    assert (tmp_path / "runs").read_text() == "run\n"
