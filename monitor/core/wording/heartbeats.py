"""What is told of a heartbeat: when the last ping came, when the next is due, what went wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.core.expectations.shown import plain
from monitor.core.heartbeats import Beat
from monitor.core.wording.phrases import duration_text

if TYPE_CHECKING:
    from datetime import datetime

    from monitor.core.heartbeats import Decision
    from monitor.core.model.heartbeat import Heartbeat, Ping


def say_beat(decision: Decision, heartbeat: Heartbeat | None) -> str:
    """Say in one sentence how a heartbeat is."""
    ended = heartbeat.ended if heartbeat else None
    began = heartbeat.started if heartbeat else None
    due, latest = say_time(decision.due), say_time(decision.deadline)
    match decision.beat:
        case Beat.FAILED:
            assert ended is not None
            return _say_failure(ended)
        case Beat.MISSED:
            since = f"no ping since {say_time(ended.at)}" if ended else "no ping ever came"
            late = f"; a run began too late, {say_time(began)}" if began else ""
            return f"{since}: one was due {due}, {latest} at the latest{late}"
        case Beat.OVERRUN:
            assert began is not None
            return f"the run that began {say_time(began)} has not ended, expected by {latest}"
        case Beat.UNHEARD:
            since = f"since {say_time(ended.at)}" if ended else "yet"
            return (
                f"no ping {since}, but the monitor did not listen all the time when one was due:"
                f" the next is due {due}"
            )
        case Beat.NEW:
            began_at = f"the first run began {say_time(began)}" if began else "no ping yet"
            return f"{began_at}: one is due {due}, {latest} at the latest"
        case Beat.RUNNING:
            assert began is not None
            return f"running since {say_time(began)}, {say_last(heartbeat)}"
        case Beat.LATE:
            return f"{say_last(heartbeat)}; one was due {due}, {latest} at the latest"
        case Beat.ON_TIME:
            return f"{say_last(heartbeat)}; the next is due {due}"


def say_last(heartbeat: Heartbeat | None) -> str:
    """Say when the last run ended, and how long it took."""
    if heartbeat is None or heartbeat.ended is None:
        return "no ping yet"

    took = "" if heartbeat.took is None else f" after {duration_text(heartbeat.took)}"

    return f"last ping {say_time(heartbeat.ended.at)}{took}"


def say_time(moment: datetime) -> str:
    """Write a time as people read it, UTC."""
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _say_failure(ended: Ping) -> str:
    how = (
        "the job said that it failed"
        if ended.exit_code is None
        else f"the job ended with exit code {ended.exit_code}"
    )
    lines = [line for line in ended.output.splitlines() if line.strip()]
    last = f": {plain(lines[-1].strip())}" if lines else ""

    return f"{how} at {say_time(ended.at)}{last}"
