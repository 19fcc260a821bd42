"""The kind `tcp`: a connection to a port or Unix socket, and what is said there."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from monitor.core.expectations import Source
from monitor.fields import Kind
from monitor.probes._tcp.options import TcpOptions

if TYPE_CHECKING:
    from monitor.probes.probe import Probe, ProbeContext


def make(options: TcpOptions, context: ProbeContext) -> Probe:
    """Build the probe."""
    from monitor.probes._tcp.probe import TcpProbe

    return TcpProbe(options, context)


KIND: Final = Kind(
    options=TcpOptions,
    make=make,
    sources=frozenset(
        {Source.BODY, Source.RESPONSE_TIME, Source.RESPONSE_SIZE, Source.CERTIFICATE}
    ),
    prober="tcp",
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
