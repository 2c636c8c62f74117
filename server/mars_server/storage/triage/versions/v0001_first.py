"""The first tables of error reports."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "meta",
        sa.Column("key", sa.String(40), primary_key=True),
        sa.Column("value", sa.String(200), nullable=False),
    )
    _groups()
    _crowds()
    _openings()


def _groups() -> None:
    told = ("release", "summary", "how", "fix", "memo")
    op.create_table(
        "groups",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("title", sa.Text, nullable=False, unique=True),
        sa.Column("state", sa.String(8), nullable=False, server_default="open"),
        *(
            sa.Column(
                name,
                sa.String(20) if name == "release" else sa.Text,
                nullable=False,
                server_default="",
            )
            for name in told
        ),
        sa.Column("changed", sa.String(10), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "reports",
        sa.Column("guid", sa.String(32), primary_key=True),
        sa.Column("group", sa.Integer, sa.ForeignKey("groups.id"), nullable=False),
        sa.Column("release", sa.String(20), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("platform", sa.String(20), nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("week", sa.String(8), nullable=False),
        sa.Column("received", sa.String(10), nullable=False),
    )
    op.create_index("reports_group", "reports", ["group"])


def _crowds() -> None:
    op.create_table(
        "crowds",
        sa.Column("tag", sa.String(64), primary_key=True),
        sa.Column("release", sa.String(20), nullable=False),
        sa.Column("commitments", sa.LargeBinary(320), nullable=False),
        sa.Column("group", sa.Integer, sa.ForeignKey("groups.id")),
        sa.Column("body", sa.Text),
    )
    op.create_index("crowds_group", "crowds", ["group"])
    of_crowd = sa.ForeignKey("crowds.tag", ondelete="CASCADE")
    op.create_table(
        "shares",
        sa.Column("tag", sa.String(64), of_crowd, primary_key=True),
        sa.Column("x", sa.LargeBinary(32), primary_key=True),
        sa.Column("y", sa.LargeBinary(32), nullable=False),
        sa.Column("nonce", sa.LargeBinary(24), nullable=False),
        sa.Column("encrypted", sa.LargeBinary, nullable=False),
        sa.Column("week", sa.String(8), nullable=False),
        sa.Column("received", sa.String(10), nullable=False),
    )
    op.create_table(
        "tombstones",
        sa.Column("prefix", sa.LargeBinary(8), primary_key=True),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("told", sa.Boolean, nullable=False),
    )


def _openings() -> None:
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
        "spools",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("tail", sa.String(40), nullable=False),
        sa.Column("waiting", sa.BigInteger, nullable=False),
        sa.Column("keys", sa.Text, nullable=False),
        sa.Column("opened", sa.String(10), nullable=False),
    )
    op.create_table(
        "trends",
        sa.Column("week", sa.String(8), primary_key=True),
        sa.Column("document", sa.Text, nullable=False),
    )
