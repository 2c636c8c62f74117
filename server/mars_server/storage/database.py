"""Opens the server's database by URL and brings its tables up to date."""

from __future__ import annotations

import fcntl
import os
import re
import sqlite3
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from threading import Event
from types import ModuleType

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, ExceptionContext, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    InterfaceError,
    OperationalError,
    ProgrammingError,
)
from sqlalchemy.pool import NullPool

from mars.errors import ConfigError, StateError
from mars_server.storage.migrations import versions

LOCK_WAIT = 60
"""Seconds that a writer waits for another one before it gives up."""
_MIGRATION_LOCK = 0x6D617273
"""The advisory lock (``mars``) under which one process at a time migrates on PostgreSQL."""


@dataclass(frozen=True)
class Tables:
    """A kind of database: what it is for, and the history of its tables."""

    name: str
    versions: ModuleType
    """Each revision a module ``vNNNN_…``."""
    noted: str
    """The table in which a database of this kind notes its revision."""
    made_by: str
    """The command that makes one."""
    oldest: str
    """The first revision from which there is a way to the present tables."""


COUNTS = Tables("counts", versions, "alembic_version", "mars-server count", "0003")
_KINDS = {COUNTS.noted: COUNTS.name, "triage_version": "error reports"}
"""What is noted in each; one database never holds two kinds."""


def open_database(
    url: str,
    *,
    create: bool = True,
    write: bool = True,
    made: Callable[[str], None] = lambda _: None,
    tables: Tables = COUNTS,
) -> Engine:
    """The database at ``url``, created if need be and migrated to the current tables.

    Without ``write`` the caller only reads, and need not have the right to more. ``made`` is told
    where a new one is: a file's path, or a URL without its password.

    ``sqlite:///PATH`` or ``postgresql://…``. Raises ``ConfigError`` (``database-url``) for any
    other URL, such as one of a database in memory, and ``StateError``: ``database-unavailable``
    where it cannot be reached, ``database-missing`` where there is none and none shall be made
    (``create``), ``database-other`` where it holds tables of another kind, ``database-newer`` where
    a later version of this program made its tables, ``database-older`` where an earlier one did and
    the caller may not change them.
    """
    parsed = _parse(url)
    file = _file(parsed)
    write = write or file is None or _is_writable(file)
    if not create and file is not None and not file.exists():
        raise _missing(parsed, tables)
    try:
        if file is None:
            psycopg = parsed.set(drivername="postgresql+psycopg")
            engine = create_engine(psycopg, poolclass=NullPool)
        else:
            engine = _sqlite(parsed, file) if write else _read_only(parsed, file)
        event.listen(engine, "handle_error", _say_plainly)
        engine.connect().close()
    except (ArgumentError, ValueError, TypeError, ProgrammingError, ModuleNotFoundError):
        raise _bad_url() from None  # their texts may hold the password
    with engine.connect() as connection:
        version = _version(connection, tables)
        if version is None and not create:
            raise _missing(parsed, tables)
        if version != newest(tables):
            _migrate(connection, version, tables, write=write)
    if version is None:
        made(_where(parsed))
    return engine


def sqlite_file(url: str) -> Path | None:
    """The file of the database at ``url``, None on PostgreSQL. Raises ``ConfigError``."""
    return _file(_parse(url))


def database_file(engine: Engine) -> Path | None:
    """The file itself, by whichever name or link it was given; None on PostgreSQL."""
    file = _file(engine.url)
    return file and file.resolve()


def _file(url: URL) -> Path | None:
    return Path(url.database or "") if url.get_backend_name() == "sqlite" else None


def _say_plainly(context: ExceptionContext) -> None:
    """A disk that is full, a server that went away: one sentence, now and at any later time."""
    error = context.sqlalchemy_exception
    if error is None or context.engine is None:
        return
    said, url = _first_line(error), context.engine.url
    file, where = _file(url), _where(url)
    if _STRANGE_TABLES.search(said):
        raise StateError(
            "database-old",
            f"The database {where} does not have the tables that its version should have ({said}): "
            "another program made it, or this one before its first release. Count the logs that "
            "are left into a new one.",
        )
    if isinstance(error, OperationalError | InterfaceError) or type(error) is DatabaseError:
        advice = _advice(said, file.absolute()) if file else ""
        raise StateError("database-unavailable", f"The database {where}: {said}{advice}.")


