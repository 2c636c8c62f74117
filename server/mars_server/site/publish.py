"""Publishes: closes the weeks that are due, then writes figures and pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mars.errors import ConfigError
from mars.wire.catalogue import MAX_ENTRIES, Catalogue
from mars.wire.ed25519 import public_key, sign
from mars.wire.product import Product
from mars_server.publication import closing, fault_weeks, index, restore
from mars_server.publication.folder import (
    DATA,
    DECLARED,
    FAULTS,
    STATISTICS,
    STATUS,
    clear,
    foreign,
    held,
    read_documents,
    read_faults,
    read_statistics,
    read_week,
    week_files,
    write_files,
)
from mars_server.publication.status_document import Answers
from mars_server.site.charts.drawer import draw_all
from mars_server.site.charts.store import LIST, ChartStore, chart_list
from mars_server.site.pages.address import is_answers
from mars_server.site.pages.events import NOTES_FILE, Note, decode_notes, encode_notes
from mars_server.site.pages.render import Contents
from mars_server.site.pages.site import Site
from mars_server.storage import Engine
from mars_server.storage.publication import stored
from mars_server.tables import signed_documents
from mars_server.tables.compose import FloorRules
from mars_server.tables.downloads import data_files
from mars_server.tables.faults import Faults, FaultWeek, series_csv
from mars_server.tables.signed_documents import describe
from mars_server.tables.statistics_files import week_csv
from mars_server.tables.statistics_week import StatisticsWeek
from mars_server.tables.statistics_week import encode as encode_statistics
from mars_server.tables.week import Week

_MOST_PICTURES: Final = 512 + 4 * MAX_ENTRIES
"""More than a site has: 16 for each range, in ten years 208, and four for each entry. All are
kept while pages are made, since each is needed for several."""


@dataclass(frozen=True)
class PublishReport:
    """What a run did, for the operator."""

    weeks: Sequence[Week]
    new: int
    """Weeks published by this run."""
    written: int
    """Files that were new or changed."""
    waiting: Sequence[str] = ()
    """Weeks that are old enough but not counted to their end."""
    left_out: Sequence[str] = ()
    """Weeks with hits that this run closed without publishing them; see ``due_weeks``."""
    partial: Sequence[str] = ()
    """Weeks published by this run of which days seem to be missing; see ``closing.partial``."""
    unsigned: bool = False
    """The index was signed before this run, and is no longer."""
    notes_gone: int = 0
    """Notes that the pages showed before this run and show no longer."""
    reports: Sequence[StatisticsWeek] = ()
    """All published weeks of statistics, oldest first."""
    new_reports: int = 0
    """Those published by this run."""
    partial_reports: Sequence[str] = ()
    """Those of which spools seem to be missing; as ``partial``."""
    waiting_reports: Sequence[str] = ()
    """Weeks with reports that are old enough but not opened to their end."""
    locked_reports: Sequence[str] = ()
    """Weeks for which others wait, since their keys were not given for each spool."""
    waiting_lines: int = 0
    """Of spools, sealed to keys that were not given."""
    faults: Sequence[FaultWeek] = ()
    """All published weeks of faults, oldest first."""
    new_faults: int = 0
    """Those published by this run."""
    other_faults: Sequence[str] = ()
    """Those that were published with other figures than were given now; they stay."""
    answers_gone: bool = False
    """The site had answers to error reports before this run, and has none any more."""
    foreign: Sequence[str] = ()
    """Files in the folder that are none of the site's, which the index does not name."""


