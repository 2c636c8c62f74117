"""The tables of error reports. Days are ISO days and weeks ISO weeks, as text; no time of day."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

from mars_server.storage.schema import meta as _meta

metadata = MetaData()
meta = _meta.to_metadata(metadata)
"""Product and channel; the newest serial of the broadcast, and the secret that fills it up."""

groups = Table(
    "groups",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("title", Text, nullable=False, unique=True),
    Column("state", String(8), nullable=False, server_default="open"),
    Column("release", String(20), nullable=False, server_default=""),
    Column("summary", Text, nullable=False, server_default=""),
    Column("how", Text, nullable=False, server_default=""),
    Column("fix", Text, nullable=False, server_default=""),
    Column("memo", Text, nullable=False, server_default=""),
    Column("changed", String(10), nullable=False),
    sqlite_autoincrement=True,
)
"""Faults that fall together. ``state`` is ``open`` or ``resolved``, ``release`` the one it is fixed
in, ``summary``, ``how`` and ``fix`` what those who sent one are told, ``memo`` for the operator
alone, ``changed`` the day on which a person last changed any of it, empty for never. Of a group
without a report ``title`` is ``#`` and a hash, kept only where a person resolved it."""

reports = Table(
    "reports",
    metadata,
    Column("guid", String(32), primary_key=True),
    Column("group", Integer, ForeignKey("groups.id"), nullable=False),
    Column("release", String(20), nullable=False),
    Column("body", Text, nullable=False),
    Column("platform", String(20), nullable=False),
    Column("message", Text, nullable=False),
    Column("week", String(8), nullable=False),
    Column("received", String(10), nullable=False),
    Index("reports_group", "group"),
)
"""Direct reports. ``body`` is ``Fault.body``, ``week`` that of the intake's key, ``received`` the
day of its spool."""

crowds = Table(
    "crowds",
    metadata,
    Column("tag", String(64), primary_key=True),
    Column("release", String(20), nullable=False),
    Column("commitments", LargeBinary(320), nullable=False),
    Column("group", Integer, ForeignKey("groups.id")),
    Column("body", Text),
    Index("crowds_group", "group"),
)
"""Faults by their tags; ``group`` and ``body`` (``Fault.body``) once ten shares gave them."""

shares = Table(
    "shares",
    metadata,
    Column("tag", String(64), ForeignKey("crowds.tag", ondelete="CASCADE"), primary_key=True),
    Column("x", LargeBinary(32), primary_key=True),
    Column("y", LargeBinary(32), nullable=False),
    Column("nonce", LargeBinary(24), nullable=False),
    Column("encrypted", LargeBinary, nullable=False),
    Column("week", String(8), nullable=False),
    Column("received", String(10), nullable=False),
)
"""Verified shares, one of each installation and fault. Numbers are little-endian."""

tombstones = Table(
    "tombstones",
    metadata,
    Column("prefix", LargeBinary(8), primary_key=True),
    Column("day", String(10), nullable=False),
    Column("told", Boolean, nullable=False),
)
"""Deleted reports: the first bytes of the GUID, which is a hash, and nothing else. ``told``: there
was a report, so that the broadcast says that it is gone."""

dropped = Table(
    "dropped",
    metadata,
    Column("week", String(8), primary_key=True),
    Column("reason", String(20), primary_key=True),
    Column("n", BigInteger, nullable=False),
)
"""Lines of spools that are no report that is kept, by reason; for the operator alone."""

openings = Table(
    "openings",
    metadata,
    Column("week", String(8), primary_key=True),
    Column("digest", LargeBinary(16), primary_key=True),
    sqlite_with_rowid=False,
)
"""A keyed hash of each sealed line that was opened, as that of the counts."""

spools = Table(
    "spools",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("tail", String(40), nullable=False),
    Column("waiting", BigInteger, nullable=False),
    Column("keys", Text, nullable=False),
    Column("opened", String(10), nullable=False),
)
"""Spools that were read to the end: their bytes, a hash of the last of these (as ``count`` has it),
how many lines are ``waiting`` for keys that were not given, the ids of those that were, the day."""

trends = Table(
    "trends",
    metadata,
    Column("week", String(8), primary_key=True),
    Column("document", Text, nullable=False),
)
"""Floored figures of weeks that are over; never changed."""
