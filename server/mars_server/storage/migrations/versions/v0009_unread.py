"""How many lines of a log fit no format: such a log is not removed as one that was read.

Of those counted before, the ones without any hit count as unread; they stay until somebody looks.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column("sources", sa.Column("unread", sa.BigInteger, nullable=False, server_default="0"))
    op.execute("UPDATE sources SET unread = lines WHERE hits = 0 AND own IS NULL")
