"""The kind `websocket`: an upgrade, and what is said over it."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from monitor.core.expectations import Source
from monitor.fields import Kind
from monitor.probes._websocket.options import WebsocketOptions

if TYPE_CHECKING:
    from monitor.probes.probe import Probe, ProbeContext


def make(options: WebsocketOptions, context: ProbeContext) -> Probe:
    """Build the probe; the library is imported here, so that reading options stays quick."""
    from monitor.probes._websocket.probe import WebsocketProbe

    return WebsocketProbe(options, context)


KIND: Final = Kind(
    options=WebsocketOptions,
    make=make,
    sources=frozenset(
        {
            Source.STATUS,
            Source.HEADER,
            Source.BODY,
            Source.JSON,
            Source.JSON_SCHEMA,
            Source.RESPONSE_TIME,
            Source.CERTIFICATE,
        }
    ),
    healthy=({"status": 101},),
    prober="websocket",
    series=MappingProxyType(
        {
            "probe_websocket_duration_seconds": "Time by phase.",
            "probe_websocket_status_code": "The status of the answer; 0 if there was none.",
            "probe_websocket_connection_upgraded": "Whether the server agreed to the upgrade.",
            "probe_websocket_failed_due_to_regex": "Whether another message came than expected.",
        }
    ),
)
"""What the kind `websocket` is made of."""
