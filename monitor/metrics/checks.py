"""The series of each check: what its thresholds make of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from monitor.core.model.verdict import Outcome
from monitor.metrics.exposition import NOTHING_YET, escape, in_parts, write_family

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitor.core.engine import Engine

_STATES: Final = {Outcome.PASS: 0, Outcome.FAIL: 1, Outcome.UNKNOWN: 2}


def check_series(engine: Engine) -> Iterator[str]:
    """Write the series of all checks as they are at this moment, part by part."""
    labels: list[str] = []
    shown: list[int] = []
    failures: list[int] = []
    flapping: list[int] = []
    for some in in_parts(list(engine.checks)):
        states = [engine.situation.states.get(id) for id in some]
        labels += [f'check="{escape(id)}"' for id in some]
        shown += [_STATES[state.state if state else Outcome.UNKNOWN] for state in states]
        failures += [state.consecutive_failures if state else 0 for state in states]
        flapping += [int(state is not None and state.flapping is not None) for state in states]
        yield NOTHING_YET
    yield from write_family(
        "production_monitor_check_state", "0 pass, 1 fail, 2 unknown.", labels, shown
    )
    yield from write_family(
        "production_monitor_check_consecutive_failures", "Failures in a row.", labels, failures
    )
    yield from write_family(
        "production_monitor_check_flapping",
        "1 while it fails and recovers again and again.",
        labels,
        flapping,
    )
