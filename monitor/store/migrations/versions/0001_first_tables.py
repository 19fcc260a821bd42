"""The first tables: counters, results, incidents, the outbox, deploys and rollbacks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    _create_results()
    _create_incidents()
    _create_rollbacks()


def _create_results() -> None:
    op.create_table(
        "check_states",
        sa.Column("check", sa.String, primary_key=True),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table(
        "names",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
    )
    op.create_table(
        "results",
        sa.Column("endpoint", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("duration", sa.BigInteger, nullable=False),
        sa.Column("latency", sa.BigInteger),
        sa.Column("scheduled", sa.Boolean, nullable=False),
        sa.Column("checks", sa.Integer, nullable=False),
        sa.Column("outcomes", sa.String, nullable=False),
        sa.Column("code", sa.String),
        sa.Column("status", sa.Integer),
        sa.Column("version", sa.Text),
        sqlite_with_rowid=False,
    )


def _create_incidents() -> None:
    op.create_table(
        "incidents",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("service", sa.String, nullable=False),
        sa.Column("opened_at", sa.BigInteger, nullable=False),
        sa.Column("resolved_at", sa.BigInteger),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("incidents_by_end", "incidents", ["resolved_at"])
    op.create_index("incidents_by_start", "incidents", ["opened_at"])
    op.create_table(
        "timeline",
        sa.Column("incident", sa.String, primary_key=True),
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "deliveries",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("notifier", sa.String, nullable=False),
        sa.Column("incident", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("queued_at", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("deliveries_by_incident", "deliveries", ["incident"])
    op.create_index("deliveries_by_state", "deliveries", ["state", "queued_at"])
    op.create_index("deliveries_by_time", "deliveries", ["queued_at"])


def _create_rollbacks() -> None:
    op.create_table(
        "deploys",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("service", sa.String, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("deploys_by_service", "deploys", ["service", "at"])
    op.create_table(
        "rollbacks",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("service", sa.String, nullable=False),
        sa.Column("deploy", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("tripped_at", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("rollbacks_by_service", "rollbacks", ["service", "tripped_at"])
    op.create_table(
        "steps",
        sa.Column("key", sa.String, primary_key=True),
        sa.Column("rollback", sa.String, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("steps_by_rollback", "steps", ["rollback"])
