"""Thresholds and windows agree with a slow and obvious reference, whatever is seen and done."""

from __future__ import annotations

import asyncio
import os
import tempfile
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from monitor.core.engine import Engine
from monitor.core.expectations import compile_expectation
from monitor.core.model.deploy import DeployKind, DeployState
from monitor.core.model.endpoint import (
    Baseline,
    Check,
    Endpoint,
    HealthRule,
    InARow,
    KOfN,
    LatencyRule,
    OnInsufficient,
    RateRule,
    Severity,
    Signal,
    ValueWindowRule,
)
from monitor.core.model.observation import Code, Fault, Observation
from monitor.core.situation import Situation
from monitor.restore import restore_windows
from monitor.store import MemoryStore, Store
from monitor.store.codec import decode, encode
from tests.support import reference
from tests.support.judging import NOON
from tests.support.reference import Probe, Reference, Threshold
from tests.support.watching import make_directory

if TYPE_CHECKING:
    from datetime import datetime

    from monitor.core.model.changes import Changes
    from monitor.core.model.endpoint import FailureThreshold, Rule

LONG = int(os.environ.get("REFERENCE_EXAMPLES") or 0)
MINUTE = timedelta(minutes=1)
WINDOW = 2 * MINUTE
OVER = 40 * MINUTE
RATE_OVER = 5 * MINUTE
TIMEOUT = timedelta(seconds=1)
LIMIT = 998  # between an answer that was given up a little early, and the timeout

Seen = int | Literal["500", "refused", "timeout", "own"]
"""An answer after so many milliseconds, which is its value as well; or what came instead."""


@dataclass(frozen=True)
class Probes:
    """So many probes in turn of these, so many seconds apart.

    After each scheduled one come so many `retries`. With `runs` each is made by a process of its
    own, as by cron.
    """

    seen: tuple[Seen, ...]
    times: int
    apart: int
    retries: int = 0
    runs: bool = False


@dataclass(frozen=True)
class Restart:
    """The process ends, and another begins with what was written down, so much later."""

    seconds: int


@dataclass(frozen=True)
class Reload:
    """The configuration changes: its thresholds, or with `anew` what is asked."""

    thresholds: dict[str, Threshold]
    anew: bool


@dataclass(frozen=True)
class Marker:
    """A deploy is announced."""

    version: str
    state: DeployState


@dataclass(frozen=True)
class Setting:
    """How the checks are configured at first."""

    thresholds: dict[str, Threshold]
    least: int
    short: OnInsufficient
    rank: int


Step = Probes | Restart | Reload | Marker

NAMES = ("health", "failure_rate", "latency.p95", "latency.max", "value")
THRESHOLDS = st.builds(
    lambda fails, more, passes: Threshold(
        fails=fails, passes=passes, among=None if more is None else fails + more
    ),
    st.sampled_from([1, 1, 2, 3]),
    st.sampled_from([None, None, 0, 1, 2]),
    st.integers(1, 2),
)
ALL_THRESHOLDS = st.fixed_dictionaries(dict.fromkeys(NAMES, THRESHOLDS))
SEEN = st.sampled_from([100, 110, 120, 150, 170, 300, 999, "500", "refused", "timeout", "own"])
PROBES = st.builds(
    Probes,
    seen=st.lists(SEEN, min_size=1, max_size=4).map(tuple),
    times=st.sampled_from([1, 1, 2, 3, 5, 10, 20]),
    apart=st.sampled_from([10, 30, 30, 30, 60, 130, 700]),
    retries=st.sampled_from([0, 0, 1, 3]),
    runs=st.sampled_from([False, False, False, True]),
)
STEADY = st.builds(
    Probes,
    seen=st.sampled_from([100, 110, 150]).map(lambda took: (took,)),
    times=st.integers(40, 70),
    apart=st.sampled_from([30, 40]),
)
STEPS = st.lists(
    st.one_of(
        PROBES,
        PROBES,
        STEADY,
        st.builds(Restart, st.sampled_from([0, 1, 20, 200])),
        st.builds(Reload, ALL_THRESHOLDS, st.booleans()),
        st.builds(
            Marker,
            st.sampled_from(["v2", "v3"]),
            st.sampled_from([DeployState.STARTED, DeployState.FINISHED, DeployState.FAILED]),
        ),
    ),
    min_size=2,
    max_size=12,
)
SETTINGS = st.builds(
    Setting,
    ALL_THRESHOLDS,
    least=st.integers(1, 3),
    short=st.sampled_from(OnInsufficient),
    rank=st.sampled_from([50, 95, 100]),
)


