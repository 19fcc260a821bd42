"""The kind `url` with `request`: one HTTP request is one observation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from monitor.fields import Kind
from monitor.probes._http.options import HttpOptions

if TYPE_CHECKING:
    from monitor.probes.probe import Probe, ProbeContext


def make(options: HttpOptions, context: ProbeContext) -> Probe:
    """Build the probe; the client library is imported here, so that reading options stays quick."""
    from monitor.probes._http.probe import HttpProbe

    return HttpProbe(options, context)


KIND: Final = Kind(options=HttpOptions, make=make, flat=True, prober="http")
