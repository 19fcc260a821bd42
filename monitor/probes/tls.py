"""The kind `tls`: a handshake, and the certificate that is presented in it."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from monitor.core.expectations import Source
from monitor.fields import later
from monitor.probes._tls.options import TlsProbeOptions
from monitor.probes.kind import ProbeKind

KIND: Final = ProbeKind(
    options=TlsProbeOptions,
    make=later("monitor.probes._tls.probe.TlsProbe"),
    sources=frozenset({Source.CERTIFICATE, Source.RESPONSE_TIME}),
    prober="tcp",
    series=MappingProxyType({"probe_tls_duration_seconds": "Time by phase."}),
)
"""What the kind `tls` is made of."""
