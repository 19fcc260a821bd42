"""The kind `sql`: one query that reads, and what it gives, is one observation."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from monitor.core.expectations import Source
from monitor.fields import later
from monitor.probes._sql.options import SqlOptions
from monitor.probes.kind import ProbeKind

KIND: Final = ProbeKind(
    options=SqlOptions,
    make=later("monitor.probes._sql.probe.SqlProbe"),
    sources=frozenset({Source.VALUE, Source.ROWS, Source.RESPONSE_TIME, Source.CERTIFICATE}),
    carries=True,
    encrypted_by="tls: true below sql, or sslmode=require in its URL",
    series=MappingProxyType(
        {
            "probe_sql_duration_seconds": "Time by phase.",
            "probe_sql_rows": "Rows that the query gave.",
        }
    ),
)
"""What the kind `sql` is made of."""
