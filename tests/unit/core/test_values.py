"""Values that a probe brings: judged one by one, row by row, and over windows."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.engine import Engine
from monitor.core.expectations import compile_expectation
from monitor.core.judge import judge
from monitor.core.model.endpoint import (
    Check,
    InARow,
    OnInsufficient,
    Severity,
    Signal,
    ValueRule,
    ValueWindowRule,
)
from monitor.core.model.observation import Code, Fault
from monitor.core.model.verdict import Outcome
from monitor.core.situation import Situation
from monitor.core.windows import advance_window, restore
from tests.support.judging import NOON, answer, no_answer
from tests.support.watching import make_directory, make_endpoint

if TYPE_CHECKING:
    from datetime import datetime

    from monitor.core.expectations import Expectation
    from monitor.core.model.endpoint import Rule
    from monitor.core.model.verdict import Verdict
    from monitor.core.windows import Window


def expectation(raw: object) -> Expectation:
    """Compile one expectation."""
    (one,) = compile_expectation(raw, "monitor.yml:7:5")

    return one


def value_check(rule: Rule, *, fails: int = 3) -> Check:
    """Give a check on a value."""
    return Check(
        id="api.value",
        endpoint="api",
        service="shop",
        signal=Signal.VALUE,
        rule=rule,
        severity=Severity.HIGH,
        failure_threshold=InARow(count=fails),
        success_threshold=1,
        fingerprint="v",
    )


def of_column(**operators: Any) -> ValueRule:
    """Give a rule on the column `failed`."""
    raw = {"rows": {"column": "failed", **operators}}

    return ValueRule(expectation=expectation(raw), column="failed")


def judged(rule: ValueRule, **facts: Any) -> Verdict:
    """Judge one answer."""
    return judge(value_check(rule), answer(**{"status": None} | facts))


def message(verdict: Verdict) -> str:
    """Give the words of the only reason."""
    (reason,) = verdict.reasons

    return reason.message


def test_one_value_is_compared() -> None:
    rule = ValueRule(expectation=expectation({"value": {"lt": 10}}))

    assert judged(rule, values={"value": 9}).outcome is Outcome.PASS
    failed = judged(rule, values={"value": 12})
    assert (failed.outcome, message(failed)) == (Outcome.FAIL, "value is 12, expected less than 10")
    assert message(judged(rule, values={"value": None})) == (
        "value is null, expected a number less than 10"
    )
    assert message(judged(rule, values={})) == "value is absent, expected less than 10"


def test_where_nobody_gave_a_value_nothing_is_known_unless_health_tells_of_it() -> None:
    alone = ValueRule(expectation=expectation({"value": {"lt": 10}}))
    beside = replace(alone, beside_health=True)
    refused = Fault(code=Code.CONNECTION_REFUSED, message="db refused the connection")
    own = Fault(code=Code.WITNESS, message="no witness answers", own=True)

    for facts in ({"fault": refused}, {"status": 503}):
        assert judged(alone, **facts).outcome is Outcome.UNKNOWN
        assert judged(beside, **facts).outcome is Outcome.WAITING
    assert judged(beside, fault=own).outcome is Outcome.UNKNOWN
    assert judged(beside, values={"value": 12}).outcome is Outcome.FAIL


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1E+5000", "value is a huge number, expected less than 10"),
        ("1E+100000000", "value is a huge number, expected less than 10"),
        ("1E+400", f"value is 1{'0' * 98}…, expected less than 10"),
        ("Infinity", "value is Infinity, expected less than 10"),
    ],
)
def test_a_number_that_no_float_holds_is_not_told_as_infinite(text: str, said: str) -> None:
    rule = ValueRule(expectation=expectation({"value": {"lt": 10}}))
    above = ValueRule(expectation=expectation({"value": {"gt": 10}}))

    assert message(judged(rule, values={"value": Decimal(text)})) == said
    assert judged(above, values={"value": Decimal(text)}).outcome is Outcome.PASS
    assert judged(rule, values={"value": Decimal(text).copy_negate()}).outcome is Outcome.PASS
    assert judged(rule, values={"value": Decimal("1E-5000")}).outcome is Outcome.PASS


def test_no_rows_are_healthy() -> None:
    assert judged(of_column(lt=10), values={"rows": []}).outcome is Outcome.PASS


def test_the_worst_rows_are_named_by_what_else_stands_in_them() -> None:
    rows = [{"client_id": f"c{number}", "failed": number * 7 % 31} for number in range(12)]

    failed = judged(of_column(lt=10), values={"rows": rows})

    assert message(failed) == (
        'failed is 28 for client_id "c4", 25 for client_id "c8", 21 for client_id "c3", '
        '18 for client_id "c7", 15 for client_id "c11" and 2 more (7 of 12 rows), '
        "expected less than 10"
    )
    assert failed.reasons[0].at == "monitor.yml:7:5"


def test_the_worst_is_the_lowest_where_much_is_healthy() -> None:
    rows = [{"pool": "a", "failed": 3}, {"pool": "b", "failed": Decimal("0.5")}, {"pool": "c"}]

    assert message(judged(of_column(gte=5), values={"rows": rows})) == (
        'failed is absent for pool "c", 0.5 for pool "b", 3 for pool "a" (3 of 3 rows), '
        "expected at least 5"
    )


def test_a_row_with_nothing_else_in_it_is_named_by_its_number() -> None:
    assert message(judged(of_column(lt=1), values={"rows": [{"failed": 0}, {"failed": 3}]})) == (
        "failed is 3 in row 2 (1 of 2 rows), expected less than 1"
    )


def test_a_secret_in_a_row_is_masked() -> None:
    rows = [{"token": "s3cr3t-token", "failed": 3}]

    verdict = judge(
        value_check(of_column(lt=1)),
        answer(status=None, values={"rows": rows}),
        mask=lambda text: text.replace("s3cr3t-token", "***"),
    )

    assert message(verdict) == 'failed is 3 for token "***" (1 of 1 row), expected less than 1'


@pytest.mark.parametrize(
    ("seen", "code"),
    [
        (no_answer(Code.CONNECTION_REFUSED), Code.CONNECTION_REFUSED),
        (no_answer(Code.TIMEOUT), Code.TIMEOUT),
        (answer(status=503, body=b"{}"), Code.STATUS),
    ],
    ids=["refused", "timeout", "503"],
)
def test_what_merely_carries_a_figure_and_is_silent_says_nothing_about_it(
    seen: Any, code: Code
) -> None:
    rule = ValueRule(expectation=expectation({"json": "$.queue", "lt": 10}))

    verdict = judge(value_check(rule), seen)

    assert (verdict.outcome, verdict.reasons[0].code) == (Outcome.UNKNOWN, code)


def window_rule(
    *,
    percentile: int = 50,
    minutes: float = 10,
    min_samples: int = 1,
    on_insufficient: OnInsufficient = OnInsufficient.HOLD,
    raw: object = None,
) -> ValueWindowRule:
    """Give a rule: the median below 70 over ten minutes."""
    return ValueWindowRule(
        expectation=expectation(raw or {"value": {"lt": 70}}),
        percentile=percentile,
        window=timedelta(minutes=minutes),
        min_samples=min_samples,
        on_insufficient=on_insufficient,
        at="monitor.yml:7:5",
    )


def at(minutes: float) -> datetime:
    """Give a moment of a story."""
    return NOON + timedelta(minutes=minutes)


def feed(rule: ValueWindowRule, samples: list[tuple[datetime, float | None]]) -> list[Verdict]:
    """Put samples into windows, and give all verdicts."""
    window: Window | None = None
    verdicts: list[Verdict] = []
    for moment, sample in samples:
        window, closed = advance_window(rule, window, sample, moment)
        verdicts += closed

    return verdicts


@pytest.mark.parametrize(
    ("percentile", "said"),
    [
        (0, "the minimum of 4 values in 10m is 65, expected less than 50"),
        (50, "p50 of 4 values in 10m is 80, expected less than 50"),
        (95, "p95 of 4 values in 10m is 99, expected less than 50"),
        (100, "the maximum of 4 values in 10m is 99, expected less than 50"),
    ],
)
def test_a_window_is_judged_by_one_of_its_values(percentile: int, said: str) -> None:
    rule = window_rule(percentile=percentile, raw={"value": {"lt": 50}})
    values = [90.0, 65.0, 80.0, 99.0]

    verdicts = feed(rule, [(at(number), one) for number, one in enumerate(values)])
    assert verdicts == []
    verdicts = feed(
        rule, [*((at(number), one) for number, one in enumerate(values)), (at(10), 1.0)]
    )

    (verdict,) = verdicts
    assert (verdict.since, verdict.at) == (at(0), at(10))
    assert message(verdict) == said


def test_too_few_values_are_said_where_they_are_a_failure() -> None:
    rule = window_rule(min_samples=3, on_insufficient=OnInsufficient.FAIL)
    samples: list[tuple[datetime, float | None]] = [(at(-1), 1.0), (at(1), 1.0), (at(2), None)]

    verdicts = feed(rule, [*samples, (at(10), 1.0)])

    assert message(verdicts[-1]) == ("1 values in 10m, too few to judge p50, expected at least 3")


def engine(situation: Situation, rule: ValueWindowRule) -> Engine:
    """Make an engine that watches one value over windows."""
    endpoint = make_endpoint(value_check(rule, fails=1))

    return Engine(endpoints=[endpoint], directory=make_directory(), situation=situation, mask=str)


def test_only_scheduled_numbers_of_who_answered_enter_a_window() -> None:
    watching = engine(Situation(), window_rule(min_samples=2))
    endpoint, check = watching.endpoints["api"], watching.checks["api.value"]
    stories: list[tuple[Any, bool]] = [
        (answer(status=None, values={"value": 80}), True),
        (answer(status=None, values={"value": 1}), False),
        (answer(status=None, values={"value": "80"}), True),
        (answer(status=None, values={"value": float("nan")}), True),
        (answer(status=None, values={}), True),
        (no_answer(Code.TIMEOUT), True),
        (answer(status=None, values={"value": Decimal("90.5")}), True),
    ]

    kept = []
    for minute, (seen, scheduled) in enumerate(stories):
        changes = watching.take(
            endpoint, replace(seen, at=at(minute)), scheduled=scheduled, now=at(minute)
        )
        kept.append(changes.results[0].value)

    assert kept == [80, 1, None, None, None, None, 90.5]
    assert watching.waiting(check) == (2, 2)
    changes = watching.take(
        endpoint,
        answer(at=at(10), status=None, values={"value": 1}),
        scheduled=True,
        now=at(10),
    )
    assert changes.states[0].state is Outcome.FAIL


def see_windows(rule: ValueWindowRule, stories: list[Any], every: float = 1) -> list[Any]:
    """Let an engine see one thing a minute; give the states of the check, and what was told."""
    watching = engine(Situation(), rule)
    endpoint = replace(watching.endpoints["api"], every=timedelta(minutes=every))
    told = []
    for number, seen in enumerate(stories):
        moment = at(number * every)
        changes = watching.take(endpoint, replace(seen, at=moment), scheduled=True, now=moment)
        told += [
            (number, state.last_outcome, state.blind)
            for state in changes.states
            if state.last_outcome is not None
        ]

    return told


SILENT = no_answer(Code.CONNECTION_REFUSED)
ANSWER = answer(status=None, values={"value": 1})


def test_a_window_in_which_nobody_answers_is_unknown_and_then_the_monitor_is_blind() -> None:
    assert see_windows(window_rule(), [SILENT] * 11) == [(10, Outcome.UNKNOWN, True)]


def test_three_short_windows_in_which_nobody_answers_are_blindness() -> None:
    told = see_windows(window_rule(minutes=2), [SILENT] * 7)

    assert told == [
        (2, Outcome.UNKNOWN, False),
        (4, Outcome.UNKNOWN, False),
        (6, Outcome.UNKNOWN, True),
    ]


@pytest.mark.parametrize("short", OnInsufficient)
def test_a_window_of_which_health_tells_waits(short: OnInsufficient) -> None:
    rule = replace(window_rule(on_insufficient=short), beside_health=True)

    assert see_windows(rule, [SILENT] * 31) == []


@pytest.mark.parametrize("short", OnInsufficient)
def test_silence_is_no_failure_however_few_samples_are_judged(short: OnInsufficient) -> None:
    told = see_windows(window_rule(on_insufficient=short), [SILENT] * 31)

    assert {outcome for _, outcome, _ in told} == {Outcome.UNKNOWN}


def test_a_window_with_any_answer_is_judged_or_waits() -> None:
    nothing = answer(status=None, values={})

    assert see_windows(window_rule(), [ANSWER, *[SILENT] * 10])[-1][1] is Outcome.PASS
    assert see_windows(window_rule(), [nothing, *[SILENT] * 10]) == []


def test_who_answers_again_is_seen_again() -> None:
    told = see_windows(window_rule(minutes=2), [*[SILENT] * 8, ANSWER, ANSWER, ANSWER])

    assert told[-1] == (10, Outcome.PASS, False)


def test_values_of_another_query_fill_no_window() -> None:
    situation, rule = Situation(), window_rule()
    watching = engine(situation, rule)
    for minute in (1, 11):
        watching.take(
            watching.endpoints["api"],
            answer(at=at(minute), status=None, values={"value": 80}),
            scheduled=True,
            now=at(minute),
        )

    changed = replace(value_check(rule), fingerprint="other")
    after = Engine(
        endpoints=[make_endpoint(changed)],
        directory=make_directory(),
        situation=situation,
        mask=str,
    )
    after.restore_window(after.checks["api.value"], [(at(11), 80.0)], at(11))

    assert after.waiting(after.checks["api.value"]) is None


@given(
    steps=st.lists(
        st.tuples(st.integers(1, 40), st.none() | st.integers(0, 100), st.booleans()),
        min_size=1,
        max_size=50,
    ),
    percentile=st.integers(0, 100),
    min_samples=st.integers(1, 5),
)
def test_windows_of_values_agree_with_sorting_them_whenever_it_restarts(
    steps: list[tuple[int, int | None, bool]], percentile: int, min_samples: int
) -> None:
    rule = window_rule(percentile=percentile, minutes=1, min_samples=min_samples)
    moment, window, window_end = NOON, None, None
    stored: list[tuple[datetime, float]] = []
    judged_windows: dict[datetime | None, Outcome] = {}
    for seconds, value, restarts in steps:
        moment += timedelta(seconds=seconds)
        if restarts:
            window = restore(rule, stored, window_end)
        sample = None if value is None else float(value)
        window, verdicts = advance_window(rule, window, sample, moment)
        if sample is not None:
            stored.append((moment, sample))
        for verdict in verdicts:
            window_end = verdict.at
            if verdict.outcome is not Outcome.WAITING:
                judged_windows[verdict.since] = verdict.outcome

    by_window: dict[datetime, list[float]] = {}
    for when, sample in stored:
        if when.replace(second=0) != moment.replace(second=0):
            by_window.setdefault(when.replace(second=0), []).append(sample)
    assert judged_windows == {
        start: _slowly(values, percentile)
        for start, values in by_window.items()
        if len(values) >= min_samples
    }


def _slowly(values: list[float], percentile: int) -> Outcome:
    """Judge by counting: the smallest value that at least so many percent do not exceed."""
    chosen = min(
        one
        for one in values
        if 100 * sum(other <= one for other in values) >= percentile * len(values)
    )

    return Outcome.PASS if chosen < 70 else Outcome.FAIL