class Pair:
    """The engine and the reference side by side."""

    def __init__(self, setting: Setting, store: Store | MemoryStore) -> None:
        self.setting = setting
        self.thresholds = dict(setting.thresholds)
        self.meaning = 0
        self.store = store
        self.now: datetime = NOON
        self.engine = self._begin(Situation())
        self.reference = _refer(setting)

    async def go(self, step: Step) -> None:
        """Let both live through a step; compare them after each probe."""
        match step:
            case Probes():
                for number in range(step.times * len(step.seen)):
                    self.now += timedelta(seconds=step.apart)
                    if step.runs:
                        await self._begin_anew()
                    scheduled = number % (step.retries + 1) == 0
                    await self._probe(step.seen[number % len(step.seen)], scheduled)
                    self.compare()
            case Restart(seconds=seconds):
                self.now += timedelta(seconds=seconds)
                await self._begin_anew()
                self.compare()
            case Reload():
                await self._reload(step)
                self.compare()
            case Marker():
                await self._announce(step)

    async def _begin_anew(self) -> None:
        await self.restart()
        self.reference.note_restart(self.now)

    async def restart(self) -> None:
        """Begin anew with the stored form of everything."""
        known = self.engine.situation.everything()
        situation = Situation()
        situation.apply(
            replace(
                known,
                states=tuple(decode(type(one), encode(one)) for one in known.states),
                deploys=tuple(decode(type(one), encode(one)) for one in known.deploys),
                incidents=tuple(decode(type(one), encode(one)) for one in known.incidents),
            )
        )
        await self._take_up(situation)

    async def _take_up(self, situation: Situation) -> None:
        self.engine = self._begin(situation)
        endpoints = tuple(self.engine.endpoints.values())
        await restore_windows(self.engine, endpoints, self.store, self.now)
        await self._keep(self.engine.adopt(endpoints, make_directory(), self.now))

    def compare(self) -> None:
        """Demand that both say the same of each check."""
        for name, check in self.reference.checks().items():
            state = self.engine.situation.states.get(f"api.{name}")
            theirs = (
                (state.open, state.failing_since if state.open else None, bool(state.flapping))
                if state
                else (False, None, False)
            )
            assert theirs == (check.opened, check.failing_since, check.flapping), (name, self.now)

    async def _probe(self, seen: Seen, scheduled: bool) -> None:
        (endpoint,) = self.engine.endpoints.values()
        self.reference.take(_as_probe(seen, self.now, scheduled))
        observation = _observe(seen, self.now)
        now = self.now + observation.duration
        await self._keep(self.engine.take(endpoint, observation, scheduled=scheduled, now=now))

    async def _reload(self, step: Reload) -> None:
        for name, check in self.reference.checks().items():
            check.change_threshold(step.thresholds[name])
        if step.anew:
            self.meaning += 1
            self.reference.restart()
        self.thresholds = step.thresholds
        changes = self.engine.adopt((self._endpoint(),), make_directory(), self.now)
        await self._keep(changes)

    async def _announce(self, marker: Marker) -> None:
        """Announce a deploy; the reference only knows deploys that are new, and whether failed."""
        deploys = self.reference.deploys
        known = next((one for one in deploys if one.version == marker.version), None)
        if (known is None) is (marker.state is DeployState.FAILED):
            return

        if known is not None:
            known.failed = not known.replaced
        else:
            if marker.state is DeployState.FINISHED:
                for before in deploys:
                    before.replaced = not before.failed
            begun = marker.state is DeployState.STARTED
            deploys.append(reference.Deploy(marker.version, self.now, begun))
        changes = self.engine.announce(
            "shop",
            version=marker.version,
            kind=DeployKind.PLANNED,
            state=marker.state,
            now=self.now,
            id=marker.version,
        )
        await self._keep(changes)

    async def _keep(self, changes: Changes) -> None:
        await self.store.commit(changes)

    def _begin(self, situation: Situation) -> Engine:
        return Engine(
            endpoints=(self._endpoint(),),
            directory=make_directory(),
            situation=situation,
            mask=str,
        )

    def _endpoint(self) -> Endpoint:
        setting = self.setting
        (queue,) = compile_expectation({"json": "$.queue", "lt": 0.0}, "m.yml:1:1")
        usual = Baseline(factor=1.3, over=OVER, plus=timedelta())
        window: dict[str, Any] = {
            "window": WINDOW,
            "min_samples": setting.least,
            "on_insufficient": setting.short,
        }
        limit = timedelta(milliseconds=LIMIT)
        rules: dict[str, tuple[Signal, Rule]] = {
            "health": (Signal.HEALTH, HealthRule(expectations=())),
            "failure_rate": (
                Signal.RATE,
                RateRule(
                    of="api.health", limit=0.3, inclusive=False, over=RATE_OVER, min_samples=4
                ),
            ),
            "latency.p95": (
                Signal.LATENCY,
                LatencyRule(percentile=setting.rank, limit=limit, inclusive=False, **window),
            ),
            "latency.max": (
                Signal.LATENCY,
                LatencyRule(percentile=setting.rank, limit=usual, inclusive=False, **window),
            ),
            "value": (
                Signal.VALUE,
                ValueWindowRule(
                    expectation=queue,
                    percentile=setting.rank,
                    limit=replace(usual, plus=0.0),
                    **window,
                ),
            ),
        }

        return Endpoint(
            name="api",
            service="shop",
            kind="url",
            target="http://api.test/",
            every=timedelta(seconds=30),
            retry_every=timedelta(seconds=10),
            timeout=TIMEOUT,
            checks=tuple(self._check(name, signal, rule) for name, (signal, rule) in rules.items()),
        )

    def _check(self, name: str, signal: Signal, rule: Rule) -> Check:
        threshold = self.thresholds[name]

        return Check(
            id=f"api.{name}",
            endpoint="api",
            service="shop",
            signal=signal,
            rule=rule,
            severity=Severity.HIGH,
            failure_threshold=_threshold(threshold),
            success_threshold=threshold.passes,
            fingerprint=f"{name} {self.meaning}",
        )


