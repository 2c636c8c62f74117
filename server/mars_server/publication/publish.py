"""Publishes: closes the weeks that are due, then writes figures and pages."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Engine

from mars.errors import ConfigError
from mars.wire.ed25519 import public_key
from mars_server.charts import published as drawn
from mars_server.charts.drawer import draw_all
from mars_server.charts.store import ChartStore
from mars_server.pages.events import NOTES_FILE, Note, decode_notes, encode_notes
from mars_server.pages.site import Site
from mars_server.publication import adoption, index, ledger, served
from mars_server.publication.compose import Rules
from mars_server.publication.document import Week
from mars_server.publication.files import data_files
from mars_server.publication.folder import DATA, held, read_documents, week_files
from mars_server.publication.served import describe
from mars_server.publication.writing import write_site

MOST_PICTURES: Final = 512
"""More than a site has: 16 for each range, in ten years 208. All are kept while pages are made,
since each is needed for several."""


@dataclass(frozen=True)
class Outcome:
    """What a run did, for the operator."""

    weeks: Sequence[Week]
    new: int
    """Weeks published by this run."""
    written: int
    """Files that were new or changed."""
    waiting: Sequence[str] = ()
    """Weeks that are old enough but not counted to their end."""
    left_out: Sequence[str] = ()
    """Weeks with hits that this run closed without publishing them; see ``plan``."""
    partial: Sequence[str] = ()
    """Weeks published by this run of which days seem to be missing; see ``ledger.partial``."""
    unsigned: bool = False
    """The index was signed before this run, and is no longer."""
    notes_gone: int = 0
    """Notes that the pages showed before this run and show no longer."""
    foreign: Sequence[str] = ()
    """Files in the folder that are none of the site's, which the index does not name."""


def publish(
    engine: Engine,
    out: Path,
    rules: Rules,
    now: int,
    *,
    signing_key: bytes | None = None,
    without_noise: bool = False,
    chosen: bool = False,
    adopt: bool = False,
    notes: Sequence[Note] = (),
    motd: bytes | None = None,
    chart_cache: Path | None = None,
) -> Outcome:
    """Brings ``out`` up to date with what is due at ``now`` (Unix seconds).

    May be run any number of times; a second run into ``out`` waits for the first. Raises
    ``StateError`` where ``out`` holds a published week that differs from the database or a signed
    document that it does not know, and ``ConfigError`` (``noise-key-missing``) where noise would
    end unasked, before anything is closed or written.
    ``without_noise``: the operator wants noise to end. ``chosen``: ``now`` was given by hand; see
    ``close_weeks``.
    """
    document = None if motd is None else describe(motd, rules.product)
    public = None if signing_key is None else public_key(signing_key)
    data = out / DATA
    ledger.check_owner(engine, rules)
    with held(out):
        if rules.noise is None and not without_noise:
            _check_noise(standing_noise(engine, out, adopt=adopt))
        if adopt:
            adoption.adopt(engine, rules, data, now, public)
        before, known = ledger.published(engine), ledger.left_out(engine)
        ledger.check_untouched(before, week_files(data))
        told = ledger.documents(engine, None) + ([document] if document else [])
        ledger.check_documents(told, read_documents(data))
        given = ledger.documents(engine, document)
        weeks = ledger.close_weeks(engine, rules, now, chosen=chosen)
        gone = sorted(ledger.left_out(engine) - known)
        fresh = [week.week for week in weeks if week.week not in before]
        was_signed, notes_before = index.is_signed(data / index.INDEX), _notes_in(out)
        own_logs = ledger.own_logs(engine)
        site = Site(
            rules.product,
            weeks,
            signed=signing_key is not None,
            notes=notes,
            documents=given,
            own_logs=own_logs,
            charts=_charts(out, public, chart_cache),
        )
        figures = {**data_files(weeks), served.FILE: served.encode(rules.product, given)}
        beside = {NOTES_FILE: encode_notes(notes, own_logs=own_logs)}
        written = write_site(out, rules.product, figures, site, beside, signing_key)
    return Outcome(
        weeks,
        len(fresh),
        written.changed,
        waiting=() if chosen else ledger.waiting(engine, now),
        left_out=gone,
        partial=ledger.partial(engine, fresh),
        unsigned=was_signed and signing_key is None,
        notes_gone=0 if notes else notes_before,
        foreign=written.foreign,
    )


def _charts(out: Path, public: bytes | None, cache: Path | None) -> ChartStore:
    """Pictures come from the operator's cache, or from ``out`` where an index signed by his own key
    vouches for them: whoever can write to the web folder could have forged them."""
    listed = None if public is None else index.vouched(out / DATA, public).get(drawn.FILE)
    return ChartStore(
        cache,
        site=out if listed else None,
        vouched=listed,
        in_memory=MOST_PICTURES,
        draw_all=draw_all,
    )


def standing_noise(engine: Engine, out: Path, *, adopt: bool) -> float | None:
    """Epsilon of the last week that is published, those in ``out`` that are to be taken over
    included; None where it has no noise. Raises ``WireError`` for a changed file."""
    return ledger.last_noise(engine, week_files(out / DATA) if adopt else {})


def _check_noise(epsilon: float | None) -> None:
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
        return len(decode_notes((out / NOTES_FILE).read_bytes()))
    return 0