_STRANGE_TABLES = re.compile(
    r"no such (table|column)|table \S+ already exists|duplicate column"
    r"|(relation|column) \S+ (of relation \S+ )?(does not exist|already exists)"
)
"""What SQLite and PostgreSQL say of tables that are not ours, or not of the time they should be."""


def _advice(said: str, file: Path) -> str:
    """The next step for the commonest faults of a file."""
    if "malformed" in said or "not a database" in said:
        return (
            "; put back a backup, or move it away and have a new one made of the logs and spools "
            "that are left; counts also take over what is published, with publish --adopt"
        )
    if "readonly" in said or "unable to open" in said:
        return whose(file)
    return "; make room on that disk" if "full" in said else ""


def whose(path: Path) -> str:
    """Which of the files of the database at ``path`` this user may not write, and whose they are;
    empty where he may write them all."""
    beside = [path.with_name(path.name + end) for end in ("", "-wal", "-shm", ".lock", ".key")]
    for file in [*beside, path.parent]:
        if os.access(file, os.F_OK) and not os.access(file, os.R_OK | os.W_OK):
            owner = _owner(file)
            return (
                f"; {file} belongs to {owner} and is closed to this user: run this as {owner}, or "
                "give all files of the database to one user (chown)"
            )
    return ""


def _owner(file: Path) -> str:
    try:
        return file.owner()
    except KeyError:
        return f"user {file.stat().st_uid}"


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise _bad_url() from None
    name = parsed.database or ""
    match parsed.get_backend_name():
        case "sqlite" if name and not name.startswith((":memory:", "file:", "~")):
            return parsed
        case "postgresql" if url.count("@") < 2:  # else half a password is taken for the host
            return parsed
    raise _bad_url()


def _bad_url() -> ConfigError:
    return ConfigError(
        "database-url",
        "The database must be given as sqlite:///PATH, a file's path without ~, or as "
        "postgresql://USER@HOST/NAME, with %40 for an @ in a name or password.",
    )


def _missing(url: URL, tables: Tables) -> StateError:
    return StateError(
        "database-missing", f"There is no database {_where(url)}; {tables.made_by} makes it."
    )


def _where(url: URL) -> str:
    """As a message may name it."""
    file = _file(url)
    return str(file.absolute()) if file else url.render_as_string(hide_password=True)


def _sqlite(url: URL, path: Path) -> Engine:
    engine = create_engine(url, connect_args={"timeout": LOCK_WAIT})
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        # Exact counts below ten are nobody else's. SQLite gives its other files the same mode. Not
        # by opening it: closing it again would drop the locks of another thread's connection.
        with suppress(OSError):  # which SQLite explains
            os.mknod(path, 0o600)
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_immediate)
    return engine


def _is_writable(file: Path) -> bool:
    return os.access(file, os.W_OK) and os.access(file.parent, os.W_OK)


def _read_only(url: URL, file: Path) -> Engine:
    """For somebody who may not write: not even the lock of its readers, beside the file.

    While no write-ahead log lies there, nobody has the database open, and all of it is in the file.
    """
    path = file.resolve()
    alone = "" if Path(f"{path}-wal").exists() else "&immutable=1"
    name = f"{path.as_uri()}?mode=ro{alone}"
    engine = create_engine(url, creator=lambda: sqlite3.connect(name, uri=True))
    event.listen(engine, "connect", _close_when_dropped)
    return engine


def _close_when_dropped(connection: object, record: object) -> None:
    # Whoever drops an engine need not know: from CPython 3.13 on a connection that is only
    # dropped, not closed, is a warning.
    weakref.finalize(record, connection.close)  # type: ignore[attr-defined]