class StoredPair(Pair):
    """The same over a real store, which is closed and opened again at each restart."""

    def __init__(self, setting: Setting, store: Store, path: Path) -> None:
        super().__init__(setting, store)
        self._path = path

    async def restart(self) -> None:
        await self.store.close()
        self.store = await Store.open(self._path, holder="test")
        await self._take_up(await self.store.load())


def _refer(setting: Setting) -> Reference:
    thresholds = {name: replace(one) for name, one in setting.thresholds.items()}

    def windows(name: str, limit: float | None) -> reference.Windows:
        return reference.Windows(
            check=reference.Check(thresholds[name]),
            length=WINDOW,
            rank=setting.rank,
            least=setting.least,
            short=setting.short.value,
            limit=limit,
            factor=1.3,
            over=OVER,
        )

    return Reference(
        health=reference.Check(thresholds["health"]),
        rate=reference.Rate(reference.Check(thresholds["failure_rate"]), RATE_OVER, 4, 0.3),
        windows={
            "latency.p95": windows("latency.p95", LIMIT),
            "latency.max": windows("latency.max", None),
            "value": windows("value", None),
        },
    )


def _threshold(threshold: Threshold) -> FailureThreshold:
    if threshold.among is None:
        return InARow(count=threshold.fails)

    return KOfN(k=threshold.fails, n=threshold.among)


