"""The counts database: marginals per day and variable, and version × platform; never a tuple.

One database belongs to one product and channel (``meta``). Days are ISO dates, weeks ISO weeks
(``2026-W12``), both as text, so that they read and sort the same on SQLite and PostgreSQL.
"""

from __future__ import annotations

from typing import Any

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
    true,
)

metadata = MetaData()


def _table(name: str, *parts: Column[Any] | Index, **options: Any) -> Table:
    return Table(name, metadata, *parts, **options)


meta = _table(
    "meta",
    Column("key", String(40), primary_key=True),
    Column("value", String(200), nullable=False),
)

counts = _table(
    "counts",
    Column("day", String(10), primary_key=True),
    Column("variable", String(8), primary_key=True),
    Column("value", String(40), primary_key=True),
    Column("n", BigInteger, nullable=False),
)
"""Hits of one day by ``variable`` (``level v os ia lang py cc``) and value."""

pairs = _table(
    "pairs",
    Column("day", String(10), primary_key=True),
    Column("v", String(40), primary_key=True),
    Column("os", String(40), primary_key=True),
    Column("n", BigInteger, nullable=False),
)
"""Hits of one day by version × platform, the only cross table."""

weeks = _table(
    "weeks",
    Column("week", String(8), primary_key=True),
    Column("published", BigInteger, nullable=False),
    Column("late", BigInteger, nullable=False, default=0),
)
"""Weeks that are published and thereby closed: ``published`` is Unix time, ``late`` the exact
number of hits that came too late for the week and were dropped."""

sources = _table(
    "sources",
    Column("id", Integer, primary_key=True),
    Column("own", String(32), unique=True),
    Column("ladder", String(1000), nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("tail", String(32), nullable=False),
    Column("inode", String(48)),
    Column("timeless", Boolean, nullable=False, server_default=true()),
    Column("lines", BigInteger, nullable=False),
    Column("hits", BigInteger, nullable=False),
    Column("unread", BigInteger, nullable=False, server_default="0"),
    Column("first_day", String(10)),
    Column("last_day", String(10)),
    Column("counted", BigInteger, nullable=False),
    Column("format", String(8)),
    Column("stays", String(8)),
    Column("boot", String(32)),
    Column("waiting", BigInteger, nullable=False, server_default="0"),
    Column("keys", Text),
    Column("day", String(10)),
    Column("catalogue", String(32)),
)
"""Generations of logs, known by content (``mars_server.counting.foreign.identity``): ``position``
bytes of it are counted; ``timeless`` until a time of day is seen in it; ``first_day`` and
``last_day`` of its hits; ``unread`` about how many of its lines fit no format; ``counted`` is Unix
time, to the day where the log is not our own; ``format`` is the one it was first read in, NULL
where that is not known; ``stays`` why it must not be removed: ``unread`` lines were told, or it was
``changed`` after it had been counted; ``boot`` the computer's start since which it was last looked
at; ``waiting`` how many lines of a spool wait for keys that were not given, ``keys`` the ids (hex,
a space between two) of those with which it was opened as far as ``position``, ``day`` its own, and
``catalogue`` the hash of the registry by which lines were dropped that another may count, NULL
where none were. ``ladder``,
``tail``, ``inode`` and ``boot`` are under a key that is not in here
(``mars_server.counting.foreign.known_logs``)."""

gaps = _table(
    "gaps",
    Column("day", String(10), primary_key=True),
    Column("lost", BigInteger, nullable=False),
)
"""Answers of a day that its server could not write down."""

archives = _table(
    "archives",
    Column("fingerprint", String(32), primary_key=True),
    Column("source", Integer, ForeignKey("sources.id", ondelete="CASCADE"), nullable=False),
    Index("archives_source", "source"),
)
"""Compressed logs that are counted to their end, by a hash of inode, size and time, under the key
too where the log is not our own."""

publications = _table(
    "publications",
    Column("week", String(8), primary_key=True),
    Column("document", Text, nullable=False),
    Column("late_seen", BigInteger, nullable=False),
)
"""What was published of each week: ``document`` is the text of ``WEEK.json``, ``late_seen`` the
exact number of late hits over all weeks that was known, and so reported, by then."""

documents = _table(
    "documents",
    Column("sha256", String(64), primary_key=True),
    Column("payload_sha256", String(64), nullable=False),
    Column("serial", BigInteger, nullable=False),
    Column("reportback_next", Integer),
)
"""Signed documents that were served, by the hash of the file, and the seconds between two fetches
that they ask for (null where the document was recorded before this was)."""

statistics = _table(
    "statistics",
    Column("week", String(8), primary_key=True),
    Column("name", String(128), primary_key=True),
    Column("release", String(20), primary_key=True),
    Column("value", String(40), primary_key=True),
    Column("n", BigInteger, nullable=False),
)
"""Opened reports of one week by entry (``project/key``), release and value, exact."""

dropped = _table(
    "dropped",
    Column("week", String(8), primary_key=True),
    Column("reason", String(20), primary_key=True),
    Column("n", BigInteger, nullable=False),
)
"""Lines of spools that are no report that counts, by reason; for the operator alone."""

openings = _table(
    "openings",
    Column("week", String(8), primary_key=True),
    Column("digest", LargeBinary(16), primary_key=True),
    sqlite_with_rowid=False,
)
"""Sealed lines that were opened: a hash of each, by the week of the key that it is sealed to, so
that equal ones count once. It is under a key that follows from that secret one. Rows of a week go
42 days after its end, once it is closed."""

intake_keys = _table(
    "intake_keys",
    Column("id", String(16), primary_key=True),
    Column("week", String(8), nullable=False),
)
"""Keys of the intake, by their ids in hex, that a count was given which opened a spool."""

statistics_weeks = _table(
    "statistics_weeks",
    Column("week", String(8), primary_key=True),
    Column("published", BigInteger, nullable=False),
    Column("late", BigInteger, nullable=False, default=0),
)
"""As ``weeks``, of reports."""

statistics_publications = _table(
    "statistics_publications",
    Column("week", String(8), primary_key=True),
    Column("document", Text, nullable=False),
    Column("late_seen", BigInteger, nullable=False),
)
"""As ``publications``: ``document`` is the text of ``statistics-WEEK.json``."""

faults_publications = _table(
    "faults_publications",
    Column("week", String(8), primary_key=True),
    Column("document", Text, nullable=False),
)
"""The text of ``faults-WEEK.json``, which triage gave; no count behind it is here."""
