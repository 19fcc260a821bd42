"""The kind `heartbeat`: jobs tell that they ran, and what is judged is that they did."""

from __future__ import annotations

from datetime import timedelta
from types import MappingProxyType
from typing import Final

from monitor.core.expectations import Source
from monitor.fields import later
from monitor.probes._heartbeat.options import HeartbeatOptions
from monitor.probes.kind import ProbeKind, Rhythm

KIND: Final = ProbeKind(
    options=HeartbeatOptions,
    make=later("monitor.probes._heartbeat.probe.HeartbeatProbe"),
    sources=frozenset({Source.VALUE, Source.EXIT_CODE, Source.OUTPUT}),
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
