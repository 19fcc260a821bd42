"""The arithmetic of thresholds and windows once more: slow, and as obvious as it can be.

Nothing is counted on the way. All that was ever seen is kept in lists, and each answer is looked up
there anew; so a restart cannot matter, and is nothing but an excuse for the window it falls into.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from math import ceil
from statistics import median_low
from typing import Literal

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

Said = Literal["pass", "fail", "unknown", "waiting"]


@dataclass
class Probe:
    """What a probe found: how healthy it was, and what it measured, if anything.

    `latency` and `value` are samples; `asks_latency` and `asks_value` say that the target was
    asked for one.
    """

    at: datetime
    scheduled: bool
    health: Said
    latency: float | None
    value: float | None
    asks_latency: bool
    asks_value: bool


@dataclass
class Threshold:
    """`fails` in a row, or, with `among`, so many of the last so many; `passes` close."""

    fails: int
    passes: int
    among: int | None = None


@dataclass
class Judged:
    """One verdict that counts: since when it holds."""

    at: datetime
    failed: bool
    since: datetime


@dataclass
class Check:
    """How one check stands, by the list of what was said of it.

    `said` is what its threshold looks at: since it opened, closed or was restarted. `turns` are
    its openings and closings.
    """

    threshold: Threshold
    most_openings: int | None = 6
    said: list[Judged] = field(default_factory=list)
    turns: list[tuple[datetime, str]] = field(default_factory=list)
    opened: bool = False
    failing_since: datetime | None = None
    flapping: bool = False

    def hear(self, said: Said, at: datetime, since: datetime, *, reset: bool = False) -> None:
        """Take a verdict; only a pass or a fail counts."""
        if reset:
            self.said = []
        if said not in ("pass", "fail"):
            return

        self.said.append(Judged(at, said == "fail", since))
        before = self.opened
        if self.opened:
            self._close(at)
        elif said == "fail":
            self._open(at)
        if self.opened == before:
            self._settle(said, at)

    def change_threshold(self, threshold: Threshold) -> None:
        """Judge what is remembered by another threshold from the next verdict on.

        A threshold remembers no more than it looks at; of fails in a row, only when they began.
        """
        if not self.opened:
            self.said = self.looked_at()
        if not self.opened and self.threshold.among is None:
            self.said = [replace(one, since=self.said[0].since) for one in self.said]
        self.threshold = threshold

    def restart(self) -> None:
        """Forget what was said; what is open, or flapping, stays so."""
        self.said = []
        if not self.flapping:
            self.turns = []

    def looked_at(self) -> list[Judged]:
        """Give what a threshold looks at: the last so many, or the fails since the last pass."""
        if self.threshold.among is not None:
            return self.said[-self.threshold.among :]

        passes = [number for number, one in enumerate(self.said) if not one.failed]

        return self.said[passes[-1] + 1 :] if passes else self.said

    def _open(self, at: datetime) -> None:
        fails = [one for one in self.looked_at() if one.failed]
        if len(fails) < self.threshold.fails:
            return

        self.opened, self.failing_since, self.said = True, fails[0].since, []
        self.turns.append((at, "opened"))
        recent = [one for one, turn in self.turns if turn == "opened" and at - HOUR < one <= at]
        if self.most_openings is not None and len(recent) > self.most_openings:
            self.flapping = True

    def _close(self, at: datetime) -> None:
        last = self.said[-self.threshold.passes :]
        if len(last) < self.threshold.passes or any(one.failed for one in last):
            return

        self.opened, self.failing_since, self.said = False, None, []
        self.turns.append((at, "closed"))

    def _settle(self, said: Said, at: datetime) -> None:
        quiet = at - self.turns[-1][0] if self.turns else timedelta()
        if self.opened and said == "fail" and quiet >= timedelta(minutes=10):
            self.flapping = False
        if not self.opened and said == "pass" and quiet >= timedelta(minutes=30):
            self.flapping = False


@dataclass
class Windows:
    """How a percentile of the samples between two ticks of the clock is judged.

    The limit is `limit`, or `factor` times what the windows of `over` usually are.
    """

    check: Check
    length: timedelta
    rank: int
    least: int
    short: Literal["hold", "reset", "fail"]
    limit: float | None = None
    factor: float = 1.0
    over: timedelta = timedelta()
    probes: list[tuple[datetime, float | None, bool]] = field(default_factory=list)
    found: list[tuple[datetime, float]] = field(default_factory=list)
    excused: set[datetime] = field(default_factory=set)

    def take(
        self, at: datetime, sample: float | None, *, asked: bool, deploys: list[Deploy]
    ) -> None:
        """Judge the windows that ended since the last probe, then keep this one."""
        start = self._start(at)
        if not self.probes:
            self.excused.add(start)
        elif (last := self._start(self.probes[-1][0])) < start:
            self._judge(last, deploys)
            if last + self.length < start:
                self._too_few(start - self.length, asked=False, began=last + self.length)
        self.probes.append((at, sample, asked))

    def note_restart(self, now: datetime) -> None:
        """Excuse the windows around a restart: they were not watched all the time."""
        self.excused |= {self._start(at) for at, _, _ in self.probes[-1:]}
        if self._start(now) != now:
            self.excused.add(self._start(now))

    def restart(self) -> None:
        """Mean something else from now on."""
        self.probes, self.found, self.excused = [], [], set()
        self.check.restart()

    def _judge(self, start: datetime, deploys: list[Deploy]) -> None:
        end = start + self.length
        inside = [one for one in self.probes if self._start(one[0]) == start]
        samples = sorted(sample for _, sample, _ in inside if sample is not None)
        if len(samples) < self.least:
            asked = any(asked for _, _, asked in inside) and start not in self.excused
            self._too_few(start, asked=asked, began=start)
            return

        found = samples[max(1, ceil(self.rank * len(samples) / 100)) - 1]
        limit = self.limit if self.limit is not None else self._usual(end, deploys)
        if limit is None:
            self.found.append((end, found))
        elif found < limit:
            self.found.append((end, found))
            self.check.hear("pass", end, start)
        else:
            self.check.hear("fail", end, start)

    def _usual(self, end: datetime, deploys: list[Deploy]) -> float | None:
        """Give what follows from the windows before, None as long as there are too few."""
        until = min([end, *self._stands_still(end, deploys)])
        known = [found for at, found in self.found if until - self.over < at <= until]
        if len(known) < min(100, self.over // self.length // 2):
            return None

        return median_low(known) * self.factor

    def _stands_still(self, end: datetime, deploys: list[Deploy]) -> list[datetime]:
        """Give since when: the first failing window of an alert, and a deploy."""
        since = self.check.failing_since if self.check.opened else None
        alerting = [since] if since is not None and end - since <= self.over else []
        running = [one for one in deploys if not one.failed and end - one.at <= DAY]
        deployed = [
            one.at - (MINUTE if one.replaced or not one.started else timedelta()) for one in running
        ]
        first = min([*alerting, *deployed], default=None)

        return [] if first is None or end - first > self.over else [first]

    def _too_few(self, start: datetime, *, asked: bool, began: datetime) -> None:
        fails = self.short == "fail" and asked
        self.check.hear(
            "fail" if fails else "waiting",
            start + self.length,
            began,
            reset=self.short == "reset",
        )

    def _start(self, at: datetime) -> datetime:
        return EPOCH + (at - EPOCH) // self.length * self.length


@dataclass
class Rate:
    """Which share of the health verdicts of scheduled probes in a sliding time failed."""

    check: Check
    over: timedelta
    least: int
    limit: float
    seen: list[tuple[datetime, bool]] = field(default_factory=list)

    def take(self, at: datetime, failed: bool) -> None:
        """Judge the time that ends with this verdict."""
        self.seen.append((at, failed))
        inside = [one for one in self.seen if at - self.over < one[0]]
        if len(inside) < self.least:
            return

        fails = [start for start, wrong in inside if wrong]
        if len(fails) < self.limit * len(inside):
            self.check.hear("pass", at, at)
        else:
            self.check.hear("fail", at, fails[0])

    def restart(self) -> None:
        """Mean something else from now on."""
        self.seen = []
        self.check.restart()


@dataclass
class Deploy:
    """A deploy that was announced; it is `started` where it was told of at its beginning.

    Once another has `replaced` it, nobody knows that any more, and it cannot fail.
    """

    version: str
    at: datetime
    started: bool
    replaced: bool = False
    failed: bool = False


@dataclass
class Reference:
    """An endpoint with a check of each kind, judged by all that was ever seen of it."""

    health: Check
    rate: Rate
    windows: dict[str, Windows]
    deploys: list[Deploy] = field(default_factory=list)

    def take(self, probe: Probe) -> None:
        """Take one probe."""
        self.health.hear(probe.health, probe.at, probe.at)
        if probe.scheduled and probe.health in ("pass", "fail"):
            self.rate.take(probe.at, probe.health == "fail")
        for name, windows in self.windows.items():
            of_value = name == "value"
            sample = probe.value if of_value else probe.latency
            asked = probe.scheduled and (probe.asks_value if of_value else probe.asks_latency)
            windows.take(probe.at, sample if asked else None, asked=asked, deploys=self.deploys)

    def checks(self) -> dict[str, Check]:
        """Give all checks by their names."""
        return {
            "health": self.health,
            "failure_rate": self.rate.check,
            **{name: windows.check for name, windows in self.windows.items()},
        }

    def note_restart(self, now: datetime) -> None:
        """Be another process from now on."""
        for windows in self.windows.values():
            windows.note_restart(now)

    def restart(self) -> None:
        """Ask for something else from now on."""
        self.health.restart()
        self.rate.restart()
        for windows in self.windows.values():
            windows.restart()
