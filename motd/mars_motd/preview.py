"""What clients will show: one of them, or all known releases × platforms × languages. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mars.wire import targeting
from mars.wire.motd import Motd
from mars.wire.product import Product
from mars.wire.targeting import Shown
from mars.wire.variables import DEV

OTHER_PLATFORM = "other"


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


def view(motd: Motd, reader: Reader, now: int) -> View:
    """What ``reader`` sees at ``now`` (Unix seconds), by the client's own rules."""
    arguments = (motd, reader.version, reader.platform, [reader.language], now)
    status = targeting.update_status(*arguments)
    return View(reader, status, tuple(targeting.select(*arguments)))


def table(motd: Motd, product: Product, now: int) -> list[View]:
    """Every known release (or ``dev``, where none is named) on every platform in every language."""
    return [
        view(motd, Reader(version, platform, language), now)
        for version in product.releases or (DEV,)
        for platform in (*product.platforms, OTHER_PLATFORM)
        for language in product.languages or (targeting.FALLBACK_LANGUAGE,)
    ]


def lines(views: Sequence[View]) -> list[str]:
    """The table as text: a row for each release and platform, a column for each language.

    A cell names the messages by letter; ``*`` marks one that falls back to another language.
    """
    letters = _letters(views)
    languages = list(dict.fromkeys(view.reader.language for view in views))
    cells: dict[tuple[str, str], dict[str, str]] = {}
    status: dict[tuple[str, str], str] = {}
    for item in views:
        row = (item.reader.version, item.reader.platform)
        cells.setdefault(row, {})[item.reader.language] = _cell(item, letters)
        status[row] = item.status if status.get(row, item.status) == item.status else "varies"
    rows = [["release", "platform", "status", *languages]]
    rows += [[*row, status[row], *(cells[row][lang] for lang in languages)] for row in cells]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    text = [
        "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    legend = [f"{letter} = {ident}" for ident, letter in letters.items()]
    return [*text, "", *legend, "* = in another language than asked; - = nothing"]


def _cell(item: View, letters: dict[str, str]) -> str:
    asked = item.reader.language
    return (
        " ".join(
            letters[shown.id] + ("" if shown.language.lower().startswith(asked) else "*")
            for shown in item.shown
        )
        or "-"
    )


def _letters(views: Sequence[View]) -> dict[str, str]:
    """A, B, …, Z, A1, B1, … for the message ids, in their order of appearance."""
    ids = list(dict.fromkeys(shown.id for view in views for shown in view.shown))
    return {
        ident: chr(65 + i % 26) + (str(i // 26) if i >= 26 else "") for i, ident in enumerate(ids)
    }
