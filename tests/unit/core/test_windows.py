"""Latency windows: what enters them, when they are judged, and what a judgement says."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.model.check_state import Change, CheckState
from monitor.core.model.endpoint import InARow, LatencyRule, OnInsufficient
from monitor.core.model.observation import Code, Fault
from monitor.core.model.verdict import Outcome, Verdict
from monitor.core.tracker import advance
from monitor.core.windows import (
    Window,
    advance_window,
    latency_sample,
    nearest_rank,
    restore,
    window_progress,
)
from tests.support.judging import NOON, answer, latency_rule, make_check, no_answer

MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
TIMEOUT = timedelta(seconds=10)
FAST, SLOW = timedelta(milliseconds=200), timedelta(seconds=2)

Sample = tuple[datetime, timedelta | None]


def at(minutes: float) -> datetime:
    """Give the time so many minutes after noon, which is a tick of a five-minute window."""
    return NOON + minutes * MINUTE


def feed(
    rule: LatencyRule, samples: list[Sample], window: Window | None = None, *, asked: bool = True
) -> tuple[Window, list[Verdict]]:
    """Take samples in their order; gives the open window and all verdicts."""
    all_verdicts: list[Verdict] = []
    for moment, sample in samples:
        window, verdicts = advance_window(rule, window, sample, moment, asked=asked)
        all_verdicts += verdicts
    assert window is not None

    return window, all_verdicts


def outcomes(rule: LatencyRule, samples: list[Sample]) -> list[Outcome]:
    """Give only what became of each window."""
    return [verdict.outcome for verdict in feed(rule, samples)[1]]


def test_an_answer_enters_with_its_duration_whatever_it_says() -> None:
    assert latency_sample(answer(duration=FAST), TIMEOUT) == FAST
    assert latency_sample(answer(duration=FAST, status=404), TIMEOUT) == FAST


@pytest.mark.parametrize("waited", [timedelta(seconds=9), TIMEOUT, timedelta(seconds=11)])
def test_a_timeout_enters_as_at_least_the_timeout(waited: timedelta) -> None:
    before_headers = replace(no_answer(Code.TIMEOUT), duration=waited)
    in_the_body = replace(before_headers, status=200)

    assert latency_sample(before_headers, TIMEOUT) == max(waited, TIMEOUT)
    assert latency_sample(in_the_body, TIMEOUT) == max(waited, TIMEOUT)


@pytest.mark.parametrize(
    "code",
    [code for code in Code if code not in (Code.TIMEOUT, Code.STATUS, Code.EXPECTATION)],
)
def test_what_is_a_matter_of_availability_enters_no_window(code: Code) -> None:
    assert latency_sample(no_answer(code), TIMEOUT) is None


@pytest.mark.parametrize("status", [500, 502, 503, 599])
def test_an_error_of_the_server_is_no_latency_even_when_it_stalls(status: int) -> None:
    stalled = answer(status=status, fault=Fault(code=Code.TIMEOUT, message="no end"))

    assert latency_sample(answer(status=status), TIMEOUT) is None
    assert latency_sample(stalled, TIMEOUT) is None


@pytest.mark.parametrize(
    ("took", "late", "counts"),
    [
        pytest.param(20, 0, True, id="in time"),
        pytest.param(120, 99, True, id="little"),
        pytest.param(120, 100, False, id="most of the time"),
        pytest.param(900, 449, True, id="less than half of it"),
        pytest.param(900, 450, False, id="half of it"),
    ],
)
def test_an_answer_that_the_monitor_was_late_to_read_is_no_latency(
    took: int, late: int, counts: bool
) -> None:
    seen = answer(duration=timedelta(milliseconds=took), late=timedelta(milliseconds=late))

    assert (latency_sample(seen, TIMEOUT) is not None) is counts


def test_a_timeout_of_our_own_is_no_latency() -> None:
    assert latency_sample(no_answer(Code.TIMEOUT, own=True), TIMEOUT) is None


@pytest.mark.parametrize(
    ("seconds", "percentile", "found"),
    [
        ([100] * 9 + [1000], 95, 1000),
        ([100] * 19 + [1000], 95, 100),
        ([100] * 18 + [1000] * 2, 95, 1000),
        ([1], 95, 1),
        ([1, 2], 50, 1),
        ([1, 2, 3], 50, 2),
        ([3, 1, 2], 100, 3),
        ([3, 1, 2], 1, 1),
        (list(range(1, 61)), 95, 57),
    ],
)
def test_a_percentile_is_a_request_that_really_happened(
    seconds: list[int], percentile: int, found: int
) -> None:
    samples = [timedelta(seconds=second) for second in seconds]

    assert nearest_rank(samples, percentile) == timedelta(seconds=found)


@given(
    samples=st.lists(st.timedeltas(timedelta(), timedelta(hours=1)), min_size=1, max_size=80),
    percentile=st.integers(1, 100),
)
def test_the_percentile_is_the_smallest_sample_that_enough_do_not_exceed(
    samples: list[timedelta], percentile: int
) -> None:
    enough = [
        candidate
        for candidate in samples
        if 100 * sum(sample <= candidate for sample in samples) >= percentile * len(samples)
    ]

    assert nearest_rank(samples, percentile) == min(enough)


def test_a_window_is_judged_once_when_the_next_one_begins() -> None:
    samples: list[Sample] = [(at(0), FAST), (at(2), FAST), (at(4.99), FAST), (at(5), SLOW)]

    window, verdicts = feed(latency_rule(), samples)

    assert [(verdict.outcome, verdict.since, verdict.at) for verdict in verdicts] == [
        (Outcome.PASS, at(0), at(5))
    ]
    assert verdicts[0].note == "p95 200ms, 3 samples"
    assert (window.start, window.samples) == (at(5), (SLOW,))


def test_a_probe_belongs_to_the_window_in_which_it_started() -> None:
    window, verdicts = feed(latency_rule(), [(at(4.999), SLOW)])

    assert (window.start, verdicts) == (at(0), [])


def test_windows_follow_the_clock_and_not_the_first_probe() -> None:
    window, _ = feed(latency_rule(window=timedelta(hours=1)), [(at(42), FAST)])

    assert window.start == NOON


def test_windows_of_an_odd_length_count_from_the_epoch() -> None:
    length = timedelta(minutes=7)

    window, _ = feed(latency_rule(window=length), [(NOON, FAST)])

    assert window.start is not None
    assert NOON - length < window.start <= NOON
    assert (window.start - datetime(1970, 1, 1, tzinfo=UTC)) % length == timedelta()


def test_a_probe_that_starts_on_the_tick_belongs_to_the_new_window() -> None:
    window, verdicts = feed(latency_rule(), [(at(0), FAST), (at(5), SLOW)])

    assert (window.start, window.samples, len(verdicts)) == (at(5), (SLOW,), 1)


def test_the_verdict_of_a_slow_window_says_what_was_measured() -> None:
    _, (verdict,) = feed(latency_rule(), [(at(0), FAST), (at(1), SLOW), (at(5), FAST)])

    assert verdict.outcome is Outcome.FAIL
    (reason,) = verdict.reasons
    assert reason.message == "p95 of 2 answers in 5m is 2s, expected less than 1s"
    assert (reason.expected, reason.found, reason.at) == ("less than 1s", "2s", "monitor.yml:7:3")


def test_the_maximum_is_called_by_its_name() -> None:
    rule = latency_rule(percentile=100, inclusive=True)

    _, (verdict,) = feed(rule, [(at(0), SLOW), (at(5), FAST)])

    assert verdict.reasons[0].message == (
        "the maximum of 1 answers in 5m is 2s, expected at most 1s"
    )


@pytest.mark.parametrize(
    ("inclusive", "sample", "outcome"),
    [
        (False, SECOND, Outcome.FAIL),
        (True, SECOND, Outcome.PASS),
        (True, SECOND + timedelta(microseconds=1), Outcome.FAIL),
        (False, SECOND - timedelta(microseconds=1), Outcome.PASS),
    ],
)
def test_the_limit_itself_is_healthy_only_where_it_is_included(
    inclusive: bool, sample: timedelta, outcome: Outcome
) -> None:
    rule = latency_rule(inclusive=inclusive)

    assert outcomes(rule, [(at(0), sample), (at(5), FAST)]) == [outcome]


def test_a_hair_above_the_limit_is_not_shown_as_the_limit() -> None:
    rule = latency_rule(inclusive=True)
    sample = SECOND + timedelta(microseconds=1)

    _, (verdict,) = feed(rule, [(at(0), sample), (at(5), FAST)])

    assert verdict.reasons[0].found == "1000.001ms"


@pytest.mark.parametrize(
    ("on_insufficient", "outcome", "note", "restarts"),
    [
        (OnInsufficient.HOLD, Outcome.WAITING, "1 of 3 samples", False),
        (OnInsufficient.RESET, Outcome.WAITING, "1 of 3 samples", True),
        (OnInsufficient.FAIL, Outcome.FAIL, "", False),
    ],
)
def test_a_window_that_is_short_of_samples_does_what_was_configured(
    on_insufficient: OnInsufficient, outcome: Outcome, note: str, restarts: bool
) -> None:
    rule = latency_rule(min_samples=3, on_insufficient=on_insufficient)
    samples: list[Sample] = [(at(0), None), (at(5), SLOW), (at(6), None), (at(10), None)]

    _, verdicts = feed(rule, samples)

    assert (verdicts[-1].outcome, verdicts[-1].note) == (outcome, note)
    assert verdicts[-1].restarts is restarts


def test_too_few_answers_fail_with_words_of_their_own() -> None:
    rule = latency_rule(min_samples=3, on_insufficient=OnInsufficient.FAIL)

    _, verdicts = feed(rule, [(at(0), FAST), (at(5), FAST), (at(10), FAST)])

    assert verdicts[-1].reasons[0].message == (
        "1 answers in 5m, too few to judge p95, expected at least 3"
    )


def test_the_first_window_counts_once_it_has_enough_samples() -> None:
    rule = latency_rule(min_samples=2)

    assert outcomes(rule, [(at(3), SLOW), (at(4), SLOW), (at(5), FAST)]) == [Outcome.FAIL]


def test_the_first_window_is_not_blamed_for_what_was_not_asked() -> None:
    rule = latency_rule(min_samples=3, on_insufficient=OnInsufficient.FAIL)

    assert outcomes(rule, [(at(4), FAST), (at(5), FAST)]) == [Outcome.WAITING]


def test_windows_without_any_probe_wait_in_one_piece() -> None:
    rule = latency_rule(on_insufficient=OnInsufficient.FAIL)

    _, verdicts = feed(rule, [(at(0), FAST), (at(22), FAST)])

    assert [(verdict.outcome, verdict.since, verdict.at) for verdict in verdicts] == [
        (Outcome.PASS, at(0), at(5)),
        (Outcome.WAITING, at(5), at(20)),
    ]


def test_a_window_in_which_only_retries_were_sent_is_not_the_targets_fault() -> None:
    rule = latency_rule(on_insufficient=OnInsufficient.FAIL)
    window, _ = feed(rule, [(at(0), FAST), (at(5), FAST)])
    window, _ = feed(rule, [(at(11), None), (at(12), None)], window, asked=False)

    assert feed(rule, [(at(15), FAST)], window)[1][0].outcome is Outcome.WAITING


def test_a_window_in_which_nothing_was_answered_fails_where_that_was_configured() -> None:
    rule = latency_rule(on_insufficient=OnInsufficient.FAIL)

    assert outcomes(rule, [(at(0), FAST), (at(5), None), (at(10), None)]) == [
        Outcome.PASS,
        Outcome.FAIL,
    ]


def test_a_late_sample_is_left_out() -> None:
    rule = latency_rule()
    window, _ = feed(rule, [(at(5), FAST)])

    after, verdicts = feed(rule, [(at(4), SLOW)], window)

    assert (after, verdicts) == (window, [])


def test_a_clock_that_is_set_back_begins_anew_and_judges_nothing() -> None:
    rule = latency_rule()
    window, _ = feed(rule, [(at(60), SLOW)])

    after, verdicts = feed(rule, [(at(1), FAST)], window)

    assert verdicts == []
    assert (after.start, after.samples, after.partial) == (at(0), (FAST,), True)


def test_progress_tells_how_many_samples_are_there_and_needed() -> None:
    rule = latency_rule(min_samples=20)
    window, _ = feed(rule, [(at(0), FAST), (at(1), None), (at(2), FAST)])

    assert window_progress(rule, window) == (2, 20)
    assert window_progress(rule, Window()) == (0, 20)


@pytest.mark.parametrize("letters", ["FFFF", "PFFFF", "FFFPFFFF", "FFFwF"])
def test_more_than_three_windows_in_a_row_open_at_the_end_of_the_fourth(letters: str) -> None:
    rule = latency_rule()
    check = make_check(rule, threshold=InARow(count=4))
    values = {"F": SLOW, "P": FAST, "w": None}
    samples = [(at(5 * number + 1), values[letter]) for number, letter in enumerate(letters)]
    samples.append((at(5 * len(letters)), FAST))

    state, window, opened = None, None, []
    for moment, sample in samples:
        window, verdicts = advance_window(rule, window, sample, moment)
        for verdict in verdicts:
            state, events = advance(check, state, verdict, every=MINUTE)
            opened += [event for event in events if event.change is Change.OPENED]

    assert [event.at for event in opened] == [at(5 * len(letters))]
    assert opened[0].failures == 4


def test_a_reset_window_restarts_the_count_of_slow_ones() -> None:
    rule = latency_rule(on_insufficient=OnInsufficient.RESET)
    check = make_check(rule, threshold=InARow(count=2))
    samples: list[Sample] = [(at(0), SLOW), (at(5), None), (at(10), SLOW), (at(15), FAST)]

    state: CheckState | None = None
    for verdict in feed(rule, samples)[1]:
        state, events = advance(check, state, verdict, every=MINUTE)
        assert events == ()

    assert state is not None
    assert state.consecutive_failures == 1


def test_after_a_restart_the_open_window_is_filled_again() -> None:
    stored = [(at(6), SLOW), (at(5), FAST), (at(4), SLOW)]

    window = restore(latency_rule(), stored, at(5))

    assert (window.start, window.samples, window.partial) == (at(5), (FAST, SLOW), True)


def test_what_was_judged_before_a_restart_is_not_judged_again() -> None:
    window = restore(latency_rule(), [(at(1), SLOW), (at(4), SLOW)], at(5))

    assert (window.start, window.samples) == (at(5), ())


def test_a_window_that_ended_during_a_restart_is_judged_after_it() -> None:
    window = restore(latency_rule(), [(at(6), SLOW), (at(9), SLOW)], at(5))

    _, (verdict,) = feed(latency_rule(), [(at(11), FAST)], window)

    assert (verdict.outcome, verdict.since, verdict.at) == (Outcome.FAIL, at(5), at(10))


def test_without_anything_stored_the_first_probe_begins() -> None:
    window = restore(latency_rule(), [], None)

    assert window == Window(partial=True)
    after, verdicts = feed(latency_rule(), [(at(2), FAST)], window)
    assert (after.start, after.partial, verdicts) == (at(0), True, [])


def test_after_a_long_absence_the_monitor_blames_nobody() -> None:
    rule = latency_rule(on_insufficient=OnInsufficient.FAIL)
    window = restore(rule, [], at(5))

    _, verdicts = feed(rule, [(at(120), FAST)], window)

    assert {verdict.outcome for verdict in verdicts} == {Outcome.WAITING}


def test_what_was_not_seen_around_a_restart_is_not_the_targets_fault() -> None:
    rule = latency_rule(min_samples=3, on_insufficient=OnInsufficient.FAIL)
    window = restore(rule, [(at(5), FAST), (at(6), FAST)], at(5), now=at(12))

    _, verdicts = feed(rule, [(at(13), FAST), (at(15), FAST), (at(20), FAST)], window)

    assert [(verdict.outcome, verdict.since) for verdict in verdicts] == [
        (Outcome.WAITING, at(5)),
        (Outcome.WAITING, at(10)),
        (Outcome.FAIL, at(15)),
    ]


def test_a_restart_in_any_moment_judges_the_same_windows() -> None:
    rule = latency_rule(min_samples=2)
    samples: list[Sample] = [
        (at(minute / 2), SLOW if minute % 7 < 3 else FAST) for minute in range(60)
    ]
    _, expected = feed(rule, samples)

    window: Window | None = None
    verdicts: list[Verdict] = []
    window_end: datetime | None = None
    for number, (moment, sample) in enumerate(samples):
        stored = [(when, value) for when, value in samples[:number] if value is not None]
        window = restore(rule, stored, window_end)
        window, closed = advance_window(rule, window, sample, moment)
        verdicts += closed
        window_end = closed[-1].at if closed else window_end

    assert verdicts == expected


@given(
    steps=st.lists(
        st.tuples(st.integers(0, 40), st.none() | st.integers(0, 2000)), min_size=1, max_size=60
    ),
    percentile=st.integers(1, 100),
    min_samples=st.integers(1, 6),
)
def test_windows_agree_with_sorting_all_samples_by_their_window(
    steps: list[tuple[int, int | None]], percentile: int, min_samples: int
) -> None:
    rule = latency_rule(percentile=percentile, min_samples=min_samples, window=MINUTE, limit=SECOND)
    moment, samples = datetime(2026, 7, 1, tzinfo=UTC), []
    for seconds, value in steps:
        moment += timedelta(seconds=seconds)
        duration = None if value is None else timedelta(milliseconds=value)
        samples.append((moment, duration))

    judged = {
        verdict.since: verdict.outcome
        for verdict in feed(rule, list(samples))[1]
        if verdict.outcome is not Outcome.WAITING
    }

    open_now = samples[-1][0].replace(second=0)
    by_window: dict[datetime, list[timedelta]] = {}
    for when, duration in samples:
        if duration is not None and when.replace(second=0) != open_now:
            by_window.setdefault(when.replace(second=0), []).append(duration)
    assert judged == {
        start: _slow_judgement(durations, percentile)
        for start, durations in by_window.items()
        if len(durations) >= min_samples
    }


def _slow_judgement(durations: list[timedelta], percentile: int) -> Outcome:
    over = sum(duration >= SECOND for duration in durations)
    allowed = len(durations) - -(-percentile * len(durations) // 100)

    return Outcome.PASS if over <= allowed else Outcome.FAIL
