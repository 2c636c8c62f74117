"""Opened statistics by week, which sealed lines are counted with which keys, and what was published
of them; and of faults, which are counted elsewhere."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.create_table(
        "statistics",
        sa.Column("week", sa.String(8), primary_key=True),
        sa.Column("name", sa.String(128), primary_key=True),
        sa.Column("release", sa.String(20), primary_key=True),
        sa.Column("value", sa.String(40), primary_key=True),
        sa.Column("n", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "dropped",
        sa.Column("week", sa.String(8), primary_key=True),
        sa.Column("reason", sa.String(20), primary_key=True),
        sa.Column("n", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "openings",
        sa.Column("week", sa.String(8), primary_key=True),
        sa.Column("digest", sa.LargeBinary(16), primary_key=True),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "statistics_weeks",
        sa.Column("week", sa.String(8), primary_key=True),
        sa.Column("published", sa.BigInteger, nullable=False),
        sa.Column("late", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "statistics_publications",
        sa.Column("week", sa.String(8), primary_key=True),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("late_seen", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "faults_publications",
        sa.Column("week", sa.String(8), primary_key=True),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.add_column(
        "sources", sa.Column("waiting", sa.BigInteger, nullable=False, server_default="0")
    )
    op.add_column("sources", sa.Column("keys", sa.Text))
    op.add_column("sources", sa.Column("day", sa.String(10)))
    op.add_column("sources", sa.Column("catalogue", sa.String(32)))
    op.create_table(
        "intake_keys",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("week", sa.String(8), nullable=False),
    )
