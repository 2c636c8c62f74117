"""What happened when: releases, gaps, disturbed weeks, and the publisher's notes."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from mars.errors import ConfigError
from mars.wire.product import is_release
from mars_server.pages.language import SOURCE, Language
from mars_server.publication.document import Week
from mars_server.publication.jsontext import encode_json
from mars_server.publication.weeks import following, is_week

NOTES_FILE = "notes.json"
"""Beside the pages of a published site."""
MAX_NOTE = 500
"""Characters of one note in one language."""


@dataclass(frozen=True)
class Event:
    """Something about one week; ``kind`` is ``release``, ``gap``, ``pause``, ``incomplete``,
    ``disturbed``, ``steered``, ``late`` or ``note``."""

    week: str
    kind: str
    text: str


@dataclass(frozen=True)
class Note:
    """A publisher's remark on a week, by language; English must be there."""

    week: str
    text: dict[str, str]


def events(weeks: Sequence[Week], notes: Sequence[Note], say: Language) -> list[Event]:
    """All events, newest first."""
    found = _releases(weeks, say) + _pauses(weeks, say)
    for week in weeks:
        if week.hits.missing:
            found.append(Event(week.week, "gap", say.gettext("No data for this week.")))
        if "incomplete" in week.flags:
            found.append(
                Event(
                    week.week,
                    "incomplete",
                    say.gettext(
                        "Incomplete: the server answered requests that its disk refused to note. "
                        "The figures are too low."
                    ),
                )
            )
        if "disturbed" in week.flags:
            found.append(
                Event(
                    week.week,
                    "disturbed",
                    say.gettext(
                        "Disturbed: more than twice or less than half the hits of the weeks "
                        "before. Forged requests, an outage or a release may be behind it."
                    ),
                )
            )
        if "steered" in week.flags:
            found.append(
                Event(
                    week.week,
                    "steered",
                    say.gettext(
                        "The publisher has changed the interval between requests, in this week "
                        "or not long before. Requests then come in bunches, and the estimate "
                        "swings around the truth."
                    ),
                )
            )
        if week.late.least:
            found.append(
                Event(
                    week.week,
                    "late",
                    say.gettext("%(hits)s or more hits of earlier weeks came too late.")
                    % {"hits": say.count(week.late)},
                )
            )
    found += [
        Event(note.week, "note", note.text.get(say.code, note.text[SOURCE])) for note in notes
    ]
    return sorted(found, key=lambda event: event.week, reverse=True)


def _pauses(weeks: Sequence[Week], say: Language) -> list[Event]:
    """The weeks before which nothing was counted for so long that the weeks are left out."""
    text = say.gettext("Nothing was counted between %(before)s and this week.")
    return [
        Event(week.week, "pause", text % {"before": before.week})
        for before, week in pairwise(weeks)
        if following(before.week) != week.week
    ]


def _releases(weeks: Sequence[Week], say: Language) -> list[Event]:
    """The week in which each release first reached ten hits; not those of the very first week."""
    seen: set[str] = set()
    found = []
    for n, week in enumerate(week for week in weeks if not week.hits.missing):
        for row in week.tables["v"]:
            if row.count.least and row.value not in seen and is_release(row.value):
                seen.add(row.value)
                if n:
                    text = say.gettext("Version %(version)s was first seen in ten hits or more.")
                    found.append(Event(week.week, "release", text % {"version": row.value}))
    return found


def encode_notes(notes: Sequence[Note]) -> bytes:
    """The bytes of ``notes.json``, from which a server shows them."""
    return encode_json({"notes": [{"week": note.week, "text": note.text} for note in notes]})


def decode_notes(data: bytes) -> list[Note]:
    """Reads ``notes.json``. Raises ``ConfigError`` (``notes-invalid``)."""
    try:
        entries = json.loads(data)["notes"]
        return [_note(entry, NOTES_FILE) for entry in entries]
    except (ValueError, KeyError, TypeError):
        raise _wrong(NOTES_FILE, "does not have the published form") from None


def parse_notes(data: bytes, where: str = "notes.toml") -> list[Note]:
    """Reads ``[[note]]`` tables: ``week = "2026-W12"``, ``text = {en = "…", de = "…"}``.

    Raises ``ConfigError`` (``notes-invalid``) that names ``where``.
    """
    try:
        table = tomllib.loads(data.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError):
        raise _wrong(where, "is not TOML in UTF-8") from None
    entries = table.pop("note", [])
    if table or not isinstance(entries, list):
        raise _wrong(where, "holds nothing but [[note]] tables")
    return [_note(entry, where) for entry in entries]


def _note(entry: object, where: str) -> Note:
    if not isinstance(entry, dict) or set(entry) != {"week", "text"}:
        raise _wrong(where, "a note has a week and a text, nothing else")
    week, text = entry["week"], entry["text"]
    if not isinstance(week, str) or not is_week(week):
        raise _wrong(where, "a note's week is written like 2026-W12")
    if not isinstance(text, dict) or not isinstance(text.get(SOURCE), str):
        raise _wrong(where, 'a note\'s text is a table with at least "en"')
    if any(not isinstance(part, str) or len(part) > MAX_NOTE for part in text.values()):
        raise _wrong(where, f"a note's text is at most {MAX_NOTE} characters")
    return Note(week, dict(text))


def _wrong(where: str, what: str) -> ConfigError:
    return ConfigError("notes-invalid", f"{where}: {what}.")
