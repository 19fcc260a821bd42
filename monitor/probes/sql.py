"""The kind `sql`: one query that reads, and what it gives, is one observation."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from monitor.core.expectations import Source
from monitor.fields import Kind
from monitor.probes._sql.options import SqlOptions

if TYPE_CHECKING:
    from monitor.probes.probe import Probe, ProbeContext


def make(options: SqlOptions, context: ProbeContext) -> Probe:
    """Build the probe; the driver of its database is imported here."""
    from monitor.probes._sql.probe import SqlProbe

    return SqlProbe(options, context)


KIND: Final = Kind(
    options=SqlOptions,
    make=make,
    sources=frozenset({Source.VALUE, Source.ROWS, Source.RESPONSE_TIME, Source.CERTIFICATE}),
    carries=True,
    prober="sql",
    series=MappingProxyType(
        {
            "probe_sql_duration_seconds": "Time by phase.",
            "probe_sql_rows": "Rows that the query gave.",
        }
    ),
)
"""What the kind `sql` is made of."""
