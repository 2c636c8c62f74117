"""Since which start of the computer a log was looked at: a power cut may lie before it.

Of logs that were counted before it is not known, which is said of those without a time of day.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.add_column("sources", sa.Column("boot", sa.String(32)))