def _as_probe(seen: Seen, at: datetime, scheduled: bool) -> Probe:
    answered = isinstance(seen, int)
    latency: float | None = seen if isinstance(seen, int) else None
    if seen == "timeout":
        latency = TIMEOUT / timedelta(milliseconds=1)

    return Probe(
        at=at,
        scheduled=scheduled,
        health="pass" if answered else "unknown" if seen == "own" else "fail",
        latency=latency,
        value=seen if isinstance(seen, int) else None,
        asks_latency=seen != "own",
        asks_value=answered,
    )


def _observe(seen: Seen, at: datetime) -> Observation:
    quick = timedelta(milliseconds=5)
    match seen:
        case int():
            took, body = timedelta(milliseconds=seen), f'{{"queue": {seen}}}'.encode()
            return Observation(at=at, duration=took, status=200, body=body)
        case "500":
            return Observation(at=at, duration=quick, status=500)
        case "timeout":
            # It was given up a little early, and counts as the whole timeout.
            fault = Fault(code=Code.TIMEOUT, message="no answer")
            return Observation(at=at, duration=TIMEOUT - quick, fault=fault)
        case "refused":
            fault = Fault(code=Code.CONNECTION_REFUSED, message="refused")
            return Observation(at=at, duration=quick, fault=fault)
        case "own":
            fault = Fault(code=Code.WITNESS, message="no witness answered", own=True)
            return Observation(at=at, duration=quick, fault=fault)


async def _live(setting: Setting, steps: list[Step]) -> Reference:
    pair = Pair(setting, MemoryStore())
    for step in steps:
        await pair.go(step)

    return pair.reference


async def _live_with_store(setting: Setting, steps: list[Step], path: Path) -> None:
    pair = StoredPair(setting, await Store.open(path, holder="test"), path)
    try:
        for step in steps:
            await pair.go(step)
        await pair.go(Restart(0))
        await pair.go(Probes((100, 999, "500"), 3, 30))
    finally:
        await pair.store.close()


FIRST = {name: Threshold(fails=1, passes=1, among=None) for name in NAMES}
"""Thresholds that one verdict crosses."""


@settings(max_examples=LONG or 200, deadline=None, suppress_health_check=list(HealthCheck))
@given(SETTINGS, STEPS)
@example(
    # a window that means something else before it was judged, and another process fills it
    Setting(FIRST, least=1, short=OnInsufficient.HOLD, rank=95),
    [
        Probes((100, 100, 999), times=1, apart=10),
        Reload(FIRST, anew=True),
        Probes((100,), times=3, apart=30, runs=True),
    ],
)
def test_the_engine_agrees_with_the_reference_whatever_is_seen_and_done(
    setting: Setting, steps: list[Step]
) -> None:
    asyncio.run(_live(setting, steps))


@settings(max_examples=LONG // 10 or 6, deadline=None, suppress_health_check=list(HealthCheck))
@given(SETTINGS, STEPS)
def test_it_agrees_over_a_real_store_that_is_closed_and_opened_again(
    setting: Setting, steps: list[Step]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_live_with_store(setting, steps, Path(folder) / "monitor.db"))


def test_a_window_is_judged_however_rarely_the_runs_come() -> None:
    once = dict.fromkeys(NAMES, Threshold(fails=1, passes=1))
    setting = Setting(once, least=1, short=OnInsufficient.HOLD, rank=50)

    seen = asyncio.run(_live(setting, [Probes((100, "timeout", 100), 1, 3600, runs=True)]))

    assert seen.windows["latency.p95"].check.opened
