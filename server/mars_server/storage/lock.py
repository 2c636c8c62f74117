"""One counter at a time per database: a second one waits. Freed by the system when it dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

from sqlalchemy import Engine, text

from mars.errors import StateError
from mars_server.storage.database import whose

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
    if engine.dialect.name == "postgresql":
        with engine.connect() as connection:
            # A lock of the session: outlives transactions, ends with the connection.
            take = text("SELECT pg_try_advisory_lock(:key)")
            _wait(lambda: bool(connection.scalar(take, {"key": _ADVISORY})), waiting, patience)
            connection.commit()
            yield
        return
    handle = _lock_file(Path(database_file(engine)))
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


def database_file(engine: Engine) -> str:
    """The file itself, by whichever name or link it was given."""
    return os.path.realpath(engine.url.database or "")


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
