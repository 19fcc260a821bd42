"""The kind `metrics`: a figure of an exposition page, or of a Prometheus, is one observation."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from monitor.core.expectations import Source
from monitor.fields import Kind
from monitor.probes._metrics.options import MetricsOptions

if TYPE_CHECKING:
    from monitor.probes.probe import Probe, ProbeContext


def make(options: MetricsOptions, context: ProbeContext) -> Probe:
    """Build the probe; the HTTP client is imported here, so that reading options stays quick."""
    from monitor.probes._metrics.probe import MetricsProbe

    return MetricsProbe(options, context)


KIND: Final = Kind(
    options=MetricsOptions,
    make=make,
    sources=frozenset(
        {Source.VALUE, Source.ROWS, Source.STATUS, Source.RESPONSE_TIME, Source.CERTIFICATE}
    ),
    carries=True,
    series=MappingProxyType(
        {
            "probe_metrics_value": "The value that was found.",
            "probe_metrics_samples": "How many samples were found.",
        }
    ),
)
