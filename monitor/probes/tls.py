"""The kind `tls`: a handshake, and the certificate that is presented in it."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from monitor.core.expectations import Source
from monitor.fields import Kind
from monitor.probes._tls.options import TlsProbeOptions

if TYPE_CHECKING:
    from monitor.probes.probe import Probe, ProbeContext


def make(options: TlsProbeOptions, context: ProbeContext) -> Probe:
    """Build the probe."""
    from monitor.probes._tls.probe import TlsProbe

    return TlsProbe(options, context)


KIND: Final = Kind(
    options=TlsProbeOptions,
    make=make,
    sources=frozenset({Source.CERTIFICATE, Source.RESPONSE_TIME}),
    prober="tcp",
    series=MappingProxyType({"probe_tls_duration_seconds": "Time by phase."}),
)
"""What the kind `tls` is made of."""
