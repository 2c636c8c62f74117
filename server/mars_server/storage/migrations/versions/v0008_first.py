"""The first tables: counts and pairs, weeks, sources, what the database is for; answers that were
not written down; what was published of each week; the signed documents that were served."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "meta",
        sa.Column("key", sa.String(40), primary_key=True),
        sa.Column("value", sa.String(200), nullable=False),
    )
    op.create_table(
        "counts",
        sa.Column("day", sa.String(10), primary_key=True),
        sa.Column("variable", sa.String(8), primary_key=True),
        sa.Column("value", sa.String(40), primary_key=True),
        sa.Column("n", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "pairs",
        sa.Column("day", sa.String(10), primary_key=True),
        sa.Column("v", sa.String(40), primary_key=True),
        sa.Column("os", sa.String(40), primary_key=True),
        sa.Column("n", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "weeks",
        sa.Column("week", sa.String(8), primary_key=True),
        sa.Column("published", sa.BigInteger, nullable=False),
        sa.Column("late", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "sources",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("own", sa.String(32), unique=True),
        sa.Column("ladder", sa.String(1000), nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("tail", sa.String(32), nullable=False),
        sa.Column("inode", sa.String(48)),
        sa.Column("timeless", sa.Boolean, nullable=False, server_default=sa.true()),
        sa.Column("lines", sa.BigInteger, nullable=False),
        sa.Column("hits", sa.BigInteger, nullable=False),
        sa.Column("first_day", sa.String(10)),
        sa.Column("last_day", sa.String(10)),
        sa.Column("counted", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "archives",
        sa.Column("fingerprint", sa.String(32), primary_key=True),
        sa.Column(
            "source", sa.Integer, sa.ForeignKey("sources.id", ondelete="CASCADE"), nullable=False
        ),
    )
    op.create_index("archives_source", "archives", ["source"])
    op.create_table(
        "publications",
        sa.Column("week", sa.String(8), primary_key=True),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("late_seen", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "documents",
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("payload_sha256", sa.String(64), nullable=False),
        sa.Column("serial", sa.BigInteger, nullable=False),
        sa.Column("reportback_next", sa.Integer),
    )
    op.create_table(
        "gaps",
        sa.Column("day", sa.String(10), primary_key=True),
        sa.Column("lost", sa.BigInteger, nullable=False),
    )
