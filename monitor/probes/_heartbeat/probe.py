"""One look at what was heard of a heartbeat: nothing is sent, the pings are the answer."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from monitor.core.heartbeats import Beat, decide
from monitor.core.model.observation import Code, Fault, Measure, Observation
from monitor.core.wording.heartbeats import say_beat

if TYPE_CHECKING:
    from monitor.core.heartbeats import Decision
    from monitor.core.model.heartbeat import Heartbeat
    from monitor.probes._heartbeat.options import HeartbeatOptions
    from monitor.probes.probe import ProbeContext


class HeartbeatProbe:
    """Holds the pings that came against the schedule."""

    def __init__(self, options: HeartbeatOptions, context: ProbeContext) -> None:
        self._options = options
        self._context = context

    async def observe(self) -> Observation:
        """Look at the pings; what the last run told of itself are the values."""
        expected = self._options.expected
        heard = self._context.heard()
        now = self._context.clock()
        decision = decide(expected, heard, now)
        said = say_beat(decision, heard.heartbeat)

        return Observation(
            at=now,
            duration=timedelta(),
            url=self._options.target,
            fault=_fault(decision.beat, said),
            not_yet=said if decision.beat is Beat.NEW else "",
            values=_values(heard.heartbeat),
            measures=_measures(decision, heard.heartbeat),
            summary=said,
        )

    async def close(self) -> None:
        """Nothing is held."""


def _fault(beat: Beat, said: str) -> Fault | None:
    match beat:
        case Beat.MISSED | Beat.OVERRUN:
            return Fault(code=Code.HEARTBEAT_MISSED, message=said)
        case Beat.FAILED:
            return Fault(code=Code.HEARTBEAT_FAILED, message=said)
        case Beat.UNHEARD:
            return Fault(code=Code.INTERNAL, message=said, own=True)
        case Beat.NEW | Beat.ON_TIME | Beat.RUNNING | Beat.LATE:
            return None


def _values(heartbeat: Heartbeat | None) -> dict[str, object]:
    """Give what the last run told: its exit code, what it wrote, and how many seconds it took."""
    if heartbeat is None or heartbeat.ended is None:
        return {}

    ended = heartbeat.ended
    values: dict[str, object] = {"output": ended.output}
    if ended.exit_code is not None:
        values["exit_code"] = ended.exit_code
    if heartbeat.took is not None:
        values["value"] = heartbeat.took.total_seconds()

    return values


def _measures(decision: Decision, heartbeat: Heartbeat | None) -> tuple[Measure, ...]:
    found: dict[str, float] = {"due_timestamp_seconds": decision.due.timestamp()}
    if heartbeat is not None:
        found["running"] = float(heartbeat.started is not None)
        if heartbeat.pings:
            found["last_ping_timestamp_seconds"] = heartbeat.pings[-1].at.timestamp()
        if heartbeat.ended is not None:
            found["last_end_timestamp_seconds"] = heartbeat.ended.at.timestamp()
            if heartbeat.ended.exit_code is not None:
                found["exit_code"] = float(heartbeat.ended.exit_code)
        if heartbeat.took is not None:
            found["last_run_seconds"] = heartbeat.took.total_seconds()

    return tuple(
        Measure(family=f"probe_heartbeat_{name}", value=value) for name, value in found.items()
    )
