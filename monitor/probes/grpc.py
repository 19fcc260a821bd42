"""The kind `grpc`: one call of the standard health service is one observation."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from monitor.core.expectations import Source
from monitor.fields import later
from monitor.probes._grpc.options import GrpcOptions
from monitor.probes.kind import ProbeKind

KIND: Final = ProbeKind(
    options=GrpcOptions,
    make=later("monitor.probes._grpc.probe.GrpcProbe"),
    sources=frozenset({Source.VALUE, Source.RESPONSE_TIME, Source.CERTIFICATE}),
    encrypted_by="tls: true below grpc",
    series=MappingProxyType(
        {
            "probe_grpc_duration_seconds": "Time by phase.",
            "probe_grpc_ssl": "Whether TLS was used.",
            "probe_grpc_status_code": "The status of the call, 14 where there was no connection.",
            "probe_grpc_healthcheck_response": "Which serving status was answered.",
        }
    ),
)
