"""The kind `tcp`: a connection to a port or Unix socket, and what is said there."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from monitor.core.expectations import Source
from monitor.fields import later
from monitor.probes._tcp.options import TcpOptions
from monitor.probes.kind import ProbeKind

KIND: Final = ProbeKind(
    options=TcpOptions,
    make=later("monitor.probes._tcp.probe.TcpProbe"),
    sources=frozenset(
        {Source.BODY, Source.RESPONSE_TIME, Source.RESPONSE_SIZE, Source.CERTIFICATE}
    ),
    encrypted_by="tls: true or starttls below tcp, or the kind tls",
    series=MappingProxyType(
        {
            "probe_tcp_duration_seconds": "Time by phase.",
            "probe_failed_due_to_regex": "Whether an expectation on the content failed.",
            "probe_failed_due_to_bytes": "Whether other bytes came than were expected.",
            "probe_expect_info": "What was captured of the dialogue, as labels.",
        }
    ),
)
"""What the kind `tcp` is made of."""
