"""Proves that spools hold sealed reports and nothing else, and deletes what was read or is old."""

from __future__ import annotations

from binascii import Error, a2b_base64, b2a_base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path

from mars.errors import StateError
from mars.wire.sealed import SIZES, key_of
from mars_server.counting.blocks import Watch
from mars_server.counting.foreign.identity import sealed_tail
from mars_server.counting.foreign.known_logs import Register
from mars_server.counting.foreign.probe import probe
from mars_server.counting.streams import CHUNK
from mars_server.daylog.format import SPOOL, SPOOL_COMMENT
from mars_server.operate.doctor import Closed, Finding, closed_logs, each_line, modes, own, strange

Positions = Mapping[str, int]
"""Bytes of each spool that a database has read to the end, by the spool's id."""
Read = Sequence[Positions]
"""By each of the databases that read spools; none where there is no database."""


def examine(folder: Path, read: Read, today: date, keep_days: int) -> list[Finding]:
    """Looks at every line. No finding quotes a byte of one. Raises ``OSError``."""
    entries = sorted(folder.iterdir())
    files = [path for path in entries if path.is_file()]
    closed, text = modes(folder, files)
    found = {
        "spool-files": strange(entries, SPOOL),
        "spool-lines": _lines(files),
        "spool-modes": (closed, "no other user can read the spools" if closed else text),
        "spool-retention": _retention(folder, read, today, keep_days),
    }
    return [Finding(name, ok, text) for name, (ok, text) in found.items()]


def _lines(files: list[Path]) -> tuple[bool, str]:
    total = wrong = foreign = 0
    for path in files:
        for line in each_line(path):
            if SPOOL_COMMENT.fullmatch(line):
                continue
            total += 1
            body = _body(line)
            wrong += body is None
            foreign += body is not None and key_of(body) is None
    if wrong:
        return False, f"{wrong} of {total} lines are no posted body of one of the two sizes"
    text = f"{total} reports of the two sizes, in base64 and no word more"
    strangers = f"; {foreign} are not sealed as ours are, for whoever posts may post anything"
    return True, text + (strangers if foreign else "")


def _body(line: bytes) -> bytes | None:
    """What was posted, None where ``line`` is not how that is written."""
    try:
        body = a2b_base64(line)
    except Error:
        return None
    return body if len(body) in SIZES and b2a_base64(body) == line else None


def _retention(folder: Path, read: Read, today: date, keep_days: int) -> tuple[bool, str]:
    due = list(due_spools(folder, read, today, keep_days))
    if due:
        return False, f"{len(due)} spool(s) are read, or older than {keep_days} days: retain"
    return True, f"no spool is read and still here, or older than {keep_days} days"


def due_spools(
    folder: Path,
    read: Read,
    today: date,
    keep_days: int,
    is_same: Callable[[Closed], bool] = lambda _: True,
) -> Iterator[Closed]:
    """Those that every database has read to the end, or that were closed more than ``keep_days``
    ago. ``is_same`` says of one by its content whether it is the spool that was read. Raises
    ``OSError``."""
    for spool in closed_logs(folder, SPOOL):
        closed = datetime.fromtimestamp(spool.path.stat().st_mtime, UTC).date()
        is_old = (today - max(spool.day, closed)).days > keep_days
        if is_old or (_is_read(read, spool) and is_same(spool)):
            yield spool


def _is_read(read: Read, spool: Closed) -> bool:
    return bool(read) and all(each.get(spool.token) == spool.size for each in read)


def is_counted(register: Register, spool: Closed) -> bool:
    """Whether a database has read this very spool, and no other with its id, to the end. Raises
    ``OSError`` and ``StateError`` (``marks-key``)."""
    found = probe(str(spool.path))
    try:
        verdict, _ = register.plan(found)
    except StateError as error:
        if error.reason in ("log-changed", "log-moved"):
            return False
        raise
    return verdict.source is not None and verdict.start == found.length


def is_triaged(tails: Mapping[str, str], spool: Closed) -> bool:
    """Whether triage has read this very spool; ``tails`` by id. Raises ``OSError``."""
    watch = Watch()
    with spool.path.open("rb") as file:
        for chunk in iter(partial(file.read, CHUNK), b""):
            watch.see(chunk)
    return tails.get(spool.token) == sealed_tail(watch.tail)


def retain(
    folder: Path,
    read: Read,
    today: date,
    keep_days: int,
    remove: bool = True,
    is_same: Callable[[Closed], bool] = lambda _: True,
) -> list[Closed]:
    """Deletes (or with ``remove=False`` only lists) what is due. Raises ``OSError``."""
    due = due_spools(folder, read, today, keep_days, is_same)
    gone = [spool for spool in due if own(spool.path) == spool.token]
    for spool in gone:
        if remove:
            spool.path.unlink(missing_ok=True)
    return gone
