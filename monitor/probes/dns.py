"""The kind `dns`: one question to one DNS server, and its answer, is one observation."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from monitor.core.expectations import Source
from monitor.fields import later
from monitor.probes._dns.options import DnsOptions
from monitor.probes.kind import ProbeKind

KIND: Final = ProbeKind(
    options=DnsOptions,
    make=later("monitor.probes._dns.probe.DnsProbe"),
    sources=frozenset(
        {
            Source.RCODE,
            Source.DNS_ANSWER,
            Source.DNS_RECORDS,
            Source.DNS_FLAGS,
            Source.VALUE,
            Source.RESPONSE_TIME,
            Source.CERTIFICATE,
        }
    ),
    encrypted_by="transport: tls below dns",
    series=MappingProxyType(
        {
            "probe_dns_duration_seconds": "Time by phase.",
            "probe_dns_query_succeeded": "Whether the question was answered, whatever was said.",
            "probe_dns_answer_rrs": "Number of records in the answer section.",
            "probe_dns_authority_rrs": "Number of records in the authority section.",
            "probe_dns_additional_rrs": "Number of records in the additional section.",
            "probe_dns_serial": "Serial of the zone, of an answer with an SOA record.",
            "probe_dns_flag": "Whether a flag of the answer was set.",
        }
    ),
)
"""What the kind `dns` is made of."""
