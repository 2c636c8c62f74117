"""Answers that a server could not write down, by day, so that a gap shows as one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "gaps",
        sa.Column("day", sa.String(10), primary_key=True),
        sa.Column("lost", sa.BigInteger, nullable=False),
    )
