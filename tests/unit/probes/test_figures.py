"""Figures out of samples: one of many, shares, and rates between two looks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.probes._metrics.figures import Aggregate, Counters, aggregate, divide, plain_number
from monitor.probes._metrics.page import Sample

if TYPE_CHECKING:
    from collections.abc import Sequence

NAN, INF = math.nan, math.inf


def samples(*values: float, **labelled: float) -> list[Sample]:
    told = [Sample(labels={"n": str(number)}, value=value) for number, value in enumerate(values)]

    return told + [Sample(labels={"n": name}, value=value) for name, value in labelled.items()]


@pytest.mark.parametrize(
    ("how", "values", "figure"),
    [
        ("sum", [1, 2, 4], 7),
        ("sum", [], None),
        ("sum", [INF, 1], INF),
        ("sum", [INF, -INF], NAN),
        ("sum", [NAN, 1], NAN),
        ("avg", [1, 2], 1.5),
        ("avg", [], None),
        ("max", [1, NAN, 3], 3),
        ("max", [NAN], NAN),
        ("max", [], None),
        ("min", [NAN, 1, -INF], -INF),
        ("count", [NAN, 1], 2),
        ("count", [], 0),
    ],
)
def test_many_samples_become_one_figure(
    how: str, values: Sequence[float], figure: float | None
) -> None:
    found = aggregate(Aggregate(how), samples(*values))

    assert found == pytest.approx(figure, nan_ok=True) if figure is not None else found is None


@pytest.mark.parametrize(
    ("above", "below", "share"),
    [
        ([5], [10, 10], 0.25),
        ([], [10], 0),
        ([0], [0], NAN),
        ([], [0], NAN),
        ([5], [0], INF),
        ([-5], [0], -INF),
        ([NAN], [0], NAN),
        ([5], [], None),
    ],
)
def test_a_share_of_nothing_is_no_number_and_of_what_is_not_there_nothing(
    above: Sequence[float], below: Sequence[float], share: float | None
) -> None:
    found = divide(samples(*above), samples(*below))

    assert found == pytest.approx(share, nan_ok=True) if share is not None else found is None


def rates(counters: Counters, seen: list[Sample], now: float) -> dict[str, float] | None:
    found = counters.rates(seen, now)

    return None if found is None else {one.labels["n"]: one.value for one in found}


def test_a_rate_is_what_was_counted_since_the_last_look_per_second() -> None:
    counters = Counters()

    assert rates(counters, samples(a=10, b=5), 100) is None
    assert rates(counters, samples(a=30, b=5), 110) == {"a": 2, "b": 0}
    assert rates(counters, samples(a=30, b=6), 110.5) == {"a": 0, "b": 2}


def test_a_counter_that_fell_was_begun_anew_and_one_that_is_new_began_at_nothing() -> None:
    counters = Counters()
    rates(counters, samples(a=1000), 0)

    assert rates(counters, samples(a=40, b=20), 10) == {"a": 4, "b": 2}


def test_a_counter_that_is_gone_for_a_look_is_new_when_it_is_back() -> None:
    counters = Counters()
    rates(counters, samples(a=5), 0)

    assert rates(counters, [], 10) == {}
    assert rates(counters, samples(a=7), 20) == {"a": 0.7}


@given(amounts=st.lists(st.tuples(st.floats(0, 1e6), st.floats(0.1, 100)), min_size=1, max_size=9))
def test_rates_by_their_times_give_what_was_counted(amounts: list[tuple[float, float]]) -> None:
    counters, total, now, counted = Counters(), 17.0, 5.0, 0.0
    counters.rates(samples(total), now)
    for amount, passed in amounts:
        total, now = total + amount, now + passed
        found = counters.rates(samples(total), now)
        assert found is not None
        counted += found[0].value * passed

    assert counted == pytest.approx(total - 17, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(5.0, "5"), (0.25, "0.25"), (3.5e8, "350000000"), (1e300, "1e+300"), (INF, "inf")],
)
def test_a_whole_number_is_shown_as_one(value: float, shown: str) -> None:
    assert str(plain_number(value)) == shown
