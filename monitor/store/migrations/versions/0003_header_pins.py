"""The header lines that endpoints were accepted with, to see drift from them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "header_pins",
        sa.Column("check", sa.String, primary_key=True),
        sa.Column("body", sa.Text, nullable=False),
    )
