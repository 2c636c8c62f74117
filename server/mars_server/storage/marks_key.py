"""The key of the marks by which foreign logs are known: a file of its own, never in the database.

Beside a SQLite database as ``NAME.key``; for PostgreSQL in ``$STATE_DIRECTORY`` (systemd) or
``~/.local/state/mars-server`` of the user who counts, as ``counts-CHECK.key``. The database keeps
``CHECK``, a hash of the key, so that no other key is ever taken: under that every log would be new.
"""

from __future__ import annotations

import os
from hashlib import blake2b
from pathlib import Path

from sqlalchemy import Engine, delete, insert, select

from mars.errors import StateError
from mars.factory import system_chance
from mars.ports import Chance
from mars_server.common.config import write_durably
from mars_server.counting.foreign.identity import OWN
from mars_server.storage.database import database_file, whose
from mars_server.storage.schema import meta, sources

_SIZE = 32
"""Bytes; the file holds them in hex."""
_MARKS = "marks"
"""The key of ``meta`` under which the check stands."""


def marks_key(engine: Engine, chance: Chance | None = None) -> bytes:
    """The database's key, made where no foreign log is known yet. The caller holds the lock.

    Raises ``StateError``: ``marks-key`` where the key that belongs to the database is not there.
    """
    beside = _beside(engine)
    with engine.begin() as connection:
        check = connection.scalar(select(meta.c.value).where(meta.c.key == _MARKS))
        key = _read(_path(beside, check)) if beside or check else None
        if key is not None and _check(key) == check:
            return key
        marked = sources.c.own.is_(None) | sources.c.tail.not_in(("", OWN))
        foreign = select(sources.c.id).where(marked).limit(1)
        if check is not None and connection.scalar(foreign) is not None:
            raise _missing(_path(beside, check))
        if key is None:
            key = (chance or system_chance()).token(_SIZE)
            _write(_path(beside, _check(key)), key)
        connection.execute(delete(meta).where(meta.c.key == _MARKS))
        connection.execute(insert(meta).values(key=_MARKS, value=_check(key)))
    return key


def carry(source: Engine, target: Engine) -> None:
    """Puts the key of ``source`` where that of ``target`` is looked for. Raises as that."""
    with source.connect() as connection:
        check = connection.scalar(select(meta.c.value).where(meta.c.key == _MARKS))
    if check is None:
        return
    places = [_path(_beside(engine), check) for engine in (source, target)]
    key = _read(places[0])
    if key is None or _check(key) != check:
        raise _missing(places[0])
    _write(places[1], key)


def _beside(engine: Engine) -> Path | None:
    file = database_file(engine)
    return file and file.with_name(f"{file.name}.key")


def _path(beside: Path | None, check: str | None) -> Path:
    return beside or _state() / f"counts-{check}.key"


def _state() -> Path:
    if state := os.environ.get("STATE_DIRECTORY", "").partition(":")[0]:
        return Path(state)
    try:
        home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
        return Path(home) / "mars-server"
    except RuntimeError:
        raise StateError(
            "marks-key",
            "This user has no home for the key of the logs' marks; name a folder for it in "
            "XDG_STATE_HOME.",
        ) from None


def _check(key: bytes) -> str:
    return blake2b(key, digest_size=8, person=b"mars-marks-key").hexdigest()


def _read(path: Path) -> bytes | None:
    """None where there is no such key, or a pipe, which is not waited for."""
    try:
        if path.is_fifo():
            return None
        key = bytes.fromhex(path.read_text("ascii"))
    except (FileNotFoundError, ValueError):
        return None
    except OSError as error:
        raise _unusable(path, error) from None
    return key if len(key) == _SIZE else None


def _write(path: Path, key: bytes) -> None:
    """On the disk before any mark is made with it."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_durably(path, [f"{key.hex()}\n".encode("ascii")], 0o600)
    except OSError as error:
        raise _unusable(path, error) from None


def _missing(path: Path) -> StateError:
    return StateError(
        "marks-key",
        f"{path} does not hold the key by which this database knows its logs, so that all would be "
        "counted twice. Put it back from where it was kept (another machine, the folder the "
        "database lay in), or count the logs that are left into a new database.",
    )


def _unusable(path: Path, error: OSError) -> StateError:
    whom = whose(path.with_name(path.stem)) or "; it belongs to the user who counts"
    return StateError(
        "marks-key", f"The key of the logs' marks, {path}: {error.strerror or error}{whom}."
    )
