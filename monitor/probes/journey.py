"""The kind `journey`: HTTP steps in order, of which each uses what earlier ones found."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from monitor.core.expectations import Source
from monitor.fields import later
from monitor.probes._journey.options import JourneyOptions
from monitor.probes.kind import ProbeKind

KIND: Final = ProbeKind(
    options=JourneyOptions,
    make=later("monitor.probes._journey.probe.JourneyProbe"),
    sources=frozenset({Source.ROWS, Source.RESPONSE_TIME}),
    judges=lambda options: options.asked,
    series=MappingProxyType(
        {
            "probe_journey_step_seconds": "How long each step took.",
            "probe_journey_step_success": "Whether each step that was asked went as expected.",
        }
    ),
)
