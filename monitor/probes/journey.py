"""The kind `journey`: HTTP steps in order, of which each uses what earlier ones found."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from monitor.core.expectations import Source
from monitor.fields import Kind
from monitor.probes._journey.options import JourneyOptions

if TYPE_CHECKING:
    from monitor.probes.probe import Probe, ProbeContext


def make(options: JourneyOptions, context: ProbeContext) -> Probe:
    """Build the probe; the HTTP client is imported here, so that reading options stays quick."""
    from monitor.probes._journey.probe import JourneyProbe

    return JourneyProbe(options, context)


KIND: Final = Kind(
    options=JourneyOptions,
    make=make,
    sources=frozenset({Source.ROWS, Source.RESPONSE_TIME}),
    judges=lambda options: options.asked,
    series=MappingProxyType(
        {
            "probe_journey_step_seconds": "How long each step took.",
            "probe_journey_step_success": "Whether each step that was asked went as expected.",
        }
    ),
)