def publish(
    engine: Engine,
    out: Path,
    rules: FloorRules,
    now: int,
    *,
    signing_key: bytes | None = None,
    without_noise: bool = False,
    chosen: bool = False,
    adopt: bool = False,
    notes: Sequence[Note] = (),
    motd: bytes | None = None,
    chart_cache: Path | None = None,
    catalogue: Catalogue | None = None,
    answers: Answers | None = None,
    faults: Faults | None = None,
    operator: str = "",
) -> PublishReport:
    """Brings ``out`` up to date with what is due at ``now`` (Unix seconds).

    May be run any number of times; a second run into ``out`` waits for the first. Raises
    ``StateError`` where ``out`` holds a published week that differs from the database or a signed
    document that it does not know, and ``ConfigError`` (``noise-key-missing``) where noise would
    end unasked, before anything is closed or written.
    ``without_noise``: the operator wants noise to end. ``chosen``: ``now`` was given by hand; see
    ``close_weeks``. ``catalogue``: what is declared; without any entry no reports are closed.
    ``answers``: to error reports, as they are now; ``faults``: weekly figures of them, of which
    weeks that are published stay as they are.
    ``operator``: who runs this and how to reach them, in plain text, for the foot of each page.
    """
    document = None if motd is None else describe(motd, rules.product)
    public = None if signing_key is None else public_key(signing_key)
    data = out / DATA
    with stored(engine) as kept:
        closing.check_owner(kept, rules)
    with held(out):
        if rules.noise is None and not without_noise:
            _refuse_noise(standing_noise(engine, out, adopt=adopt))
        if adopt:
            restore.adopt(engine, rules, data, now, public)
        with stored(engine) as kept:
            before, known = kept.published(), closing.left_out(kept)
            reports_before = kept.statistics.published()
            closing.check_untouched(before, week_files(data))
            closing.check_untouched(reports_before, week_files(data, STATISTICS), STATISTICS)
            closing.check_untouched(kept.faults.published(), week_files(data, FAULTS), FAULTS)
            told = kept.served() + ([document] if document else [])
            closing.check_documents(told, read_documents(data))
            if document:
                kept.keep_served(document)
            known_faults = len(kept.faults.published())
            other = fault_weeks.keep(kept.faults, faults, rules, now) if faults else []
            fault_figures = kept.faults.published()
        weeks = closing.close_weeks(engine, rules, now, chosen=chosen, catalogue=catalogue)
        fresh = [week.week for week in weeks if week.week not in before]
        with stored(engine) as kept:
            given, own_logs = kept.served(), not kept.note_foreign()
            gone = sorted(closing.left_out(kept) - known)
            waiting = [] if chosen else closing.waiting(kept, now)
            unopened = closing.waiting_reports(kept.statistics, now)
            locked = [] if chosen else closing.locked_reports(kept.statistics, now)
            waiting_lines = kept.statistics.waiting()
            partial = closing.partial(kept.hits_by_day(), fresh)
            kept_reports = kept.statistics.published()
            spooled = kept.statistics.lines_by_day()
            new_reports = kept_reports.keys() - reports_before
        reports = [read_statistics(name, each) for name, each in kept_reports.items()]
        faulty = [read_faults(name, each) for name, each in fault_figures.items()]
        had_answers = (data / STATUS).is_file()
        was_signed, notes_before = index.is_signed(data / index.INDEX), _notes_in(out)
        signed = signing_key is not None
        contents = Contents(
            rules.product,
            weeks,
            notes,
            given,
            signed,
            own_logs=own_logs,
            catalogue=catalogue,
            reports=reports,
            status=answers.status if answers else None,
            faults=faulty,
            operator=operator,
        )
        site = Site(contents, _charts(out, public, chart_cache))
        documents = {signed_documents.FILE: signed_documents.encode(rules.product, given)}
        beside = {NOTES_FILE: encode_notes(notes, own_logs=own_logs, operator=operator)}
        figures = data_files(weeks) | statistics_data(reports, catalogue) | documents
        figures |= faults_data(fault_figures, faulty)
        figures |= {STATUS: answers.document} if answers else {}
        written, others = write_site(out, rules.product, figures, site, beside, signing_key)
    return PublishReport(
        weeks,
        len(fresh),
        written,
        waiting=waiting,
        left_out=gone,
        partial=partial,
        unsigned=was_signed and not signed,
        notes_gone=0 if notes else notes_before,
        reports=reports,
        new_reports=len(new_reports),
        partial_reports=closing.partial(spooled, sorted(new_reports)),
        waiting_reports=unopened,
        locked_reports=locked,
        waiting_lines=waiting_lines,
        faults=faulty,
        new_faults=len(faulty) - known_faults,
        other_faults=other,
        answers_gone=had_answers and answers is None,
        foreign=others,
    )


def statistics_data(
    weeks: Sequence[StatisticsWeek], catalogue: Catalogue | None
) -> dict[str, bytes]:
    """The files of ``data/`` that tell of statistics, by name: each week's, and what is declared
    now, from which a server shows it."""
    files = {DECLARED: catalogue.encode()} if catalogue and (catalogue.entries or weeks) else {}
    for week in weeks:
        files[f"{STATISTICS}{week.week}.json"] = encode_statistics(week)
        files[f"{STATISTICS}{week.week}.csv"] = week_csv(week)
    return files


