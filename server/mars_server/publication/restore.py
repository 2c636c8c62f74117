"""Takes over what a folder publishes, after a loss of the database.

The folder lies on a web server, so nothing is believed but what its index vouches for (the index
itself where the operator signs it), and of that only figures that can be.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final

from mars.errors import ConfigError
from mars.wire.product import CROWD
from mars.wire.times import DAY
from mars_server.common.calendar import is_week
from mars_server.publication import index
from mars_server.publication.folder import DATA, read_week, week_files
from mars_server.storage import Engine
from mars_server.storage.publication import StoredWeek, stored
from mars_server.tables import signed_documents
from mars_server.tables.compose import FloorRules
from mars_server.tables.estimate import (
    STEER_HIGH,
    STEER_LOW,
    WEEK,
    Estimate,
    Interval,
    significant,
)
from mars_server.tables.floor import NO_DATA, Published
from mars_server.tables.quarters import CROSS, EVERY, LONGEST
from mars_server.tables.signed_documents import Served, unknown
from mars_server.tables.week import Week

_FLAGS: Final = {"disturbed", "incomplete", "steered"}
_MOST_DAYS: Final = 100
"""More than any interval (33 days) or privacy budget (100) can be."""
_MOST_HITS: Final = 10**12
_MOST_SECONDS: Final = 2**31 - 1
"""What the database holds of an interval; clients take no more than 30 days."""
_MOST_TEXT: Final = 200
"""Characters of what a request says; the longest sentence has half as many."""
_MOST_SERIAL: Final = 2**53
"""Unix seconds; what a JSON number is sure to hold (RFC 8259, section 6)."""
_STEERED: Final = Interval(STEER_LOW / DAY, STEER_HIGH / DAY + 3)
"""All laws that a document can ask for."""
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_COPY: Final = "restore it from a copy of the site"


def adopt(
    engine: Engine, rules: FloorRules, data: Path, now: int, public: bytes | None = None
) -> list[str]:
    """Takes over the weeks and documents in the folder ``data`` that the database does not know.

    Returns the weeks taken over. ``public`` is the operator's 32-byte key, None where there is
    none. Raises ``WireError`` for a file that is not of the published form and ``ConfigError``
    (``not-adopted``) for one that the index does not vouch for or that is of another product, week
    or form; then nothing is taken over.
    """
    weeks, path = week_files(data), data / signed_documents.FILE
    table = path.read_bytes() if path.is_file() else None
    with stored(engine) as kept:
        kept.lock()
        known = kept.published().keys()
        seen = kept.late()
        new = {week: weeks[week] for week in sorted(set(weeks) - known)}
        documents = signed_documents.decode(table) if table else []
        told = unknown(documents, kept.served())
        if new or told:
            _check_index(data, known, new, table, public)
        for week, document in new.items():
            _check_week(week, read_week(week, document), rules)
            kept.keep(StoredWeek(week, document, seen), now)
        if table and told:
            _check_documents(table, told, rules)
        for each in told:
            kept.keep_served(each)
    return list(new)


def _check_index(
    data: Path,
    known: Collection[str],
    weeks: Mapping[str, bytes],
    table: bytes | None,
    public: bytes | None,
) -> None:
    """The folder must hold what the index names, of weeks that are not ``known`` and of documents,
    and nothing else."""
    listed = index.vouched(data, public)
    if not listed:
        signed = "" if public is None else " that this --sign-key has signed"
        raise _refused(f"{DATA}/ has no {index.INDEX}{signed}; {_COPY}")
    files = {f"{DATA}/{week}.json": document for week, document in weeks.items()}
    if table is not None:
        files[f"{DATA}/{signed_documents.FILE}"] = table
    needed = {path for path in listed if _is_needed(path, known)}
    for path in sorted(needed | files.keys()):
        if path not in files:
            raise _refused(f"{path}, which the index names, is missing; {_COPY}")
        if listed.get(path) != hashlib.sha256(files[path]).hexdigest():
            raise _refused(f"{path} is not the file that the index names; {_COPY}")


def _is_needed(path: str, known: Collection[str]) -> bool:
    folder, _, name = path.rpartition("/")
    week = name.removesuffix(".json")
    is_new = name.endswith(".json") and is_week(week) and week not in known
    return folder == DATA and (is_new or name == signed_documents.FILE)


def _check_week(name: str, week: Week, rules: FloorRules) -> None:
    numbers = [week.interval.low, week.interval.high, week.noise or 1.0]
    wrong = ""
    if not is_week(name) or week.week != name:
        wrong = f"it holds the week {week.week!r}"
    elif (week.product, week.channel) != (rules.product.product, rules.product.channel):
        wrong = f"it belongs to {week.product!r} ({week.channel!r})"
    elif not set(week.flags) <= _FLAGS:
        wrong = "it has unknown flags"
    elif not all(0 < number <= _MOST_DAYS for number in numbers) or numbers[0] > numbers[1]:
        wrong = "its interval or noise cannot be"
    elif not _estimate_fits(week, week.estimate, week.hits):
        wrong = "its estimate does not fit its hits"
    elif not week.of_old and not _estimate_fits(week, week.tracked, _tracked(week)):
        wrong = "its estimate of those who send metrics does not fit their hits"
    elif not _periods_fit(week):
        wrong = "its periods or its crowd cannot be"
    elif not week.noise and not _parts_fit(week):
        wrong = "its tables do not add up to its hits"
    if wrong:
        raise _refused(f"{DATA}/{name}.json was not taken over: {wrong}; {_COPY}")


def _tracked(week: Week) -> Published:
    return week.count("level", "tracked") or NO_DATA


def _periods_fit(week: Week) -> bool:
    """Whether the crowd is one, each period holds the week, and rows stand only where one ends."""
    if week.of_old:
        return True
    told = {name for name, rows in week.tables.items() if rows}
    told |= {CROSS} if week.pairs else set()
    said = week.request.isprintable() and len(week.request) <= _MOST_TEXT
    return (
        said
        and CROWD.fullmatch(str(week.crowd)) is not None
        and all(
            is_week(each.first)
            and is_week(each.last)
            and each.first <= week.week <= each.last
            and each.every in EVERY
            and each.weeks <= LONGEST
            and (name not in told or each.last == week.week)
            for name, each in week.periods.items()
        )
    )


def _estimate_fits(week: Week, guess: Estimate | None, hits: Published) -> bool:
    """Whether some law turns these hits into this estimate; how exactly changes with versions."""
    law = _STEERED if "steered" in week.flags else week.interval
    if guess is None or hits.missing:
        return guess is None and hits.missing
    least = significant(hits.least * law.low / WEEK, math.floor)
    most = significant(hits.most * law.high / WEEK, math.ceil)
    ordered = 0 <= guess.low <= guess.installations <= guess.high <= _MOST_HITS
    return ordered and least <= guess.installations <= most


def _parts_fit(week: Week) -> bool:
    """Whether no table of the week alone has more hits than the week, and the levels, of which each
    hit has one, have as many. Without noise alone, which is drawn for each number by itself."""
    tables = [
        [row.count for row in rows]
        for name, rows in week.tables.items()
        if week.since(name) == week.week
    ]
    if week.since(CROSS) == week.week:
        tables.append([pair.count for pair in week.pairs])
    fewest = [sum(count.least for count in counts) for counts in tables]
    most = sum(row.count.most for row in week.tables["level"])
    return max(fewest) <= week.hits.most and most >= week.hits.least


def _check_documents(table: bytes, documents: Sequence[Served], rules: FloorRules) -> None:
    head = json.loads(table)
    owner = (head.get("product"), head.get("channel"))
    if owner != (rules.product.product, rules.product.channel):
        raise _refused(f"{DATA}/{signed_documents.FILE} belongs to another product or channel")
    for each in documents:
        hashes = _SHA256.fullmatch(each.sha256) and _SHA256.fullmatch(each.payload_sha256)
        asked = each.reportback_next or 0
        if not (hashes and 0 <= each.serial <= _MOST_SERIAL and 0 <= asked <= _MOST_SECONDS):
            raise _refused(
                f"{DATA}/{signed_documents.FILE} has hashes or numbers that cannot be; {_COPY}"
            )


def _refused(why: str) -> ConfigError:
    return ConfigError("not-adopted", f"{why}.")
