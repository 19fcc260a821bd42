"""The kind `metrics`: a figure of an exposition page, or of a Prometheus, is one observation."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from monitor.core.expectations import Source
from monitor.fields import later
from monitor.probes._metrics.options import MetricsOptions
from monitor.probes.kind import ProbeKind

KIND: Final = ProbeKind(
    options=MetricsOptions,
    make=later("monitor.probes._metrics.probe.MetricsProbe"),
    sources=frozenset(
        {Source.VALUE, Source.ROWS, Source.STATUS, Source.RESPONSE_TIME, Source.CERTIFICATE}
    ),
    carries=True,
    encrypted_by="an https:// URL, or redirects that are followed to one",
    series=MappingProxyType(
        {
            "probe_metrics_value": "The value that was found.",
            "probe_metrics_samples": "How many samples were found.",
        }
    ),
)
