"""The interval that each served document asked for, so that hits are weighted by it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("documents", sa.Column("reportback_next", sa.Integer))
