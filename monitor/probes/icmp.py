"""The kind `icmp`: a ping, or several, is one observation."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from monitor.core.expectations import Source
from monitor.fields import Kind
from monitor.probes._icmp.options import IcmpOptions

if TYPE_CHECKING:
    from monitor.probes.probe import Probe, ProbeContext


def make(options: IcmpOptions, context: ProbeContext) -> Probe:
    """Build the probe; what it is made of is imported here, so that reading options stays quick."""
    from monitor.probes._icmp.probe import IcmpProbe

    return IcmpProbe(options, context)


KIND: Final = Kind(
    options=IcmpOptions,
    make=make,
    sources=frozenset({Source.VALUE, Source.RESPONSE_TIME}),
    prober="icmp",
    series=MappingProxyType(
        {
            "probe_icmp_duration_seconds": "Time by phase; the mean round trip of all replies.",
            "probe_icmp_reply_hop_limit": "Hop limit (time to live) that a reply arrived with.",
            "probe_icmp_loss_ratio": "Share of requests without a reply.",
        }
    ),
)
"""What the kind `icmp` is made of."""
