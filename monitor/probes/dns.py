"""The kind `dns`: one question to one DNS server, and its answer, is one observation."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from monitor.core.expectations import Source
from monitor.fields import Kind
from monitor.probes._dns.options import DnsOptions

if TYPE_CHECKING:
    from monitor.probes.probe import Probe, ProbeContext


def make(options: DnsOptions, context: ProbeContext) -> Probe:
    """Build the probe; what reads the protocol is imported here."""
    from monitor.probes._dns.probe import DnsProbe

    return DnsProbe(options, context)


KIND: Final = Kind(
    options=DnsOptions,
    make=make,
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
    healthy=({"rcode": {"equals": "NOERROR"}},),
    prober="dns",
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
