"""The tables of the store: columns for what is searched, JSON for the rest of each record.

Times and durations are whole microseconds, times since 1970 in UTC. Plain SQL: a database library
would cost each start a tenth of a second, and each process 15 MB.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

REVISIONS: Final = ("0001", "0002", "0003", "0004", "0005")
"""The revisions of the schema, oldest first; the files are in `migrations/versions`."""

SCHEMA: Final = (
    """
    CREATE TABLE check_states (
        "check" VARCHAR NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY ("check")
    )
    """,
    # Long texts that result rows repeat: names of endpoints, and JSON lists of their checks.
    """
    CREATE TABLE names (
        id INTEGER NOT NULL,
        name TEXT NOT NULL,
        PRIMARY KEY (id),
        UNIQUE (name)
    )
    """,
    # One row a probe, kept together by endpoint: windows, history and pruning all go by endpoint.
    # `outcomes` is a letter for each of the `checks`, in their order.
    """
    CREATE TABLE results (
        endpoint INTEGER NOT NULL,
        at BIGINT NOT NULL,
        duration BIGINT NOT NULL,
        latency BIGINT,
        scheduled BOOLEAN NOT NULL,
        checks INTEGER NOT NULL,
        outcomes VARCHAR NOT NULL,
        code VARCHAR,
        status INTEGER,
        version TEXT,
        value FLOAT,
        PRIMARY KEY (endpoint, at)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE incidents (
        id VARCHAR NOT NULL,
        service VARCHAR NOT NULL,
        opened_at BIGINT NOT NULL,
        resolved_at BIGINT,
        body TEXT NOT NULL,
        PRIMARY KEY (id)
    )
    """,
    "CREATE INDEX incidents_by_end ON incidents (resolved_at)",
    "CREATE INDEX incidents_by_start ON incidents (opened_at)",
    """
    CREATE TABLE timeline (
        incident VARCHAR NOT NULL,
        sequence INTEGER NOT NULL,
        at BIGINT NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (incident, sequence)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE deliveries (
        id VARCHAR NOT NULL,
        notifier VARCHAR NOT NULL,
        incident VARCHAR NOT NULL,
        state VARCHAR NOT NULL,
        queued_at BIGINT NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (id)
    )
    """,
    "CREATE INDEX deliveries_by_incident ON deliveries (incident)",
    "CREATE INDEX deliveries_by_state ON deliveries (state, queued_at)",
    "CREATE INDEX deliveries_by_time ON deliveries (queued_at)",
    """
    CREATE TABLE deploys (
        id VARCHAR NOT NULL,
        service VARCHAR NOT NULL,
        at BIGINT NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (id)
    )
    """,
    "CREATE INDEX deploys_by_service ON deploys (service, at)",
    """
    CREATE TABLE rollbacks (
        id VARCHAR NOT NULL,
        service VARCHAR NOT NULL,
        deploy VARCHAR NOT NULL,
        state VARCHAR NOT NULL,
        tripped_at BIGINT NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (id)
    )
    """,
    "CREATE INDEX rollbacks_by_service ON rollbacks (service, tripped_at)",
    """
    CREATE TABLE steps (
        key VARCHAR NOT NULL,
        rollback VARCHAR NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (key)
    )
    """,
    "CREATE INDEX steps_by_rollback ON steps (rollback)",
    """
    CREATE TABLE header_pins (
        "check" VARCHAR NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY ("check")
    )
    """,
    """
    CREATE TABLE heartbeats (
        endpoint VARCHAR NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (endpoint)
    )
    """,
    """
    CREATE TABLE presences (
        id INTEGER NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (id)
    )
    """,
    """
    CREATE TABLE silences (
        id VARCHAR NOT NULL,
        ends_at BIGINT NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (id)
    )
    """,
)
"""What makes a new store; a test holds it against what the migrations make."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table whose rows are written whole, by their key."""

    name: str
    key: tuple[str, ...]
    rest: tuple[str, ...]

    @cached_property
    def upsert(self) -> str:
        """The statement that writes a row, given as a value for each column by its name."""
        columns = (*self.key, *self.rest)
        values = ", ".join(f":{column}" for column in columns)
        changes = ", ".join(f'"{column}" = excluded."{column}"' for column in self.rest)

        return (
            f"INSERT INTO {self.name} ({_quoted(columns)}) VALUES ({values})"  # noqa: S608 - our own
            f" ON CONFLICT ({_quoted(self.key)}) DO UPDATE SET {changes}"
        )


def _quoted(columns: tuple[str, ...]) -> str:
    return ", ".join(f'"{column}"' for column in columns)


CHECK_STATES: Final = Table(name="check_states", key=("check",), rest=("body",))
RESULTS: Final = Table(
    name="results",
    key=("endpoint", "at"),
    rest=(
        "duration",
        "latency",
        "scheduled",
        "checks",
        "outcomes",
        "code",
        "status",
        "version",
        "value",
    ),
)
INCIDENTS: Final = Table(
    name="incidents", key=("id",), rest=("service", "opened_at", "resolved_at", "body")
)
TIMELINE: Final = Table(name="timeline", key=("incident", "sequence"), rest=("at", "body"))
DELIVERIES: Final = Table(
    name="deliveries", key=("id",), rest=("notifier", "incident", "state", "queued_at", "body")
)
DEPLOYS: Final = Table(name="deploys", key=("id",), rest=("service", "at", "body"))
ROLLBACKS: Final = Table(
    name="rollbacks", key=("id",), rest=("service", "deploy", "state", "tripped_at", "body")
)
HEADER_PINS: Final = Table(name="header_pins", key=("check",), rest=("body",))
HEARTBEATS: Final = Table(name="heartbeats", key=("endpoint",), rest=("body",))
PRESENCES: Final = Table(name="presences", key=("id",), rest=("body",))
SILENCES: Final = Table(name="silences", key=("id",), rest=("ends_at", "body"))
STEPS: Final = Table(name="steps", key=("key",), rest=("rollback", "body"))
