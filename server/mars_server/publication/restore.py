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
from dataclasses import replace
from pathlib import Path
from typing import Final

from mars.errors import ConfigError, WireError
from mars.wire.catalogue import Catalogue
from mars.wire.product import CROWD, is_release
from mars.wire.registry import EVENTS, MAX_LABEL, MAX_TEXT, PURPOSES, Metric, is_entry
from mars.wire.times import DAY
from mars_server.common.calendar import is_week
from mars_server.publication import index
from mars_server.publication.folder import (
    DATA,
    FAULTS,
    HITS,
    STATISTICS,
    read_faults,
    read_statistics,
    read_week,
    week_files,
)
from mars_server.storage import Engine
from mars_server.storage.publication import Closed, StoredFaults, StoredWeek, stored
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
from mars_server.tables.faults import Faults
from mars_server.tables.floor import NO_DATA, Published
from mars_server.tables.quarters import CROSS, EVERY, LONGEST, Summed
from mars_server.tables.signed_documents import Served, unknown
from mars_server.tables.statistics import OTHER
from mars_server.tables.statistics_week import Entry, StatisticsWeek
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

    Returns the weeks of hits taken over; those of statistics and faults come with them. ``public``
    is the operator's 32-byte key, None where there is none. Raises ``WireError`` for a file that is
    not of the published form and ``ConfigError`` (``not-adopted``) for one that the index does not
    vouch for or that is of another product, week or form; then nothing is taken over.
    """
    path = data / signed_documents.FILE
    table = path.read_bytes() if path.is_file() else None
    with stored(engine) as kept:
        kept.lock()
        weeks, reports = _new(kept, data, HITS), _new(kept.statistics, data, STATISTICS)
        faults = _new(kept.faults, data, FAULTS)
        documents = signed_documents.decode(table) if table else []
        told = unknown(documents, kept.served())
        if weeks or reports or faults or told:
            found = {f"{HITS}{week}.json": document for week, document in weeks.items()}
            found |= {f"{STATISTICS}{week}.json": document for week, document in reports.items()}
            found |= {f"{FAULTS}{week}.json": document for week, document in faults.items()}
            found |= {} if table is None else {signed_documents.FILE: table}
            known = {HITS: kept.published().keys(), STATISTICS: kept.statistics.published().keys()}
            known[FAULTS] = kept.faults.published().keys()
            _check_index(data, known, found, public)
        for week, document in weeks.items():
            _check_week(week, read_week(week, document), rules)
            kept.keep(StoredWeek(week, document, kept.late()), now)
        for week, document in reports.items():
            _check_statistics(week, read_statistics(week, document), rules)
            kept.statistics.keep(StoredWeek(week, document, kept.statistics.late()), now)
            kept.statistics.note_uncertain(week)
        for week, document in faults.items():
            _check_faults(week, document, rules)
            kept.faults.keep(week, document)
        if table and told:
            _check_documents(table, told, rules)
        for each in told:
            kept.keep_served(each)
    return list(weeks)


def _new(kept: Closed | StoredFaults, data: Path, kind: str) -> dict[str, bytes]:
    known = kept.published()
    return {
        week: document for week, document in week_files(data, kind).items() if week not in known
    }


def _check_index(
    data: Path,
    known: Mapping[str, Collection[str]],
    found: Mapping[str, bytes],
    public: bytes | None,
) -> None:
    """The folder must hold what the index names, of weeks that are not ``known`` (by kind) and of
    documents, and nothing else. ``found``: by name."""
    listed = index.vouched(data, public)
    if not listed:
        signed = "" if public is None else " that this --sign-key has signed"
        raise _refused(f"{DATA}/ has no {index.INDEX}{signed}; {_COPY}")
    files = {f"{DATA}/{name}": content for name, content in found.items()}
    needed = {path for path in listed if _is_needed(path, known)}
    for path in sorted(needed | files.keys()):
        if path not in files:
            raise _refused(f"{path}, which the index names, is missing; {_COPY}")
        if listed.get(path) != hashlib.sha256(files[path]).hexdigest():
            raise _refused(f"{path} is not the file that the index names; {_COPY}")


def _is_needed(path: str, known: Mapping[str, Collection[str]]) -> bool:
    folder, _, name = path.rpartition("/")
    kind = next((kind for kind in (STATISTICS, FAULTS) if name.startswith(kind)), HITS)
    week = name.removeprefix(kind).removesuffix(".json")
    is_new = name.endswith(".json") and is_week(week) and week not in known[kind]
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


def _check_statistics(name: str, week: StatisticsWeek, rules: FloorRules) -> None:
    wrong = ""
    if not is_week(name) or week.week != name:
        wrong = f"it holds the week {week.week!r}"
    elif (week.product, week.channel) != (rules.product.product, rules.product.channel):
        wrong = f"it belongs to {week.product!r} ({week.channel!r})"
    elif not {*week.flags, *(flag for each in week.entries for flag in each.flags)} <= _FLAGS:
        wrong = "it has unknown flags"
    elif week.noise and not (0 < week.noise.epsilon <= _MOST_DAYS and 0 < week.noise.cells < 1000):
        wrong = "its noise cannot be"
    elif not _are_declared(week):
        wrong = "what it declares cannot be"
    elif not all(_is_span(each.period, name) for each in week.entries):
        wrong = "its periods cannot be"
    elif not all(_figures_fit(each, name) for each in week.entries):
        wrong = "its figures cannot be"
    elif not week.noise and not all(_entry_fits(each) for each in week.entries):
        wrong = "its figures do not add up"
    if wrong:
        raise _refused(f"{DATA}/{STATISTICS}{name}.json was not taken over: {wrong}; {_COPY}")


def _check_faults(name: str, document: bytes, rules: FloorRules) -> None:
    wrong, owner = "", (rules.product.product, rules.product.channel)
    read_faults(name, document)
    said = Faults.decode(document)
    if (said.product, said.channel) != owner:
        wrong = f"it belongs to {said.product!r} ({said.channel!r})"
    elif said.encode() != document:
        wrong = "it is not written as such a file is"
    if wrong:
        raise _refused(f"{DATA}/{FAULTS}{name}.json was not taken over: {wrong}; {_COPY}")


def _are_declared(week: StatisticsWeek) -> bool:
    """Whether a registry could declare these entries. Those of error events follow from what it
    declares, and are of the form of a statistic but for their names."""
    metrics = tuple(entry.metric for entry in week.entries)
    events = [metric for metric in metrics if metric.purpose == EVENTS]
    shown = tuple(metric for metric in metrics if metric.purpose != EVENTS)
    return (
        len({metric.name for metric in metrics}) == len(metrics)
        and all(is_entry(metric.name) for metric in events)
        and {each.project for each in events} == {each.domain for each in week.domains}
        and all(map(_is_declared, [shown, *((_as_statistic(each),) for each in events)]))
    )


def _as_statistic(metric: Metric) -> Metric:
    """With as much of its texts as a statistic can have."""
    label, text = metric.label[:MAX_LABEL], metric.description[:MAX_TEXT]
    return replace(metric, key="any", purpose=PURPOSES[0], label=label, description=text)


def _is_declared(metrics: tuple[Metric, ...]) -> bool:
    try:
        return Catalogue.decode(Catalogue("any", "any", (), metrics).encode()).metrics == metrics
    except WireError:
        return False


def _figures_fit(entry: Entry, week: str) -> bool:
    """Figures stand where the period ends, with every declared value, and in their bounds."""
    shown = [row.value for row in entry.values]
    if entry.total.missing:
        return not (shown or entry.releases or entry.installations or entry.consenting)
    guess, parts = entry.installations, [row.share for row in entry.values if row.share]
    listed = filter(entry.metric.fits, shown[:-1])
    known = entry.metric.values_known or (*listed, OTHER)
    releases = [each.release for each in entry.releases]
    return (
        entry.period.last == week
        and tuple(shown) == known
        and all(is_release(each) for each in releases[:-1])
        and releases[-1:] == [OTHER]
        and all([row.value for row in each.values] in ([], shown) for each in entry.releases)
        and (guess is None or 0 <= guess.low <= guess.installations <= guess.high <= _MOST_HITS)
        and 0 <= (entry.consenting or 0) <= 100
        and all(0 <= part.low <= part.high <= 100 for part in parts)
        and all(part.percent is None or part.low <= part.percent <= part.high for part in parts)
    )


def _entry_fits(entry: Entry) -> bool:
    """Whether the values, and the releases, are parts of the total, and together may be all."""
    tables = [[row.count for row in entry.values], [each.total for each in entry.releases]]
    parts = [(each.total, [row.count for row in each.values]) for each in entry.releases]
    pairs = [(entry.total, table) for table in tables] + parts
    return all(
        sum(each.least for each in table) <= whole.most
        and (not table or sum(each.most for each in table) >= whole.least)
        for whole, table in pairs
    )


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
            _is_span(each, week.week) and (name not in told or each.last == week.week)
            for name, each in week.periods.items()
        )
    )


def _is_span(period: Summed, week: str) -> bool:
    return (
        is_week(period.first)
        and is_week(period.last)
        and period.first <= week <= period.last
        and period.every in EVERY
        and period.weeks <= LONGEST
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
