"""The kind `websocket`: an upgrade, and what is said over it."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from monitor.core.expectations import Source
from monitor.fields import later
from monitor.probes._websocket.options import WebsocketOptions
from monitor.probes.kind import ProbeKind

KIND: Final = ProbeKind(
    options=WebsocketOptions,
    make=later("monitor.probes._websocket.probe.WebsocketProbe"),
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
    encrypted_by="a wss:// URL",
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
