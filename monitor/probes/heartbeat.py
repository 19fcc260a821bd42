"""The kind `heartbeat`: jobs tell that they ran, and what is judged is that they did."""

from __future__ import annotations

from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from monitor.core.expectations import Source
from monitor.fields import Kind, Rhythm
from monitor.probes._heartbeat.options import HeartbeatOptions

if TYPE_CHECKING:
    from monitor.probes.probe import Probe, ProbeContext


def make(options: HeartbeatOptions, context: ProbeContext) -> Probe:
    """Build the probe; what it is made of is imported here, so that reading options stays quick."""
    from monitor.probes._heartbeat.probe import HeartbeatProbe

    return HeartbeatProbe(options, context)


KIND: Final = Kind(
    options=HeartbeatOptions,
    make=make,
    sources=frozenset({Source.VALUE, Source.EXIT_CODE, Source.OUTPUT}),
    prober="heartbeat",
    # A beat that is missed stays missed: to look again would prove nothing.
    rhythm=Rhythm(every=timedelta(seconds=30), failure_threshold=1, success_threshold=1),
    series=MappingProxyType(
        {
            "probe_heartbeat_last_ping_timestamp_seconds": "When the last ping came, of any kind.",
            "probe_heartbeat_last_end_timestamp_seconds": "When the last run ended.",
            "probe_heartbeat_last_run_seconds": "What the last run took, where it told its start.",
            "probe_heartbeat_due_timestamp_seconds": "When the next ping is or was due.",
            "probe_heartbeat_exit_code": "The exit code of the last run.",
            "probe_heartbeat_running": "Whether a run began and has not ended.",
        }
    ),
)
"""What the kind `heartbeat` is made of."""
