"""Baselines: a limit that follows from what the windows of a week usually are."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from statistics import median_low
from types import MappingProxyType
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from monitor.core.baselines import leave_out, needed
from monitor.core.expectations import compile_expectation
from monitor.core.model.changes import Changes
from monitor.core.model.deploy import DeployKind, DeployState
from monitor.core.model.endpoint import (
    Baseline,
    Check,
    InARow,
    LatencyRule,
    OnInsufficient,
    Signal,
    ValueWindowRule,
)
from monitor.core.model.rollback import Mode
from monitor.core.model.service import RollbackPolicy, Service
from monitor.core.model.verdict import Outcome
from monitor.core.rollback.deploys import unproven_since
from monitor.core.situation import Situation
from monitor.core.windows import Window, advance_window, begin_anew, restore
from tests.support.judging import NOON, latency_rule
from tests.support.rolling import make_deploy
from tests.support.watching import answer, make_check, make_directory, make_endpoint, make_story

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.core.model.check_state import Span
    from monitor.core.model.endpoint import Sample
    from monitor.core.model.verdict import Verdict

MINUTE = timedelta(minutes=1)


def rule(*, factor: float = 1.5, minutes: int = 8, plus: int = 0) -> LatencyRule:
    """Give a rule: less than 1.5 times the median of eight windows of a minute."""
    baseline = Baseline(factor=factor, over=minutes * MINUTE, plus=timedelta(milliseconds=plus))

    return replace(latency_rule(percentile=100, window=MINUTE), limit=baseline)


def watch(
    of: LatencyRule, windows: Sequence[int | None], window: Window | None = None, first: int = 0
) -> tuple[Window, list[Verdict]]:
    """Put one sample in each window, in milliseconds; None is a window without."""
    verdicts: list[Verdict] = []
    for number, value in enumerate(windows, start=first):
        sample = None if value is None else timedelta(milliseconds=value)
        window, said = advance_window(of, window, sample, NOON + number * MINUTE)
        verdicts += said
    assert window is not None

    return window, verdicts


def outcomes(of: LatencyRule, windows: Sequence[int | None]) -> str:
    """Give a letter for each window that closed."""
    _, verdicts = watch(of, [*windows, None])

    return "".join(verdict.outcome.value[0] for verdict in verdicts)


def test_as_long_as_nothing_is_usual_it_waits() -> None:
    _, verdicts = watch(rule(), [100, 900, 100, 100, 100, 100])

    assert [verdict.outcome for verdict in verdicts] == [Outcome.WAITING] * 4 + [Outcome.PASS]
    assert verdicts[2].note == "learning what is usual: 2 of 4 windows"


def test_a_week_of_ten_minutes_takes_a_hundred_windows() -> None:
    week = Baseline(factor=1.5, over=timedelta(days=7), plus=timedelta())

    assert needed(week, timedelta(minutes=10)) == 100
    assert needed(week, timedelta(hours=1)) == 84


def test_what_is_slower_than_usual_fails_and_says_what_is_usual() -> None:
    _, verdicts = watch(rule(plus=50), [100, 300, 200, 200, 400, None])

    assert verdicts[-1].outcome is Outcome.FAIL
    (reason,) = verdicts[-1].reasons
    assert reason.message == (
        "the maximum of 1 answers in 1m is 400ms, expected less than 350ms "
        "(1.5 times the usual 200ms plus 50ms)"
    )
    assert (reason.expected, reason.found) == ("less than 350ms", "400ms")


def test_what_failed_does_not_become_usual() -> None:
    assert outcomes(rule(), [100] * 4 + [200] * 3 + [140]) == "wwwwfffp"


def test_after_all_that_was_usual_is_too_old_it_learns_anew() -> None:
    assert outcomes(rule(), [100] * 4 + [200] * 12) == "wwwwffffwwwwpppp"


def test_a_clock_that_is_set_keeps_what_is_usual() -> None:
    window, _ = watch(rule(), [100] * 6)

    moved = begin_anew(window.history, timedelta(hours=1))

    assert [found for _, found in moved.history] == [found for _, found in window.history]
    _, verdicts = watch(rule(), [100, 400, 100], moved, first=66)
    assert [verdict.outcome for verdict in verdicts][-1] is Outcome.FAIL


def test_a_baseline_that_stands_still_neither_learns_nor_forgets() -> None:
    window, _ = watch(rule(factor=1.0, plus=1), [100] * 6)
    frozen = NOON + 6 * MINUTE

    said: list[Verdict] = []
    for number in range(6, 15):
        sample = timedelta(milliseconds=100 + number - 6 if number < 10 else 100)
        window, verdicts = advance_window(
            rule(factor=2.0), window, sample, NOON + number * MINUTE, frozen=lambda _: frozen
        )
        said += verdicts
    assert [one.outcome for one in said] == [Outcome.PASS] * 9
    assert said[-1].note == "the maximum 100ms, 1 samples, 2 times the usual 100ms"

    assert len(window.history) == 14


def test_one_that_stands_still_for_longer_than_it_looks_back_learns_anew() -> None:
    window, _ = watch(rule(), [100] * 6)
    frozen = NOON + 6 * MINUTE

    said: list[Verdict] = []
    for number in range(6, 17):
        sample = timedelta(milliseconds=200)
        window, verdicts = advance_window(
            rule(), window, sample, NOON + number * MINUTE, frozen=lambda _: frozen
        )
        said += verdicts

    outcomes = "".join(one.outcome.value[0] for one in said)
    assert outcomes == "pffffffffww"


def latency_check(opens: int = 1, closes: int = 1) -> Check:
    """Give a check of latency: at most 1.5 times what twenty windows of a minute are usually."""
    limit = Baseline(factor=1.5, over=20 * MINUTE, plus=timedelta())

    return replace(
        make_check(Signal.LATENCY),
        rule=replace(latency_rule(percentile=100, window=MINUTE), limit=limit),
        failure_threshold=InARow(count=opens),
        success_threshold=closes,
    )


class Watch:
    """A service with a check of latency, probed once in each window."""

    def __init__(self, check: Check, *services: Service) -> None:
        self.story = make_story(make_endpoint(check), directory=make_directory(*services))

    def sees(self, *milliseconds: int) -> str:
        """Give a letter for each window that closes with these: pass, fail or waiting."""
        said = ""
        for took in milliseconds:
            self.story.takes(answer(seconds=self.story.seconds, took=took / 1000))
            self.story.seconds += 60
            verdict = self.story.engine.latest["api"].verdicts.get("api.latency.p95")
            said += verdict.outcome.value[0] if verdict else "-"

        return said

    @property
    def note(self) -> str:
        """What the newest verdict says."""
        return self.story.engine.latest["api"].verdicts["api.latency.p95"].note

    def deploys(self, state: DeployState) -> None:
        """Announce a deploy, now."""
        self.story.engine.announce(
            "shop", version="v2", kind=DeployKind.PLANNED, state=state, now=self.story.now
        )


def test_while_a_check_alerts_what_is_usual_stays_what_it_was_before() -> None:
    watch = Watch(latency_check(closes=10))
    assert watch.sees(*[100] * 13)[-3:] == "wpp"

    assert watch.sees(*[200] * 3, *[140] * 9) == "pfff" + "p" * 8
    assert watch.note.endswith("1.5 times the usual 100ms")

    watch.sees(*[140] * 14)
    assert not watch.story.open
    assert watch.note.endswith("1.5 times the usual 140ms")


def test_from_a_deploy_on_what_is_usual_stays_what_it_was_before_it() -> None:
    watch = Watch(latency_check())
    watch.sees(*[100] * 20)

    watch.deploys(DeployState.STARTED)
    watch.sees(*[120] * 18)
    assert watch.note.endswith("1.5 times the usual 100ms")

    watch.deploys(DeployState.FINISHED)
    watch.sees(120)
    assert watch.note.endswith("1.5 times the usual 100ms")

    watch.deploys(DeployState.FAILED)
    watch.sees(120, 120)
    assert watch.note.endswith("1.5 times the usual 120ms")


def test_once_a_deploy_is_known_to_be_good_what_it_brought_is_usual() -> None:
    policy = RollbackPolicy(
        mode=Mode.OBSERVE,
        triggers=("api.latency.p95",),
        levels=(),
        modes=MappingProxyType({}),
        certify_after=timedelta(minutes=15),
    )
    watch = Watch(latency_check(), Service(name="shop", rollback=policy))
    watch.sees(*[100] * 20)
    watch.deploys(DeployState.FINISHED)

    watch.sees(*[120] * 15)
    assert watch.note.endswith("1.5 times the usual 100ms")

    watch.sees(*[120] * 3)
    (deploy,) = watch.story.engine.situation.deploys.values()
    assert deploy.certified_at is not None
    assert watch.note.endswith("1.5 times the usual 120ms")


def test_the_last_minute_before_a_marker_that_comes_at_the_end_may_be_its_own() -> None:
    since = Watch(latency_check())
    since.sees(*[100] * 12)
    since.deploys(DeployState.FINISHED)
    situation = since.story.engine.situation

    assert unproven_since("shop", situation, since.story.now) == since.story.now - MINUTE
    assert unproven_since("shop", situation, since.story.now + timedelta(days=2)) is None
    assert unproven_since("other", situation, since.story.now) is None


def test_deploys_that_follow_each_other_uncertified_are_one_time() -> None:
    situation = Situation()
    deploys = [
        make_deploy("v1", at=NOON, certified_at=NOON),
        make_deploy("v2", at=NOON + 10 * MINUTE, state=DeployState.SUPERSEDED, finished_at=None),
        make_deploy("v3", at=NOON + 20 * MINUTE, state=DeployState.FAILED),
        make_deploy("v4", at=NOON + 30 * MINUTE, state=DeployState.STARTED),
    ]
    situation.apply(Changes(deploys=tuple(deploys)))

    assert unproven_since("shop", situation, NOON + 40 * MINUTE) == NOON + 9 * MINUTE


def value_rule(operator: str, factor: float, plus: float = 0) -> ValueWindowRule:
    """Give a rule on the median of values in a minute, by what eight of them are usually."""
    (expectation,) = compile_expectation({"json": "$.queue", operator: 0.0}, "m.yml:1:1")

    return ValueWindowRule(
        expectation=expectation,
        percentile=50,
        window=MINUTE,
        min_samples=1,
        on_insufficient=OnInsufficient.HOLD,
        at="m.yml:1:1",
        limit=Baseline(factor=factor, over=8 * MINUTE, plus=plus),
    )


def told_of(of: ValueWindowRule, values: Sequence[float]) -> Verdict:
    """Give the verdict of the last of these windows."""
    window: Window | None = None
    verdicts: tuple[Verdict, ...] = ()
    for number, value in enumerate((*values, 0.0)):
        window, verdicts = advance_window(of, window, value, NOON + number * MINUTE)

    return verdicts[-1]


def test_a_value_is_held_against_what_it_usually_is() -> None:
    high = told_of(value_rule("lt", 1.5, 10), [100.0, 100.0, 90.0, 120.0, 160.0])
    low = told_of(value_rule("gte", 0.5), [100.0, 100.0, 90.5, 120.0, 45.0])

    assert high.reasons[0].message == (
        "p50 of 1 values in 1m is 160, expected less than 160 (1.5 times the usual 100 plus 10)"
    )
    assert low.reasons[0].message == (
        "p50 of 1 values in 1m is 45, expected at least 50 (0.5 times the usual 100)"
    )
    assert told_of(value_rule("lt", 1.5, 10), [100.0] * 4 + [159.0]).outcome is Outcome.PASS
    assert told_of(value_rule("lt", 1.5, 10), [100.0] * 3 + [159.0]).outcome is Outcome.WAITING


@given(
    values=st.lists(st.none() | st.integers(50, 400), min_size=1, max_size=40),
    factor=st.sampled_from([1.0, 1.5, 2.0]),
    plus=st.sampled_from([0, 50]),
    restarts=st.lists(st.booleans(), min_size=40, max_size=40),
)
def test_a_baseline_agrees_with_taking_the_median_anew_whenever_it_restarts(
    values: Sequence[int | None], factor: float, plus: int, restarts: list[bool]
) -> None:
    of = rule(factor=factor, plus=plus)
    window: Window | None = None
    window_end: datetime | None = None
    stored: list[tuple[datetime, Sample]] = []
    failed: tuple[Span, ...] = ()
    judged: list[str] = []
    for number, value in enumerate(values):
        at = NOON + number * MINUTE
        if restarts[number]:
            window = restore(of, stored, window_end, failed=failed)
        sample = None if value is None else timedelta(milliseconds=value)
        window, verdicts = advance_window(of, window, sample, at)
        if sample is not None:
            stored.append((at, sample))
        for verdict in verdicts:
            window_end = verdict.at
            if verdict.outcome is Outcome.FAIL:
                assert isinstance(of.limit, Baseline)
                assert verdict.since is not None
                failed = leave_out(of.limit, failed, (verdict.since, verdict.at))
            if verdict.outcome is not Outcome.WAITING:
                judged.append(f"{verdict.at:%H:%M} {verdict.outcome}")

    assert judged == _slowly(values[:-1], factor, plus)


def _slowly(values: Sequence[int | None], factor: float, plus: int) -> list[str]:
    judged = []
    usual: list[tuple[int, int]] = []
    for number, value in enumerate(values):
        if value is None:
            continue
        known = [found for when, found in usual if number - when < 8]
        failed = False
        if len(known) >= 4:
            failed = value >= median_low(known) * factor + plus
            at = NOON + (number + 1) * MINUTE
            judged.append(f"{at:%H:%M} {Outcome.FAIL if failed else Outcome.PASS}")
        if not failed:
            usual.append((number, value))

    return judged
