"""The published statistics of one week, and the exact bytes that stand for them for ever.

One document tells of every declared entry what it asks and why, and, where a period of it ends with
the week, its figures; entries of error events among them. Everything else (CSV, pages) is made from
these documents.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any, Final

from mars.errors import WireError
from mars.wire.events import Domain
from mars.wire.registry import EVENTS, PURPOSES, STATISTICS, Metric
from mars_server.common.calendar import monday, sunday
from mars_server.common.jsontext import encode_json
from mars_server.tables.estimate import Estimate
from mars_server.tables.floor import Published, restore
from mars_server.tables.noise import deviation_of
from mars_server.tables.quarters import Summed

FORMAT: Final = "mars-statistics/1"
WITH_EVENTS: Final = "mars-statistics/2"
"""Of a week that tells of error events; one that does not is still written in the first form."""
_TEXTS: Final = (
    *("project", "key", "label", "description", "reason", "owner", "review"),
    *("sensitivity", "type"),
)


@dataclass(frozen=True)
class Share:
    """Of the installations that send an entry, in whole percent: the 95 % interval, rounded
    outward. ``percent`` is None where the count is hidden: then only ``high`` says something."""

    percent: int | None
    low: int
    high: int


@dataclass(frozen=True)
class Value:
    """One value of an entry: reports that said it, and what follows from them."""

    value: str
    count: Published
    share: Share | None = None
    """None where there is no total to divide by, and in rows of a release."""


@dataclass(frozen=True)
class Release:
    """The reports that named one release; ``other`` are those of all that are not listed."""

    release: str
    total: Published
    values: tuple[Value, ...] = ()
    """As those of the entry; none where the total is hidden."""


@dataclass(frozen=True)
class Entry:
    """One declared statistic in one week. Its figures stand in the last week of its period; in
    others, and where nothing at all was counted, ``total`` is no data and there are no rows."""

    metric: Metric
    """As it was declared when the week was published."""
    period: Summed
    total: Published
    installations: Estimate | None = None
    """That send it, on average over those weeks of the period in which it is collected; None where
    none of them is whole."""
    consenting: int | None = None
    """Very likely at least so many percent (rounded down) of the installations that fetch the news
    send it; None where that cannot be told."""
    values: tuple[Value, ...] = ()
    releases: tuple[Release, ...] = ()
    flags: tuple[str, ...] = ()
    """``disturbed``: far more or fewer reports than in the periods before."""
    expected: bool = False
    """Of a cause of failures: it is left out of the share that failed."""

    @property
    def name(self) -> str:
        return self.metric.name


@dataclass(frozen=True)
class Budget:
    """The privacy budget of one installation in one week, spread over ``cells`` numbers that its
    reports can add to."""

    epsilon: float
    cells: int

    @property
    def deviation(self) -> float:
        """The standard deviation of the noise in each number, in reports."""
        return deviation_of(self.epsilon / self.cells)


@dataclass(frozen=True)
class Terms:
    """What a domain of error events says beside its entries, as it was declared then."""

    domain: str
    description: str
    grace: int
    """Seconds within which a failure that resolves is none."""
    late: int
    """Seconds up to which a later resolution is known as late."""

    @classmethod
    def of(cls, domain: Domain) -> Terms:
        return cls(domain.name, domain.description, domain.grace, domain.late)


@dataclass(frozen=True)
class StatisticsWeek:
    """All declared entries of one product and channel in one ISO week, sorted by name."""

    product: str
    channel: str
    week: str
    noise: Budget | None
    flags: tuple[str, ...]
    """``incomplete``: reports came that could not be kept."""
    late: Published
    """Reports for weeks closed earlier that came too late and were dropped, since the last week."""
    entries: tuple[Entry, ...]
    domains: tuple[Terms, ...] = ()
    """Of error events, sorted by name."""

    def entry(self, name: str) -> Entry | None:
        """The entry ``project/key``; None where it is not in the document."""
        return self._by_name.get(name)

    @cached_property
    def _by_name(self) -> dict[str, Entry]:
        return {each.name: each for each in self.entries}


def encode(week: StatisticsWeek) -> bytes:
    """The bytes of ``statistics-WEEK.json``: one member a line, ASCII, one trailing newline."""
    return encode_json(
        {
            "format": WITH_EVENTS if week.domains else FORMAT,
            "product": week.product,
            "channel": week.channel,
            "week": week.week,
            "first_day": monday(week.week).isoformat(),
            "last_day": sunday(week.week).isoformat(),
            "noise": week.noise and {"epsilon": week.noise.epsilon, "cells": week.noise.cells},
            "flags": list(week.flags),
            "late": {"count": week.late.value},
            "entries": [_entry(each) for each in week.entries],
            **({"domains": [vars(each) for each in week.domains]} if week.domains else {}),
        }
    )


def _entry(entry: Entry) -> dict[str, object]:
    metric, guess = entry.metric, entry.installations
    is_event = metric.purpose == EVENTS
    return {
        **({"purpose": metric.purpose, "expected": entry.expected} if is_event else {}),
        **{name: getattr(metric, name) for name in _TEXTS},
        "choices": list(metric.values),
        "bounds": list(metric.bounds),
        "rate": metric.rate,
        "epsilon": metric.epsilon or None,
        "declared": metric.declared and metric.declared.isoformat(),
        "withdrawn": metric.withdrawn and metric.withdrawn.isoformat(),
        "expires": metric.expires.isoformat(),
        "weeks": entry.period.weeks,
        "period": {
            "every": entry.period.every,
            "first_week": entry.period.first,
            "last_week": entry.period.last,
        },
        "flags": list(entry.flags),
        "total": entry.total.value,
        "installations": guess
        and {"estimate": guess.installations, "low": guess.low, "high": guess.high},
        "consenting": entry.consenting,
        "values": [
            {"value": each.value, "count": each.count.value, "share": each.share and _share(each)}
            for each in entry.values
        ],
        "releases": [
            {
                "release": each.release,
                "total": each.total.value,
                "values": [{"value": one.value, "count": one.count.value} for one in each.values],
            }
            for each in entry.releases
        ],
    }


def _share(value: Value) -> dict[str, int | None]:
    share = value.share
    assert share is not None
    return {"percent": share.percent, "low": share.low, "high": share.high}


def decode(data: bytes) -> StatisticsWeek:
    """Reads a document. Raises ``WireError`` (``statistics-document``, ``not-floored``).

    It must be what ``encode`` writes, byte for byte, so no number can hide beside the floors.
    """
    try:
        week = _read(json.loads(data, parse_constant=_refuse))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _bad("does not have the published form") from None
    if encode(week) != data:
        raise _bad("was changed after it was published")
    return week


def _bad(what: str) -> WireError:
    return WireError("statistics-document", f"A file of a week's statistics {what}.")


def _refuse(constant: str) -> None:
    """NaN and infinities are no JSON."""
    raise ValueError(constant)


def _read(table: dict[str, Any]) -> StatisticsWeek:
    budget = table["noise"]
    return StatisticsWeek(
        product=str(table["product"]),
        channel=str(table["channel"]),
        week=str(table["week"]),
        noise=budget and Budget(float(budget["epsilon"]), int(budget["cells"])),
        flags=tuple(str(flag) for flag in table["flags"]),
        late=restore(table["late"]["count"]),
        entries=tuple(_read_entry(each) for each in table["entries"]),
        domains=tuple(
            Terms(
                str(each["domain"]),
                str(each["description"]),
                int(each["grace"]),
                int(each["late"]),
            )
            for each in table.get("domains", [])
        ),
    )


def _read_entry(table: dict[str, Any]) -> Entry:
    guess, span = table["installations"], table["period"]
    return Entry(
        metric=_read_metric(table),
        period=Summed(int(span["every"]), str(span["first_week"]), str(span["last_week"])),
        total=restore(table["total"]),
        installations=guess
        and Estimate(int(guess["estimate"]), int(guess["low"]), int(guess["high"])),
        consenting=None if table["consenting"] is None else int(table["consenting"]),
        values=tuple(_read_value(each) for each in table["values"]),
        releases=tuple(
            Release(
                str(each["release"]),
                restore(each["total"]),
                tuple(_read_value({**one, "share": None}) for one in each["values"]),
            )
            for each in table["releases"]
        ),
        flags=tuple(str(flag) for flag in table["flags"]),
        expected=bool(table.get("expected")),
    )


def _read_value(table: dict[str, Any]) -> Value:
    share = table["share"]
    if share is not None:
        percent = None if share["percent"] is None else int(share["percent"])
        share = Share(percent, int(share["low"]), int(share["high"]))
    return Value(str(table["value"]), restore(table["count"]), share)


def _read_metric(table: dict[str, Any]) -> Metric:
    return Metric(
        **{name: str(table[name]) for name in _TEXTS},
        values=tuple(str(each) for each in table["choices"]),
        bounds=tuple(int(each) for each in table["bounds"]),
        rate=float(table["rate"]),
        epsilon=0.0 if table["epsilon"] is None else float(table["epsilon"]),
        declared=_day(table["declared"]),
        withdrawn=_day(table["withdrawn"]),
        expires=date.fromisoformat(table["expires"]),
        purpose=PURPOSES[PURPOSES.index(table.get("purpose", STATISTICS))],
    )


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)
