"""The kind `grpc`: one call of the standard health service is one observation."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from monitor.core.expectations import Source
from monitor.fields import Kind
from monitor.probes._grpc.options import GrpcOptions

if TYPE_CHECKING:
    from monitor.probes.probe import Probe, ProbeContext


def make(options: GrpcOptions, context: ProbeContext) -> Probe:
    """Build the probe; the HTTP/2 library is imported here, so that reading options stays quick."""
    from monitor.probes._grpc.probe import GrpcProbe

    return GrpcProbe(options, context)


KIND: Final = Kind(
    options=GrpcOptions,
    make=make,
    sources=frozenset({Source.VALUE, Source.RESPONSE_TIME, Source.CERTIFICATE}),
    healthy=({"value": {"equals": "SERVING"}},),
    prober="grpc",
    series=MappingProxyType(
        {
            "probe_grpc_duration_seconds": "Time by phase.",
            "probe_grpc_ssl": "Whether TLS was used.",
            "probe_grpc_status_code": "The status of the call, 14 where there was no connection.",
            "probe_grpc_healthcheck_response": "Which serving status was answered.",
        }
    ),
)