def faults_data(documents: Mapping[str, bytes], weeks: Sequence[FaultWeek]) -> dict[str, bytes]:
    """The same of faults: the ``documents`` of each week, and what they say as CSV."""
    files = {f"{FAULTS}{name}.json": document for name, document in documents.items()}
    return files | {f"{FAULTS}{week.week}.csv": series_csv([week]) for week in weeks}


def _charts(out: Path, public: bytes | None, cache: Path | None) -> ChartStore:
    """Pictures come from the operator's cache, or from ``out`` where an index signed by his own key
    vouches for them: whoever can write to the web folder could have forged them."""
    listed = None if public is None else index.vouched(out / DATA, public).get(LIST)
    return ChartStore(
        cache,
        site=out if listed else None,
        vouched=listed,
        in_memory=_MOST_PICTURES,
        draw_all=draw_all,
    )


def standing_noise(engine: Engine, out: Path, *, adopt: bool) -> float | None:
    """Epsilon of the last week that is published, those in ``out`` that are to be taken over
    included, of hits if there is any, else of statistics; None where it has no noise. Raises
    ``WireError`` for a changed file."""
    weeks = week_files(out / DATA) if adopt else {}
    reports = week_files(out / DATA, STATISTICS) if adopt else {}
    with stored(engine) as kept:
        weeks |= kept.published()
        reports |= kept.statistics.published()
    if weeks or not reports:
        return read_week(max(weeks), weeks[max(weeks)]).noise if weeks else None
    budget = read_statistics(max(reports), reports[max(reports)]).noise
    return None if budget is None else budget.epsilon


def _refuse_noise(epsilon: float | None) -> None:
    """Raises ``ConfigError`` (``noise-key-missing``) where the last published week has noise."""
    if epsilon is not None:
        raise ConfigError(
            "noise-key-missing",
            f"The last published week has noise (epsilon {epsilon:g}), and a week that is once "
            "published without it stays so for ever. Give its --noise-key, or --without-noise "
            "to go on without.",
        )


def _notes_in(out: Path) -> int:
    """How many notes the pages in ``out`` show; 0 where that cannot be read."""
    with suppress(OSError, ConfigError):
        return len(decode_notes((out / NOTES_FILE).read_bytes())[0])
    return 0


# --- Writes the site into its folder: figures, then pages and pictures, then the index of them
# all ---


def write_site(
    out: Path,
    product: Product,
    figures: Mapping[str, bytes],
    site: Site,
    notes: Mapping[str, bytes],
    seed: bytes | None,
) -> tuple[int, list[str]]:
    """Brings the folder ``out`` up to date. ``figures`` by name in ``data/``, ``notes`` by path;
    ``seed`` is the operator's secret key, None to leave the index unsigned. Returns how many files
    were new or changed, and the files below ``out`` that are none of the site's.

    Hashes are those of what was made, not of what stands in the folder. The index goes last, so
    that it never names what is not there yet. Raises ``StateError`` (``site-unwritable``).
    """
    made: dict[str, index.Listed] = {}

    def write(files: Mapping[str, bytes], *, durable: bool = False) -> int:
        made.update({path: index.listed(content) for path, content in files.items()})
        return write_files(out, files, durable=durable)

    key = {} if seed is None else {index.PUBLIC_KEY: index.public_pem(public_key(seed))}
    changed = write(_placed({**figures, **key}), durable=True)
    for path, content in site.export():  # one by one: together they are large
        changed += write({path: content})
    hashes = {path: file.sha256 for path, file in made.items()}
    changed += write({LIST: chart_list(site.charts(), hashes), **notes})
    listing = index.index_bytes(product, made, signed=seed is not None)
    last = {index.INDEX: listing}
    if seed is None:  # what an earlier run signed is not this index
        for name in (index.SIGNATURE, index.PUBLIC_KEY):
            (out / DATA / name).unlink(missing_ok=True)
    else:
        last[index.SIGNATURE] = sign(seed, listing)
    changed += write(_placed(last), durable=True)
    for folder in {(out / path).parent for path in made}:
        clear(folder)
    others = foreign(out, made)
    for path in filter(_is_passing, others):
        (out / path).unlink()
    return changed, [path for path in others if not _is_passing(path)]


def _is_passing(path: str) -> bool:
    """Whether a file is one of the answers to error reports, which last as long as a signed
    document does: no old page of them may stay."""
    return path == f"{DATA}/{STATUS}" or is_answers(path)


def _placed(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Files of ``data/`` by path from the site's root."""
    return {f"{DATA}/{name}": content for name, content in files.items()}
