"""Which stretches of weeks have a page: names that stay, so that they can be bookmarked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mars_server.common.calendar import monday
from mars_server.tables.week import Week

DEFAULT: Final = "last-52"
LASTS: Final = {"last-13": 13, "last-52": 52}
ALL: Final = "all"
_YEAR = re.compile(r"[0-9]{4}", re.ASCII)
_CUSTOM = re.compile(r"([0-9]{4}-W[0-9]{2})\.\.([0-9]{4}-W[0-9]{2})", re.ASCII)


@dataclass(frozen=True)
class Range:
    """A stretch of published weeks, oldest first, under the ``name`` that stands in its URL."""

    name: str
    weeks: tuple[Week, ...]
    before: tuple[Week, ...] = ()
    """The weeks published before these."""

    def of(self, table: str) -> tuple[Week, ...]:
        """The weeks, and those before them that the first period of ``table`` sums with them."""
        ends = next((week for week in self.weeks if week.closes(table)), self.weeks[0])
        first = ends.since(table)
        return (*(week for week in self.before if week.week >= first), *self.weeks)

    @property
    def first(self) -> str:
        return self.weeks[0].week

    @property
    def last(self) -> str:
        return self.weeks[-1].week


def years(weeks: Sequence[Week]) -> list[str]:
    """The ISO years in which weeks were published, newest first."""
    return sorted({week.week[:4] for week in weeks}, reverse=True)


def names(weeks: Sequence[Week]) -> list[str]:
    """The ranges that a static site holds; none without weeks."""
    return [*LASTS, ALL, *years(weeks)] if weeks else []


def distinct(weeks: Sequence[Week], current: str = DEFAULT) -> list[str]:
    """The ranges worth choosing between: of several with the same weeks the default, or the first;
    and the ``current`` one, which takes the default's place where both are called all weeks."""
    best = ALL if current == ALL else DEFAULT
    ends = {name: (each.first, each.last) for name in names(weeks) if (each := pick(name, weeks))}
    kept: dict[tuple[str, str], str] = {}
    for name in sorted(ends, key=lambda name: name != best):
        kept.setdefault(ends[name], name)
    return [name for name in ends if name == current or name in kept.values()]


def is_name(name: str) -> bool:
    """Whether ``name`` has the form of a range, existing or not."""
    return name in (*LASTS, ALL) or bool(_YEAR.fullmatch(name) or _CUSTOM.fullmatch(name))


def pick(name: str, weeks: Sequence[Week]) -> Range | None:
    """The range called ``name``: ``last-52``, ``all``, ``2026``, ``2026-W01..2026-W12``.

    None where it does not exist: an unknown form, no such week, no week inside.
    """
    chosen: Sequence[Week] = ()
    if name in LASTS:
        chosen = weeks[-LASTS[name] :]
    elif name == ALL:
        chosen = weeks
    elif _YEAR.fullmatch(name):
        chosen = [week for week in weeks if week.week.startswith(f"{name}-")]
    elif match := _CUSTOM.fullmatch(name):
        chosen = _between(match[1], match[2], weeks)
    if not chosen:
        return None
    return Range(name, tuple(chosen), tuple(each for each in weeks if each.week < chosen[0].week))


def custom(first: str, last: str) -> str:
    """The name of the range from ``first`` to ``last``."""
    return f"{first}..{last}"


def _between(first: str, last: str, weeks: Sequence[Week]) -> list[Week]:
    """Both ends must be published weeks, so that each range has exactly one name."""
    known = {week.week for week in weeks}
    if first not in known or last not in known:
        return []
    return [week for week in weeks if monday(first) <= monday(week.week) <= monday(last)]
