"""When spools were opened, with the keys of which weeks and by which registry, and their days."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.create_table(
        "intake_keys",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("week", sa.String(8), nullable=False),
    )
    op.add_column("sources", sa.Column("day", sa.String(10)))
    op.add_column("sources", sa.Column("catalogue", sa.String(32)))
    op.execute(
        "INSERT INTO meta (key, value) SELECT 'spools-opened', CAST(max(counted) AS VARCHAR(20)) "
        "FROM sources WHERE format = 'spool' AND keys IS NOT NULL HAVING max(counted) IS NOT NULL"
    )
