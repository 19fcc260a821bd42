"""The kind `url` with `request`: one HTTP request, or one burst of them, is one observation."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from monitor.core.expectations import HTTP_SOURCES
from monitor.probes._http.options import HttpOptions
from monitor.probes.kind import ProbeKind

if TYPE_CHECKING:
    from monitor.probes.probe import Probe, ProbeContext

_SERIES: Final = MappingProxyType(
    {
        "probe_http_burst_answers": (
            "How many requests of a burst got this status; code 0 is no answer."
        ),
    }
)


def make(options: HttpOptions, context: ProbeContext) -> Probe:
    """Build the probe; the client library is imported here, so that reading options stays quick."""
    from monitor.probes._http.probe import HttpProbe

    probe = HttpProbe(options, context)
    if options.request.burst is None:
        return probe

    from monitor.probes._http.burst import BurstProbe

    other = HttpProbe(options, replace(context, preflight=False)) if context.preflight else probe

    return BurstProbe(probe, other, options.request.burst)


KIND: Final = ProbeKind(
    options=HttpOptions,
    make=make,
    flat=True,
    sources=HTTP_SOURCES,
    prober="http",
    series=_SERIES,
)
