"""What happened when: releases, gaps, disturbed weeks, and the publisher's notes."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from mars.errors import ConfigError
from mars.wire.product import is_release
from mars_server.common.calendar import following, is_week
from mars_server.common.jsontext import encode_json
from mars_server.site.pages.language import SOURCE, Language
from mars_server.tables.estimate import DEFAULT
from mars_server.tables.noise import SURE
from mars_server.tables.week import Week

NOTES_FILE = "notes.json"
"""Beside the pages of a published site."""
_MAX_NOTE = 500
"""Characters of one note in one language."""


@dataclass(frozen=True)
class Event:
    """Something about one week; ``kind`` is ``release``, ``gap``, ``pause``, ``incomplete``,
    ``disturbed``, ``steered``, ``late`` or ``note``."""

    week: str
    kind: str
    text: str
    language: str = ""
    """Of the text, where it is another than the page's."""


@dataclass(frozen=True)
class Note:
    """A publisher's remark on a week, by language; English must be there."""

    week: str
    text: dict[str, str]


def events(weeks: Sequence[Week], notes: Sequence[Note], say: Language) -> list[Event]:
    """All events, newest first."""
    found = _releases(weeks, say) + _pauses(weeks, say) + _steering(weeks, say)
    for week in weeks:
        if week.hits.missing:
            found.append(Event(week.week, "gap", say.gettext("No data for this week.")))
        if "incomplete" in week.flags:
            text = say.gettext(
                "Incomplete: the server answered requests that its disk refused to note. "
                "The figures are too low."
            )
            found.append(Event(week.week, "incomplete", text))
        if "disturbed" in week.flags:
            found.append(Event(week.week, "disturbed", _disturbed(week, say)))
        if week.tells(week.late, SURE):
            found.append(Event(week.week, "late", _late(week, say)))
    found += [
        Event(note.week, "note", note.text[code], "" if code == say.code else code)
        for note in notes
        for code in [say.code if say.code in note.text else SOURCE]
    ]
    return sorted(found, key=lambda event: event.week, reverse=True)


def _disturbed(week: Week, say: Language) -> str:
    if week.noise is None:
        return say.gettext(
            "Disturbed: more than twice or less than half the hits of the weeks before. Forged "
            "requests, an outage or a release may be behind it."
        )
    return say.gettext(
        "Disturbed: more than twice or less than half the hits of the weeks before. Forged "
        "requests, an outage, a release or the noise may be behind it."
    )


def _late(week: Week, say: Language) -> str:
    if week.noise is None:
        text = say.gettext("%(hits)s or more hits of earlier weeks came too late.")
    else:
        text = say.gettext("About %(hits)s hits of earlier weeks came too late.")
    return text % {"hits": say.count(week.late)}


def _pauses(weeks: Sequence[Week], say: Language) -> list[Event]:
    """The weeks before which nothing was counted for so long that the weeks are left out."""
    text = say.gettext("Nothing was counted between %(before)s and this week.")
    return [
        Event(week.week, "pause", text % {"before": before.week})
        for before, week in pairwise(weeks)
        if following(before.week) != week.week
    ]


def _steering(weeks: Sequence[Week], say: Language) -> list[Event]:
    """Where another interval between requests began or ended; not that it still holds."""
    found = []
    for before, week in zip([None, *weeks], weeks, strict=False):
        if text := _changed(before, week, say):
            found.append(Event(week.week, "steered", text))
    return found


def _changed(before: Week | None, week: Week, say: Language) -> str:
    """What to tell of ``week`` after the one ``before``; of the first one, that it is unusual."""
    if before is None:
        text = say.gettext(
            "The publisher asks for %(now)s days between requests, not for %(usual)s. They then "
            "spread less evenly, and the estimate is less sure."
        ) % {"now": say.law(week.interval), "usual": say.law(DEFAULT)}
        return "" if week.interval == DEFAULT else text
    if week.interval != before.interval:
        return say.gettext(
            "The publisher has changed the interval between requests from %(before)s to %(now)s "
            "days. They come in bunches for some weeks, and the estimate swings around the truth."
        ) % {"before": say.law(before.interval), "now": say.law(week.interval)}
    if "steered" in week.flags and "steered" not in before.flags:
        return say.gettext(
            "The publisher has changed the interval between requests, in this week or not long "
            "before. They come in bunches for some weeks, and the estimate swings around the truth."
        )
    return ""


def steering_remark(week: Week, say: Language) -> str:
    """Beside a week with the flag ``steered``: the interval of that week, or that there was
    another not long before."""
    if week.interval == DEFAULT:
        return say.gettext("interval changed")
    return say.gettext("every %(now)s days") % {"now": say.law(week.interval)}


def _releases(weeks: Sequence[Week], say: Language) -> list[Event]:
    """The week in which each release first reached ten hits, or with noise so many that it cannot
    be the noise; not those of the very first week."""
    seen: set[str] = set()
    found = []
    for n, week in enumerate(week for week in weeks if not week.hits.missing):
        for row in week.tables["v"]:
            if week.tells(row.count, SURE) and row.value not in seen and is_release(row.value):
                seen.add(row.value)
                if n:
                    found.append(Event(week.week, "release", _seen(week, row.value, say)))
    return found


def _seen(week: Week, version: str, say: Language) -> str:
    if week.noise is None:
        text = say.gettext("Version %(version)s was first seen in ten hits or more.")
    else:
        text = say.gettext("Version %(version)s was first seen in more hits than noise explains.")
    return text % {"version": version}


def encode_notes(notes: Sequence[Note], *, own_logs: bool = True) -> bytes:
    """The bytes of ``notes.json``, from which a server shows them; ``own_logs``: whether no log
    was counted that our own server did not write."""
    table: dict[str, object] = {"notes": [{"week": note.week, "text": note.text} for note in notes]}
    return encode_json(table if own_logs else {**table, "own_logs": False})


def decode_notes(data: bytes) -> tuple[list[Note], bool]:
    """The notes in ``notes.json``, and what it says of the logs. Raises ``ConfigError``
    (``notes-invalid``)."""
    try:
        table = json.loads(data)
        notes = [_note(entry, NOTES_FILE) for entry in table["notes"]]
        return notes, table.get("own_logs", True) is True
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
