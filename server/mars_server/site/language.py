"""The languages of the interface; the one home of Babel.

Texts come from gettext catalogues (``locales/LANGUAGE.po``), read as they are, so that a
translator's file is the file that runs. English is the language of the sources.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache, lru_cache
from importlib.resources import files
from typing import Final

from babel import Locale
from babel.dates import format_date
from babel.messages.pofile import read_po
from babel.numbers import format_decimal, format_percent, get_decimal_symbol, get_group_symbol
from babel.units import format_unit

from mars.wire.events import BELOW_1, BELOW_10, FAILED_SHARE, FEW, MORE, NO_FAILURE, NONE
from mars.wire.registry import BOOL, BOOLS, BUCKET, EVENTS, Metric
from mars.wire.times import DAY
from mars.wire.variables import VARIABLES
from mars_server.common.calendar import monday, sunday
from mars_server.tables.estimate import Estimate, Interval
from mars_server.tables.floor import HIDDEN, Percent, Published

SOURCE: Final = "en"
LANGUAGES: Final = {"en": "English", "de": "Deutsch"}
"""Codes and their names in themselves; the first is the default."""


@dataclass(frozen=True)
class Language:
    """Texts and formats of one language. ``code`` is one of ``LANGUAGES``."""

    code: str
    texts: Mapping[str, str]

    def gettext(self, text: str) -> str:
        return self.texts.get(text) or text

    def ngettext(self, one: str, many: str, n: int) -> str:
        return self.gettext(one if n == 1 else many)

    def count(self, value: Published) -> str:
        """``1,230``, ``<10`` or ``no data``. Takes nothing but ``Published``."""
        if not isinstance(value, Published):
            raise TypeError("Only Published values are shown.")
        if value.missing:
            return self.gettext("no data")
        return HIDDEN if value.hidden else self.number(value.least)

    def percent(self, value: Percent | None) -> str:
        """``53%``, or a dash where a percentage would say nothing."""
        if value is None or value.value is None:
            return "–"
        shown = _percent(max(value.value, 1), self.code)
        return shown if value.value else f"<{shown}"

    def whole(self, percent: int) -> str:
        """``46%``; ``<1%`` for what rounds to nothing."""
        return _percent(percent, self.code) if percent else f"<{_percent(1, self.code)}"

    def chance(self, value: float) -> str:
        """``7%`` of 0.07, with as many decimals as it has."""
        return str(format_percent(value, locale=self.code, decimal_quantization=False))

    def said(self, metric: Metric, value: str) -> str:
        """``value`` of a declared entry for people: as ``answer`` has it, of an error event by what
        it means."""
        if metric.purpose != EVENTS or metric.type == BUCKET:
            return self.answer(metric.type, value)
        if metric.key == FAILED_SHARE:
            return self.gettext(FAILED_SHARES.get(value, value))
        if value == NONE:
            return self.gettext("no such failure")
        return self.answer(BOOL if metric.values == (NONE, *BOOLS) else metric.type, value)

    def answer(self, kind: str, value: str) -> str:
        """``value`` of a declared statistic of this type (``mars.wire.registry``) for people; as it
        is where no report of the type can say it, since what is published is shown for ever."""
        if kind == BOOL and value in ANSWERS:
            return self.gettext(ANSWERS[value])
        if kind == BUCKET and _RANGE.fullmatch(value):
            if value.endswith("+"):
                return self.gettext("%(number)s or more") % {"number": self.number(int(value[:-1]))}
            return "–".join(self.number(int(part)) for part in value.split("-"))
        return self.gettext("other") if value == "other" else value

    def interval(self, interval: Estimate | Interval) -> str:
        """``3–10``: installations, or the days between two requests."""
        return f"{self.number(interval.low)}–{self.number(interval.high)}"

    def numbers_between(self, low: float, high: float) -> str:
        """``350–410``; one number where both are the same."""
        return self.number(low) if low == high else f"{self.number(low)}–{self.number(high)}"

    def percents(self, low: int, high: int) -> str:
        """``43–49%``, of whole percent."""
        return f"{self.number(low)}–{self.chance(high / 100)}"

    def number(self, value: float) -> str:
        return _number(value, self.code)

    def days(self, week: str, since: str = "") -> str:
        """``16 Mar – 22 Mar 2026``: the first day of ``since``, or of the week, and its last."""
        first, last = monday(since or week), sunday(week)
        form = self._day_form
        start = form.removesuffix(" y") if first.year == last.year else form
        return f"{format_date(first, start, self.code)} – {self.date(last)}"

    def duration(self, seconds: int) -> str:
        """``90 seconds``, ``1 minute``, ``2 days``: in the largest unit of which it is whole."""
        fitting = (each for each in _UNITS if seconds and seconds % each[1] == 0)
        unit, size = next(fitting, ("second", 1))
        return str(format_unit(seconds // size, unit, "long", locale=self.code))

    def date(self, day: date) -> str:
        """``16 Mar 2026``."""
        return str(format_date(day, self._day_form, self.code))

    @property
    def _day_form(self) -> str:
        return "d. MMM y" if self.code == "de" else "d MMM y"

    def name(self, table: str, value: str) -> str:
        """The name of a value for people; the files hold the value itself."""
        locale = Locale.parse(self.code)
        if value == "other":
            return self.gettext("other")
        if value == "none":
            return self.gettext("not given")
        match table:
            case "lang":
                return f"{locale.languages.get(value, value)} ({value})"
            case "cc":
                return f"{locale.territories.get(value, value)} ({value})"
            case "py":
                return f"Python {value}"
            case _:
                return self.gettext(NAMES.get(table, {}).get(value, value))

    def short_name(self, table: str, value: str) -> str:
        """The same for a chart: languages and countries without their codes."""
        return self.name(table, value).removesuffix(f" ({value})")

    @property
    def numbers(self) -> Mapping[str, object]:
        """How d3-format writes numbers, on the axes of a chart."""
        return {
            "decimal": get_decimal_symbol(self.code),
            "thousands": get_group_symbol(self.code),
            "grouping": [3],
            "currency": ["", ""],
            "percent": _percent(0, self.code).removeprefix("0"),
        }


def N_(text: str) -> str:  # noqa: N802 - gettext's customary name for "translate later"
    return text


def folded(value: str) -> str:
    """How pages and charts write ``value`` of a small crowd, where a large one means less by it."""
    return f"{value}{FOLDED}"


FOLDED: Final = "-folded"
"""After a value: as a small crowd says it, where it stands for others too."""
NAMES: Final[Mapping[str, Mapping[str, str]]] = {
    "level": {"plain": N_("plain, without metrics"), "tracked": N_("with coarse metrics")},
    **{
        one.name: {
            **one.names,
            **{folded(value): name for value, name in one.folded_names.items()},
        }
        for one in VARIABLES
    },
}
FAILED_SHARES: Final = {
    FEW: N_("fewer than 20 tries"),
    NO_FAILURE: N_("none of them"),
    BELOW_1: N_("below 1%"),
    BELOW_10: N_("1% to 10%"),
    MORE: N_("10% or more"),
}
"""How much of what was tried failed."""
ANSWERS: Final = {"true": N_("yes"), "false": N_("no")}
_UNITS: Final = (("day", DAY), ("hour", DAY // 24), ("minute", 60))
_RANGE: Final = re.compile(r"[0-9]{1,16}(?:-[0-9]{1,16}|\+)?", re.ASCII)
"""A value of a bucket: ``0``, ``1-9``, ``10+``."""
REST: Final = N_("all others")
"""The values that have no band of their own in a chart."""


@cache
def _percent(value: int, code: str) -> str:
    return str(format_percent(value / 100, locale=code))


@lru_cache(maxsize=10_000)
def _number(value: float, code: str) -> str:
    return str(format_decimal(value, locale=code))


@cache
def language(code: str) -> Language:
    """The language ``code``. Raises ``KeyError`` for one that there is no catalogue of."""
    if code not in LANGUAGES:
        raise KeyError(code)
    if code == SOURCE:
        return Language(code, {})
    path = files("mars_server.site").joinpath("locales", f"{code}.po")
    with path.open("rb") as file:
        messages = [each for each in read_po(file, locale=code) if each.id and not each.fuzzy]
    return Language(code, {str(each.id): str(each.string) for each in messages})
