"""What happened when: releases, gaps, disturbed weeks, and the publisher's notes."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass

from mars.errors import ConfigError
from mars_server.common.calendar import following, is_week
from mars_server.common.jsontext import encode_json
from mars_server.site.charts.tellable import first_seen, label
from mars_server.site.language import SOURCE
from mars_server.tables.estimate import DEFAULT
from mars_server.tables.noise import SURE
from mars_server.tables.week import Week

NOTES_FILE = "notes.json"
"""Beside the pages of a published site."""
MOST_OPERATOR = 200
"""Characters of what the pages say of who runs them."""
_MAX_NOTE = 500
"""Characters of one note in one language."""


@dataclass(frozen=True)
class Event:
    """Something about one week, or a period that ends with it; ``kind`` is ``release``, ``gap``,
    ``pause``, ``incomplete``, ``disturbed``, ``steered``, ``late`` or ``note``. The template says
    it in words."""

    week: str
    kind: str
    figures: Week | None = None
    """Of the week; None for a note."""
    before: Week | None = None
    """The week published before it."""
    version: str = ""
    """Of a release."""
    text: str = ""
    """Of a note."""
    language: str = ""
    """Of the text, where it is another than the page's."""

    @property
    def when(self) -> str:
        """The week, or all weeks of the period."""
        if self.kind == "release" and self.figures is not None:
            return label("v", self.figures)
        return self.week


@dataclass(frozen=True)
class Note:
    """A publisher's remark on a week, by language; English must be there."""

    week: str
    text: dict[str, str]


def events(weeks: Sequence[Week], notes: Sequence[Note], code: str) -> list[Event]:
    """All events, newest first; notes in the language ``code`` where they have it."""
    found = [
        Event(week.week, "release", week, version=version) for version, week in first_seen(weeks)
    ]
    found += [
        Event(week.week, kind, week, before)
        for before, week in zip([None, *weeks], weeks, strict=False)
        for kind in _kinds(before, week)
    ]
    for note in notes:
        written = code if code in note.text else SOURCE
        elsewhere = "" if written == code else written
        found.append(Event(note.week, "note", text=note.text[written], language=elsewhere))
    return sorted(found, key=lambda event: event.week, reverse=True)


def _kinds(before: Week | None, week: Week) -> list[str]:
    """What there is to tell of ``week``, after the one published ``before``, but for releases."""
    found = {
        "pause": before is not None and following(before.week) != week.week,
        "steered": _changed(before, week),
        "gap": week.hits.missing,
        "incomplete": "incomplete" in week.flags,
        "disturbed": "disturbed" in week.flags,
        "late": week.tells(week.late, SURE),
    }
    return [kind for kind, holds in found.items() if holds]


def _changed(before: Week | None, week: Week) -> bool:
    """Whether another interval between requests began or ended; not that it still holds. Of the
    first week, whether it is unusual."""
    if before is None:
        return week.interval != DEFAULT
    begins = "steered" in week.flags and "steered" not in before.flags
    return begins or week.interval != before.interval


def encode_notes(notes: Sequence[Note], *, own_logs: bool = True, operator: str = "") -> bytes:
    """The bytes of ``notes.json``, from which a server shows them; ``own_logs``: whether no log
    was counted that our own server did not write; ``operator``: who runs all this, in their
    words."""
    table: dict[str, object] = {"notes": [{"week": note.week, "text": note.text} for note in notes]}
    if not own_logs:
        table["own_logs"] = False
    if operator:
        table["operator"] = operator
    return encode_json(table)


def decode_notes(data: bytes) -> tuple[list[Note], bool, str]:
    """The notes in ``notes.json``, and what it says of the logs and of who runs all this. Raises
    ``ConfigError`` (``notes-invalid``)."""
    try:
        table = json.loads(data)
        notes = [_note(entry, NOTES_FILE) for entry in table["notes"]]
        operator = str(table.get("operator", ""))[:MOST_OPERATOR]
        return notes, table.get("own_logs", True) is True, operator
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _wrong(NOTES_FILE, "does not have the published form") from None


def parse_notes(data: bytes, where: str = "notes.toml") -> list[Note]:
    """Reads ``[[note]]`` tables: ``week = "2026-W12"``, ``text = {en = "…", de = "…"}``.

    Raises ``ConfigError`` (``notes-invalid``) that names ``where``.
    """
    try:
        table = tomllib.loads(data.decode("utf-8-sig"))
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
    if any(not isinstance(part, str) or len(part) > _MAX_NOTE for part in text.values()):
        raise _wrong(where, f"a note's text is at most {_MAX_NOTE} characters")
    return Note(week, dict(text))


def _wrong(where: str, what: str) -> ConfigError:
    return ConfigError("notes-invalid", f"{where}: {what}.")
