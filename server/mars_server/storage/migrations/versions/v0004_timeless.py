"""Whether a log holds a time of day, so that a copy cut within midnight is known as one.

Logs that were counted before stay what they were taken for when their lines held none; the next
count that sees a time of day in one corrects it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column(
        "sources", sa.Column("timeless", sa.Boolean, nullable=False, server_default=sa.true())
    )
