"""The tables of the store: columns for what is searched, JSON for the rest of each record.

Times and durations are whole microseconds, times since 1970 in UTC.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, MetaData, String, Table, Text

REVISIONS: Final = ("0001",)
"""The revisions of the schema, oldest first; the files are in `migrations/versions`."""

metadata: Final = MetaData()

check_states: Final = Table(
    "check_states",
    metadata,
    Column("check", String, primary_key=True),
    Column("body", Text, nullable=False),
)

names: Final = Table(
    "names",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
)
"""Long texts that result rows repeat: names of endpoints, and JSON lists of their checks."""

results: Final = Table(
    "results",
    metadata,
    Column("endpoint", Integer, primary_key=True, autoincrement=False),
    Column("at", BigInteger, primary_key=True, autoincrement=False),
    Column("duration", BigInteger, nullable=False),
    Column("latency", BigInteger),
    Column("scheduled", Boolean, nullable=False),
    Column("checks", Integer, nullable=False),
    Column("outcomes", String, nullable=False),
    Column("code", String),
    Column("status", Integer),
    Column("version", Text),
    sqlite_with_rowid=False,
)
"""One row a probe, kept together by endpoint: windows, history and pruning all go by endpoint.

`outcomes` is a letter for each of the `checks`, in their order.
"""

incidents: Final = Table(
    "incidents",
    metadata,
    Column("id", String, primary_key=True),
    Column("service", String, nullable=False),
    Column("opened_at", BigInteger, nullable=False),
    Column("resolved_at", BigInteger),
    Column("body", Text, nullable=False),
    Index("incidents_by_end", "resolved_at"),
    Index("incidents_by_start", "opened_at"),
)

timeline: Final = Table(
    "timeline",
    metadata,
    Column("incident", String, primary_key=True),
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    sqlite_with_rowid=False,
)

deliveries: Final = Table(
    "deliveries",
    metadata,
    Column("id", String, primary_key=True),
    Column("notifier", String, nullable=False),
    Column("incident", String, nullable=False),
    Column("state", String, nullable=False),
    Column("queued_at", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Index("deliveries_by_incident", "incident"),
    Index("deliveries_by_state", "state", "queued_at"),
    Index("deliveries_by_time", "queued_at"),
)

deploys: Final = Table(
    "deploys",
    metadata,
    Column("id", String, primary_key=True),
    Column("service", String, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Index("deploys_by_service", "service", "at"),
)

rollbacks: Final = Table(
    "rollbacks",
    metadata,
    Column("id", String, primary_key=True),
    Column("service", String, nullable=False),
    Column("deploy", String, nullable=False),
    Column("state", String, nullable=False),
    Column("tripped_at", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Index("rollbacks_by_service", "service", "tripped_at"),
)

steps: Final = Table(
    "steps",
    metadata,
    Column("key", String, primary_key=True),
    Column("rollback", String, nullable=False),
    Column("body", Text, nullable=False),
    Index("steps_by_rollback", "rollback"),
)
