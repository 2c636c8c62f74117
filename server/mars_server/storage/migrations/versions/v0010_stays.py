"""In which format a log was read, and why it must not be removed as one that was counted whole."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    for name in ("format", "stays"):
        op.add_column("sources", sa.Column(name, sa.String(8)))
