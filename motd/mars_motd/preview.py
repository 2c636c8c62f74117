"""What clients will show, one of them or all known releases × platforms × languages; and all that a
signed payload says, for the person who is about to sign it. Pure.

Of a payload every member is printed, also those that no installation here would show: a message for
another platform, a translation that the reader does not speak, a member of a later format.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from mars.commandline import safe
from mars.wire import strictjson, targeting
from mars.wire.envelope import MAX_PAYLOAD, Envelope
from mars.wire.motd import Motd
from mars.wire.product import Product
from mars.wire.targeting import Shown
from mars.wire.times import LAST, format_time
from mars.wire.variables import DEV
from mars_motd import kinds
from mars_motd.kinds import STEERING

OTHER_PLATFORM = "other"
_FREE = frozenset({"title", "text", "ed25519", "openpgp"})
"""Objects whose members are languages, key ids or fingerprints."""


@dataclass(frozen=True)
class Reader:
    """One kind of installation."""

    version: str
    platform: str
    language: str


@dataclass(frozen=True)
class View:
    """What one kind of installation sees."""

    reader: Reader
    status: str
    """``up-to-date``, ``update``, ``security-update`` or ``unknown``."""
    shown: tuple[Shown, ...]
    left_out: Mapping[str, str]
    """Links that are not shown since no prefix allows them, by the ids of their messages."""


def view(motd: Motd, reader: Reader, now: int, links: Sequence[str]) -> View:
    """What ``reader`` sees at ``now`` (Unix seconds), by the client's own rules; ``links`` are the
    prefixes of the steering document."""
    arguments = (motd, reader.version, reader.platform, [reader.language], now)
    status = targeting.update_status(*arguments)
    shown = tuple(targeting.select(*arguments, links))
    said = {message.id: message.url for message in motd.messages}
    left_out = {it.id: said[it.id] for it in shown if said[it.id] and not it.url}
    return View(reader, status, shown, left_out)


def table(motd: Motd, product: Product, now: int, links: Sequence[str]) -> list[View]:
    """Every known release (or ``dev``, where none is named) on every platform in every language."""
    return [
        view(motd, Reader(version, platform, language), now, links)
        for version in product.releases or (DEV,)
        for platform in (*product.platforms, OTHER_PLATFORM)
        for language in product.languages or (targeting.FALLBACK_LANGUAGE,)
    ]


def table_lines(views: Sequence[View]) -> list[str]:
    """The table as text: a row for each release and platform, a column for each language.

    A cell names the messages by letter; ``*`` marks one that falls back to another language.
    """
    letters = _letters(views)
    languages = list(dict.fromkeys(view.reader.language for view in views))
    rows = [["release", "platform", "status", *languages]]
    for row, group in groupby(views, lambda item: (item.reader.version, item.reader.platform)):
        items = list(group)
        status = items[0].status if len({item.status for item in items}) == 1 else "varies"
        rows.append([*row, status, *(_cell(item, letters) for item in items)])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    text = [
        "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    gone = {ident: url for view in views for ident, url in view.left_out.items()}
    notes = {ident: f"  (without its link {safe(url)})" for ident, url in gone.items()}
    legend = [f"{letter} = {ident}{notes.get(ident, '')}" for ident, letter in letters.items()]
    return [*text, "", *legend, "* = in another language than asked; - = nothing"]


def _cell(item: View, letters: dict[str, str]) -> str:
    asked = item.reader.language
    marked = (
        letters[one.id] + ("" if one.language.lower().startswith(asked) else "*")
        for one in item.shown
    )
    return " ".join(marked) or "-"


def _letters(views: Sequence[View]) -> dict[str, str]:
    """A, B, …, Z, A1, B1, … for the message ids, in their order of appearance."""
    ids = list(dict.fromkeys(shown.id for view in views for shown in view.shown))
    return {
        ident: chr(65 + i % 26) + (str(i // 26) if i >= 26 else "") for i, ident in enumerate(ids)
    }


def payload(envelope: Envelope) -> dict[str, Any]:
    """The payload's members, if a client could read them.

    Raises ``WireError``, ``ConfigError`` (``wrong-payload-type``).
    """
    kinds.of(envelope).read(envelope.payload)
    members = strictjson.parse(envelope.payload, MAX_PAYLOAD)
    assert isinstance(members, dict)
    return members


def unknown(envelope: Envelope) -> list[str]:
    """Names of members that clients of this version do not know, ``messages.colour``."""
    return list(_strangers(payload(envelope), "", kinds.of(envelope).members))


def links(envelope: Envelope) -> tuple[str, ...] | None:
    """The prefixes of the steering document that rides along; None where there is none."""
    rider = envelope.x_steering
    return None if rider is None else STEERING.read(rider.payload).links


def riders(envelope: Envelope) -> dict[str, Envelope]:
    """What rides along beside keys documents, by its member."""
    both = {"x-steering": envelope.x_steering, "x-release": envelope.x_release}
    return {name: rider for name, rider in both.items() if rider is not None}


def payload_lines(envelope: Envelope) -> list[str]:
    """The payload as text: one member a line, texts of several lines behind bars."""
    return [
        f"{envelope.payload_type}, {len(envelope.payload)} bytes of payload",
        *_object("", payload(envelope), "  ", set(unknown(envelope))),
    ]


def _strangers(value: Any, place: str, known: Mapping[str, frozenset[str]]) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _strangers(item, place, known)
    if not isinstance(value, dict) or place in _FREE or place not in known:
        return
    for name, item in value.items():
        if name not in known[place]:
            yield _at(place, name)
        else:
            yield from _strangers(item, name, known)


def _at(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def _object(place: str, members: dict[str, Any], indent: str, strange: set[str]) -> Iterator[str]:
    for name, value in members.items():
        note = "   <-- unknown to clients of this version" if _at(place, name) in strange else ""
        yield from _member(_flat(name), value, indent, strange, note)


def _member(name: str, value: Any, indent: str, strange: set[str], note: str) -> Iterator[str]:
    if isinstance(value, dict) and value:
        yield f"{indent}{name}:{note}"
        yield from _object(name.partition("[")[0], value, indent + "  ", strange)
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        for number, item in enumerate(value, 1):
            yield from _member(f"{name}[{number}]", item, indent, strange, note)
    elif isinstance(value, str) and "\n" in value:
        yield f"{indent}{name}:{_stripped(value)}{note}"
        for line in safe(value).split("\n"):
            yield f"{indent}  | {_flat(line)}"
    else:
        yield f"{indent}{name}: {_scalar(name, value)}{note}"


def _scalar(name: str, value: Any) -> str:
    if isinstance(value, str):
        return f"{_flat(value) or '(empty)'}{_stripped(value)}"
    if name == "serial" and isinstance(value, int) and value <= LAST:
        return f"{value} ({format_time(value)})"
    return _flat(json.dumps(value, ensure_ascii=False))


def _stripped(text: str) -> str:
    gone = sorted({f"U+{ord(c):04X}" for c in text if not safe(c)})
    return f"   <-- without the invisible {' '.join(gone)}" if gone else ""


def _flat(text: str) -> str:
    return safe(text).replace("\n", " ").replace("\t", " ")
