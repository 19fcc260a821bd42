"""The kind `icmp`: a ping, or several, is one observation."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from monitor.core.expectations import Source
from monitor.fields import later
from monitor.probes._icmp.options import IcmpOptions
from monitor.probes.kind import ProbeKind

KIND: Final = ProbeKind(
    options=IcmpOptions,
    make=later("monitor.probes._icmp.probe.IcmpProbe"),
    sources=frozenset({Source.VALUE, Source.RESPONSE_TIME}),
    series=MappingProxyType(
        {
            "probe_icmp_duration_seconds": "Time by phase; the mean round trip of all replies.",
            "probe_icmp_reply_hop_limit": "Hop limit (time to live) that a reply arrived with.",
            "probe_icmp_loss_ratio": "Share of requests without a reply.",
        }
    ),
)
"""What the kind `icmp` is made of."""
