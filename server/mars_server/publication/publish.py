"""Publishes: closes the weeks that are due, then writes figures and pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from mars.wire.ed25519 import public_key, sign
from mars_server.charts import published as drawn
from mars_server.charts.store import ChartStore
from mars_server.pages.events import NOTES_FILE, Note, encode_notes
from mars_server.pages.site import Site
from mars_server.publication import index, ledger, served
from mars_server.publication.compose import Rules
from mars_server.publication.document import Week
from mars_server.publication.files import data_files
from mars_server.publication.folder import DATA, clear, week_files, write_files
from mars_server.publication.served import Served, describe


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


def publish(
    engine: Engine,
    out: Path,
    rules: Rules,
    now: int,
    *,
    signing_key: bytes | None = None,
    chosen: bool = False,
    adopt: bool = False,
    notes: Sequence[Note] = (),
    motd: bytes | None = None,
    chart_cache: Path | None = None,
) -> Outcome:
    """Brings ``out`` up to date with what is due at ``now`` (Unix seconds).

    May be run any number of times. Raises ``StateError`` where ``out`` holds a published week
    that differs from the database, before anything is closed or written.
    ``chosen``: the operator gave ``now`` by hand; see ``close_weeks``.
    """
    document = None if motd is None else describe(motd, rules.product)
    ledger.check_owner(engine, rules)
    clear(out / DATA)
    found = week_files(out / DATA)
    if adopt:
        ledger.adopt(engine, rules, found, now)
    before = ledger.published(engine)
    ledger.check_untouched(before, found)
    known = ledger.left_out(engine)
    given = ledger.documents(engine, document)
    weeks = ledger.close_weeks(engine, rules, now, chosen=chosen)
    gone = sorted(ledger.left_out(engine) - known)
    data = signed_files(rules, weeks, given, signing_key)
    written = write_files(
        out, {f"{DATA}/{name}": content for name, content in data.items()}, durable=True
    )
    if signing_key is None:  # what an earlier run signed is not this index
        for name in (index.SIGNATURE, index.PUBLIC_KEY):
            (out / DATA / name).unlink(missing_ok=True)
    site = Site(
        rules.product,
        weeks,
        signed=signing_key is not None,
        notes=notes,
        documents=given,
        charts=ChartStore(chart_cache, site=out),
    )
    written += sum(write_files(out, {path: content}) for path, content in site.export())
    beside = {drawn.FILE: drawn.listing(out, site.charts()), NOTES_FILE: encode_notes(notes)}
    written += write_files(out, beside)
    waiting = () if chosen else ledger.waiting(engine, now)
    return Outcome(weeks, len(weeks) - len(before), written, waiting, gone)


def signed_files(
    rules: Rules, weeks: Sequence[Week], given: Sequence[Served], seed: bytes | None
) -> dict[str, bytes]:
    """All files of ``data/``: figures, index, and with a key its signature and public half."""
    files = data_files(weeks)
    files[served.FILE] = served.encode(rules.product, given)
    if seed is not None:
        files[index.PUBLIC_KEY] = index.public_pem(public_key(seed))
    listing = index.index_bytes(rules.product, files, signed=seed is not None)
    files[index.INDEX] = listing
    if seed is not None:
        files[index.SIGNATURE] = sign(seed, listing)
    return files