def _configure_sqlite(connection: object, record: object) -> None:
    _close_when_dropped(connection, record)
    # The driver's own transactions start late and leave DDL out; ours start at BEGIN IMMEDIATE,
    # so a reader that will write cannot be overtaken between its read and its write.
    connection.isolation_level = None  # type: ignore[attr-defined]
    cursor = connection.cursor()  # type: ignore[attr-defined]
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA secure_delete=ON")  # overwrite what is deleted
    cursor.close()


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _migrate(connection: Connection, version: str | None, tables: Tables, *, write: bool) -> None:
    if version is not None and version > newest(tables):
        raise StateError(
            "database-newer",
            "A newer mars-server made this database's tables; run that one, or upgrade this.",
        )
    if version is not None and version < tables.oldest:
        raise StateError(
            "database-old",
            "This database was made before the first release. Count the logs that are left into a "
            "new one.",
        )
    if not write:
        raise StateError(
            "database-older",
            f"An older mars-server made this database's tables: {tables.made_by} brings them up to "
            "date, by whoever may write it.",
        )
    from alembic import command  # late: most runs find the tables as they should be
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "mars_server:storage/migrations")
    package, _, folder = tables.versions.__name__.partition(".")
    config.set_main_option("path_separator", "space")
    config.set_main_option("version_locations", f"{package}:{folder.replace('.', '/')}")
    config.attributes |= {"connection": connection, "noted": tables.noted}
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
    command.upgrade(config, "head")
    connection.commit()


def newest(tables: Tables = COUNTS) -> str:
    """The newest revision, by the names of the files ``versions/vNNNN_….py``."""
    names = (entry.name for entry in files(tables.versions).iterdir())
    return max(name[1:5] for name in names if name.startswith("v") and name.endswith(".py"))


def _version(connection: Connection, tables: Tables) -> str | None:
    """None of a database without tables of ours."""
    held = inspect(connection)
    if not held.has_table(tables.noted):
        if others := [name for noted, name in _KINDS.items() if held.has_table(noted)]:
            told = f"The database holds {others[0]}; give the {tables.name} one of their own."
            raise StateError("database-other", told)
        return None
    version = connection.scalar(text(f"SELECT version_num FROM {tables.noted}"))  # noqa: S608
    return None if version is None else str(version)


def _first_line(error: Exception) -> str:
    cause = getattr(error, "orig", None) or error
    lines = str(cause).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(cause).__name__


# --- One counter at a time: a second one waits. Freed by the system when it dies ---


_POLL = 0.1
"""Seconds between two tries."""
_PATIENCE = 600
"""Seconds after which a waiting counter gives up."""
_ADVISORY = 0x636F756E74
"""The key (``count``) of PostgreSQL's advisory lock; such locks are per database."""


@contextmanager
def counting_lock(
    engine: Engine, waiting: Callable[[], None] = lambda: None, patience: float = _PATIENCE
) -> Iterator[None]:
    """Held while the body runs; ``waiting`` is called once if another counter holds it.

    Raises ``StateError`` (``database-busy``) after ``patience`` seconds.
    """
    file = database_file(engine)
    if file is None:
        with engine.connect() as connection:
            # A lock of the session: outlives transactions, ends with the connection.
            take = text("SELECT pg_try_advisory_lock(:key)")
            _wait(lambda: bool(connection.scalar(take, {"key": _ADVISORY})), waiting, patience)
            connection.commit()
            yield
        return
    handle = _lock_file(file)
    try:
        _wait(lambda: _flock(handle), waiting, patience)
        yield
    finally:
        os.close(handle)


def _lock_file(database: Path) -> int:
    """Raises ``StateError`` (``database-unavailable``)."""
    path = database.with_name(database.name + ".lock")
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        said = f"{path} cannot be opened ({error.strerror}){whose(database)}."
        raise StateError("database-unavailable", said) from None


def _flock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _wait(take: Callable[[], bool], waiting: Callable[[], None], patience: float) -> None:
    if take():
        return
    waiting()
    pause = Event()
    for _ in range(int(patience / _POLL)):
        pause.wait(_POLL)
        if take():
            return
    raise StateError(
        "database-busy", "Another counter has been using this database for too long; try later."
    )
