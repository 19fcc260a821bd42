"""Failure rates: the share of failed verdicts in a sliding time, over restarts as well."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.engine import Engine
from monitor.core.model.check_state import Change
from monitor.core.model.endpoint import Check, InARow, RateRule, Severity, Signal
from monitor.core.model.observation import Code
from monitor.core.model.verdict import Outcome
from monitor.core.rates import SlidingShare
from monitor.core.situation import Situation
from monitor.core.tracker import advance
from tests.support.judging import NOON, answer, health, no_answer
from tests.support.watching import make_directory, make_endpoint

if TYPE_CHECKING:
    from datetime import datetime

    from monitor.core.model.check_state import CheckState
    from monitor.core.model.verdict import Verdict

HEALTH = replace(health(), id="api.health", failure_threshold=InARow(count=1000))


def rule(
    limit: float = 0.05, *, inclusive: bool = False, minutes: float = 5, min_samples: int = 20
) -> RateRule:
    """Give a rule: below 5 % over five minutes, from twenty samples on."""
    return RateRule(
        of="api.health",
        limit=limit,
        inclusive=inclusive,
        over=timedelta(minutes=minutes),
        min_samples=min_samples,
        at="monitor.yml:5:5",
    )


def rate_check(of: RateRule) -> Check:
    """Give a check that opens at the first rate that is too high."""
    return Check(
        id="api.failure_rate",
        endpoint="api",
        service="shop",
        signal=Signal.RATE,
        rule=of,
        severity=Severity.CRITICAL,
        failure_threshold=InARow(count=1),
        success_threshold=2,
        fingerprint="r",
    )


def at(seconds: float) -> datetime:
    """Give a moment of a story."""
    return NOON + timedelta(seconds=seconds)


def said(of: RateRule, letters: str, *, every: float = 10) -> list[Verdict]:
    """Give the verdict after each probe: F failed, P passed."""
    share = SlidingShare()

    return [
        share.take(of, at(every * number), letter == "F") for number, letter in enumerate(letters)
    ]


def test_below_the_least_number_of_samples_it_waits() -> None:
    verdicts = said(rule(), "F" * 19)

    assert {verdict.outcome for verdict in verdicts} == {Outcome.WAITING}
    assert verdicts[6].note == "7 of 20 samples"


def test_the_share_that_failed_is_what_is_judged() -> None:
    passed = said(rule(), "P" * 20)[-1]
    failed = said(rule(), "P" * 18 + "FP")[-1]

    assert (passed.outcome, passed.note) == (Outcome.PASS, "0 of 20 failed (0%)")
    assert (failed.outcome, failed.since) == (Outcome.FAIL, at(180))
    (reason,) = failed.reasons
    assert reason.message == "1 of 20 probes in 5m failed (5%), expected less than 5%"
    assert (reason.expected, reason.found, reason.at) == ("less than 5%", "5%", "monitor.yml:5:5")


@pytest.mark.parametrize(
    ("limit", "inclusive", "failed", "outcome"),
    [
        (0.07, False, 7, Outcome.FAIL),
        (0.07, True, 7, Outcome.PASS),
        (0.07, True, 8, Outcome.FAIL),
        (0.29, False, 29, Outcome.FAIL),
        (0.29, False, 28, Outcome.PASS),
        (0.0, True, 0, Outcome.PASS),
        (0.0, True, 1, Outcome.FAIL),
        (1.0, False, 100, Outcome.FAIL),
    ],
)
def test_a_limit_is_exact(limit: float, inclusive: bool, failed: int, outcome: Outcome) -> None:
    judged_by = rule(limit, inclusive=inclusive, minutes=1000, min_samples=100)

    assert said(judged_by, "P" * (100 - failed) + "F" * failed)[-1].outcome is outcome


def test_what_is_as_old_as_the_time_counts_no_more() -> None:
    share = SlidingShare()
    short = rule(minutes=1, min_samples=1)

    share.take(short, at(0), True)
    assert share.take(short, at(59), False).outcome is Outcome.FAIL
    assert share.take(short, at(60), False).outcome is Outcome.PASS
    assert len(share) == 2


def test_an_error_rate_above_5_percent_for_more_than_5_minutes_opens() -> None:
    letters = "P" * 60 + "F" + "P" * 10 + "F" + "P" * 18  # two of thirty are above 5 %
    check = rate_check(rule())
    state: CheckState | None = None
    opened, closed = [], []
    for verdict in said(rule(), letters + "P" * 40):
        state, events = advance(check, state, verdict, every=timedelta(seconds=10))
        opened += [event for event in events if event.change is Change.OPENED]
        closed += [event for event in events if event.change is Change.CLOSED]

    assert [(event.at, event.since) for event in opened] == [(at(710), at(600))]
    assert [event.at for event in closed] == [at(910)]  # the second pass without the first fail
    assert opened[0].reasons[0].message == (
        "2 of 30 probes in 5m failed (6.67%), expected less than 5%"
    )


def engine(situation: Situation, of: RateRule, *, opens: int = 1) -> Engine:
    """Make an engine that watches one endpoint with a health check and its rate."""
    rate = replace(rate_check(of), failure_threshold=InARow(count=opens))
    endpoint = make_endpoint(HEALTH, rate)

    return Engine(endpoints=[endpoint], directory=make_directory(), situation=situation, mask=str)


def probe(of: Engine, seconds: float, letter: str, *, scheduled: bool = True) -> Outcome | None:
    """Let one probe happen: F fails, P passes, U is the monitor's own fault; give the rate's."""
    seen = {
        "F": answer(at=at(seconds), status=500),
        "P": answer(at=at(seconds)),
        "U": replace(no_answer(Code.INTERNAL, own=True), at=at(seconds)),
    }[letter]
    changes = of.take(of.endpoints["api"], seen, scheduled=scheduled, now=at(seconds))

    return dict(changes.results[0].outcomes).get("api.failure_rate")


def test_retries_and_our_own_faults_are_no_part_of_a_rate() -> None:
    watching = engine(Situation(), rule(min_samples=3))

    assert probe(watching, 0, "F") is Outcome.WAITING
    assert probe(watching, 5, "F", scheduled=False) is None
    assert probe(watching, 10, "U") is None
    assert probe(watching, 20, "F") is Outcome.WAITING
    assert watching.waiting(watching.checks["api.failure_rate"]) == (2, 3)
    assert probe(watching, 30, "P") is Outcome.FAIL


def test_a_failing_rate_asks_for_no_retry() -> None:
    watching = engine(Situation(), rule(min_samples=1), opens=9)
    probe(watching, 0, "F")
    assert probe(watching, 10, "P") is Outcome.FAIL  # one of two, and health passes again

    assert watching.settled(watching.endpoints["api"])


def test_a_clock_that_is_set_changes_no_rate() -> None:
    watching = engine(Situation(), rule(min_samples=3))
    probe(watching, 0, "F")
    probe(watching, 10, "P")

    watching.set_clock(timedelta(hours=1), at(3610))

    assert probe(watching, 3620, "P") is Outcome.FAIL


def test_another_health_rule_forgets_what_was_counted_by_the_old() -> None:
    situation = Situation()
    probe(engine(situation, rule(min_samples=2)), 0, "F")

    changed = replace(HEALTH, fingerprint="other")
    endpoint = make_endpoint(changed, rate_check(rule(min_samples=2)))
    after = Engine(endpoints=[endpoint], directory=make_directory(), situation=situation, mask=str)
    after.restore_share(after.checks["api.failure_rate"], [(at(0), True)])

    assert probe(after, 10, "F") is Outcome.WAITING


def test_what_the_old_rule_said_is_forgotten_after_the_next_restart_as_well() -> None:
    situation = Situation()
    probe(engine(situation, rule(min_samples=2)), 0, "F")
    changed = replace(HEALTH, fingerprint="other")
    endpoint = make_endpoint(changed, rate_check(rule(min_samples=2)))
    engine(situation, rule(min_samples=2)).adopt([endpoint], make_directory(), at(5))

    after = Engine(endpoints=[endpoint], directory=make_directory(), situation=situation, mask=str)
    after.restore_share(after.checks["api.failure_rate"], [(at(0), True)])

    assert probe(after, 10, "F") is Outcome.WAITING


@given(
    steps=st.lists(
        st.tuples(st.integers(1, 40), st.sampled_from("PPPFU"), st.booleans(), st.booleans()),
        min_size=1,
        max_size=40,
    ),
    limit=st.integers(1, 100),
    inclusive=st.booleans(),
    min_samples=st.integers(1, 6),
)
def test_rates_agree_with_counting_anew_each_time_whenever_it_restarts(
    steps: list[tuple[int, str, bool, bool]], limit: int, inclusive: bool, min_samples: int
) -> None:
    of = rule(limit / 100, inclusive=inclusive, minutes=1, min_samples=min_samples)
    watching = engine(Situation(), of)
    seconds = 0
    stored: list[tuple[int, bool]] = []
    for step, letter, scheduled, restarts in steps:
        seconds += step
        if restarts:
            watching = engine(watching.situation, of)
            recent = [one for one in stored if seconds - one[0] < 60]
            watching.restore_share(
                watching.checks["api.failure_rate"], [(at(when), wrong) for when, wrong in recent]
            )

        found = probe(watching, seconds, letter, scheduled=scheduled)

        counted = scheduled and letter != "U"
        if counted:
            stored.append((seconds, letter == "F"))
        counts = [wrong for when, wrong in stored if seconds - when < 60]
        assert found is (_slowly(counts, limit, inclusive, min_samples) if counted else None)


def _slowly(recent: list[bool], limit: int, inclusive: bool, min_samples: int) -> Outcome:
    if len(recent) < min_samples:
        return Outcome.WAITING

    share, most = Fraction(sum(recent), len(recent)), Fraction(limit, 100)

    return Outcome.PASS if share < most or (inclusive and share == most) else Outcome.FAIL
