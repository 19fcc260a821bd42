"""The kind `browser`: a page as Chromium shows it, with what its scripts made of it."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from monitor.core.expectations import Source
from monitor.fields import later
from monitor.probes._browser.options import BrowserOptions
from monitor.probes.kind import ProbeKind

KIND: Final = ProbeKind(
    options=BrowserOptions,
    make=later("monitor.probes._browser.probe.BrowserProbe"),
    sources=frozenset(
        {
            Source.STATUS,
            Source.HEADER,
            Source.BODY,
            Source.HTML,
            Source.REDIRECT,
            Source.RESPONSE_TIME,
            Source.CONSOLE_ERRORS,
            Source.FAILED_REQUESTS,
            Source.VALUE,
        }
    ),
    series=MappingProxyType(
        {
            "probe_browser_duration_seconds": "Time by phase; `transfer` is until the page loaded.",
            "probe_browser_load_seconds": "How long it took until the page loaded.",
            "probe_browser_console_errors": "Errors in the console, 50 at most.",
            "probe_browser_failed_requests": "Requests of the page that failed, 50 at most.",
        }
    ),
)
"""What the kind `browser` is made of."""
