"""`doctor` says in a few words what was seen of a target: the figure before what it is made of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from monitor.core.model.observation import Observation
from monitor.tools.doctor import describe

if TYPE_CHECKING:
    from collections.abc import Mapping


def seen(values: Mapping[str, object], summary: str = "") -> Observation:
    return Observation(
        at=datetime(2026, 3, 4, tzinfo=UTC),
        duration=timedelta(milliseconds=20),
        values=values,
        summary=summary,
    )


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"value": 0.4, "rows": []}, "answers in 20ms, value 0.4"),
        ({"value": 3, "rows": [{"orders": 3}]}, "answers in 20ms, value 3"),
        ({"rows": [{"orders": 3, "region": "eu"}]}, "answers in 20ms, 1 row"),
        ({"value": None, "rows": []}, "answers in 20ms, 0 rows"),
        ({"exit_code": 1}, "answers in 20ms, exit code 1"),
        ({}, "answers in 20ms"),
    ],
)
def test_the_figure_is_told_before_the_rows_that_it_is_made_of(
    values: dict[str, object], told: str
) -> None:
    assert describe(seen(values)) == told


def test_what_a_kind_says_of_its_target_in_a_sentence_goes_before_its_figures() -> None:
    assert describe(seen({"value": 2}, "2 of 3 replicas follow")) == (
        "answers in 20ms, 2 of 3 replicas follow"
    )
