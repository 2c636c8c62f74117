"""The domains of error events: their causes and what else is reported of them.

From published documents and the registry alone, as the declared entries that they consist of.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mars.wire.catalogue import Catalogue
from mars.wire.events import FAILED_SHARE, LATE_KEY, OTHER
from mars_server.site.declared import ENOUGH, KNOWN_WITHIN, Declared, Period, Statistics
from mars_server.tables.failing import failing, of_release
from mars_server.tables.noise import TOLD
from mars_server.tables.statistics_week import Release, Share, StatisticsWeek, Terms, Value

MOST_OTHER: Final = 20
"""Percent of what fails in a domain, above which too much has no cause of its own."""


@dataclass(frozen=True)
class Cause:
    """One cause of failures, with what is told beside it."""

    entry: Declared
    expected: bool
    dimensions: Sequence[Declared] = ()

    @property
    def name(self) -> str:
        return self.entry.metric.key

    @property
    def share(self) -> Share | None:
        """Of the installations that met it in seven days, by the newest period with data."""
        return met(self.entry.latest)


@dataclass(frozen=True)
class Domain:
    """What can fail in one part of an application."""

    terms: Terms
    failed: Declared
    """The share of tries that failed."""
    late: Declared
    causes: Sequence[Cause]

    @property
    def name(self) -> str:
        return self.terms.domain

    @property
    def unexpected(self) -> list[Cause]:
        """Those that count as failed, what most installations met first."""
        return _ranked(cause for cause in self.causes if not cause.expected)

    @property
    def expected(self) -> list[Cause]:
        return _ranked(cause for cause in self.causes if cause.expected)

    @property
    def entries(self) -> list[Declared]:
        """All of them."""
        parts = [each for cause in self.causes for each in (cause.entry, *cause.dimensions)]
        return [self.failed, self.late, *parts]

    @property
    def unnamed(self) -> int:
        """Percent of what fails that is ``other``, where that is too much: each installation counts
        once for each cause that it met, and one of which little is known as the most that it can
        be. 0 where it is not too much, or too little is known of ``other`` to say so."""
        unnamed, whole = 0, 0
        for cause in self.unexpected:
            share, known = cause.share, _known(cause.entry.latest)
            whole += known or (share.high if share else 0)
            unnamed += known if cause.name == OTHER else 0
        part = round(100 * unnamed / whole) if unnamed else 0
        return part if part > MOST_OTHER else 0


def domains(
    catalogue: Catalogue | None, published: Sequence[StatisticsWeek], told: Statistics
) -> Mapping[str, Domain]:
    """Those of ``told``, by name, as they are declared in ``catalogue``, else as the last document
    in ``published`` has them."""
    terms = {each.domain: each for week in published for each in week.domains}
    expected: dict[tuple[str, str], bool] = {}
    for domain in catalogue.domains if catalogue else ():
        terms[domain.name] = Terms.of(domain)
        expected |= {(domain.name, each.name): each.expected for each in domain.names}
    found = {}
    for name, entries in told.domains.items():
        keys = {each.metric.key: each for each in entries}
        if name in terms and {FAILED_SHARE, LATE_KEY} <= keys.keys():
            failed, late = keys.pop(FAILED_SHARE), keys.pop(LATE_KEY)
            causes = [
                Cause(entry, expected.get((name, key), _was_expected(entry)), _under(key, entries))
                for key, entry in keys.items()
                if "." not in key
            ]
            found[name] = Domain(terms[name], failed, late, causes)
    return found


def met(period: Period | None) -> Share | None:
    """The share of the installations that met at least one failure in seven days."""
    if period is None:
        return None
    entry = period.figures
    return failing(entry.metric, entry.values, entry.total)


def by_release(period: Period, release: Release) -> Sequence[Value]:
    """The values of ``release`` with their shares among its installations."""
    entry = period.figures
    return of_release(entry.metric, entry.period.weeks, period.deviation, release)


def met_in(period: Period, release: Release) -> Share | None:
    """``met`` in one release."""
    return failing(period.figures.metric, by_release(period, release), release.total)


def _known(period: Period | None) -> int:
    """``met`` in percent, 0 where it is not known well enough to be told in a sentence, or may be
    that of nobody."""
    share = met(period)
    if period is None or share is None or share.percent is None or period.flags:
        return 0
    total = period.figures.total
    few = total.least < ENOUGH or total.least * share.percent < 100 * TOLD * period.deviation
    vague = not share.low or share.high - share.low > KNOWN_WITHIN
    return 0 if few or vague else share.percent


def _was_expected(entry: Declared) -> bool:
    return bool(entry.periods and entry.periods[-1].figures.expected)


def _under(name: str, entries: Sequence[Declared]) -> list[Declared]:
    return [each for each in entries if each.metric.key.startswith(f"{name}.")]


def _ranked(causes: Iterable[Cause]) -> list[Cause]:
    """``other`` is last, whatever its share: it is no cause."""

    def weight(cause: Cause) -> tuple[bool, int, int]:
        share = cause.share
        size = (share.percent or 0, share.high) if share else (0, 0)
        return cause.name == OTHER, -size[0], -size[1]

    return sorted(causes, key=weight)
