"""The series of each check: what its thresholds make of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from monitor.core.model.verdict import Outcome
from monitor.metrics.exposition import escape, write_family

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitor.core.engine import Engine

_STATES: Final = {Outcome.PASS: 0, Outcome.FAIL: 1, Outcome.UNKNOWN: 2}


def check_series(engine: Engine) -> Iterator[str]:
    """Write the series of all checks, part by part."""
    states = engine.situation.states
    known = [(f'{{check="{escape(id)}"}}', states.get(id)) for id in engine.checks]
    yield ""  # here, and after each part, others may have their turn
    yield write_family(
        "production_monitor_check_state",
        "0 pass, 1 fail, 2 unknown.",
        ((labels, _STATES[one.state if one else Outcome.UNKNOWN]) for labels, one in known),
    )
    yield write_family(
        "production_monitor_check_consecutive_failures",
        "Failures in a row.",
        ((labels, one.consecutive_failures if one else 0) for labels, one in known),
    )
