"""Populations whose installations fail at known rates, and how often the truth of a week lies in
what is published of it.

Each installation fails day by day, resolves some failures late, and reports as its domain declares:
an entry with its rate, on a random day, after a wait as the client's own draws have it
(``reported.waits``), about the last seven complete days. The sums go through the server's own
tables. ``make bench ARGS=shares`` runs many populations, the tests a few.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from mars.wire.catalogue import Catalogue
from mars.wire.events import COUNTS, FAILED_SHARE, LATE_KEY, NONE, Dimension, Domain, ErrorName
from mars.wire.events import failed_share as told_share
from mars.wire.product import Product
from mars.wire.registry import BUCKET, Metric
from mars_server.common.calendar import span
from mars_server.tables.compose import FloorRules
from mars_server.tables.failing import failing
from mars_server.tables.noise import Noise
from mars_server.tables.statistics import Known, Listings, Reports, compose, step
from mars_server.tables.statistics_week import Share, StatisticsWeek
from tests.server.tables.reported import FLEETS, MIXED, POOL, WARM_UP, waits

SEVEN = 7
MET = "cause: met at all"
WEEKS = list(span("2026-W27", "2026-W53"))
RELEASES = ("0.5.1", "0.5.2")
PRODUCT = Product("examplemail", "stable", RELEASES, ("linux",), ("en",), crowd=1000)

Numbers = NDArray[np.int64]
Cells = dict[str, dict[str, dict[str, int]]]


def cause(name: str, description: str, **more: object) -> ErrorName:
    texts = {
        "owner": "crypto team",
        "review": "https://example.org/reviews/31",
        "sensitivity": "technical",
        "expires": date(2027, 12, 31),
        "declared": date(2026, 6, 1),
    }
    return ErrorName(name, description, **{**texts, **more})  # type: ignore[arg-type]


DOMAIN = Domain(
    "decryption",
    (
        cause(
            "key_missing",
            "The mail is encrypted to a key that is not here.",
            dimensions=(Dimension("device", ("own", "other")), Dimension("verified")),
        ),
        cause("damaged", "The encrypted text is cut off or was changed on its way."),
        cause("other", "Anything that has no name of its own yet."),
        cause("cancelled", "The user closed the question for the passphrase.", expected=True),
    ),
    "Decrypting a mail that somebody sent.",
)


@dataclass(frozen=True)
class Habits:
    """How a population fails."""

    size: int = 2_000
    prone: Mapping[str, float] = field(default_factory=dict)
    """By cause the share of the installations that meet it at all."""
    daily: float = 0.4
    """Failures a day of each cause that an installation is prone to, on average."""
    tries: float = 8.0
    """That succeed in a day, on average."""
    late: float = 0.2
    """Share of the failures that resolve late."""
    breaks: Mapping[str, int] = field(default_factory=dict)
    """By cause the week from which on three times as many are prone to it."""


@dataclass(frozen=True)
class Simulated:
    """Week by week what the server counts, and by entry and value the true share of the
    installations, on average over the seven days of the week."""

    reports: Mapping[str, Reports]
    truth: Mapping[str, Mapping[str, Mapping[str, float]]]


def simulated(
    domain: Domain, habits: Habits, weeks: Sequence[str], seed: int, pool: int = POOL
) -> Simulated:
    random = np.random.default_rng([seed, habits.size])
    before = WARM_UP + 1
    told = _told(domain, habits, before + len(weeks), before, random)
    machines = FLEETS[MIXED]
    owners = np.array_split(np.arange(habits.size), len(machines))
    release = random.random(habits.size)
    counts: dict[str, Cells] = {week: {} for week in weeks}
    truth: dict[str, dict[str, dict[str, float]]] = {week: {} for week in weeks}
    for entry in domain.entries:
        values = entry.values_known
        says = told[entry.key]
        for n, week in enumerate(weeks):
            shown = says[:, SEVEN * (before + n) : SEVEN * (before + n + 1)]
            shares = np.bincount(shown.ravel(), minlength=len(values)) / shown.size
            truth[week][entry.name] = dict(zip(values, shares.tolist(), strict=True))
        coins = random.random((habits.size, before + len(weeks))) < entry.rate
        late = np.concatenate(
            [
                random.choice(waits(machine, pool), (len(part), coins.shape[1]))
                for machine, part in zip(machines, owners, strict=True)
            ]
        )
        who, drawn = np.nonzero(coins)
        arrives = drawn + late[who, drawn]
        for one, week_at in zip(who.tolist(), arrives.tolist(), strict=True):
            if before <= week_at < before + len(weeks):
                day = SEVEN * week_at + int(random.integers(SEVEN))
                newest = 0.3 + 0.5 * (week_at - before) / len(weeks)
                named = RELEASES[-1] if release[one] < newest else RELEASES[0]
                cells = counts[weeks[week_at - before]].setdefault(entry.name, {})
                row = cells.setdefault(named, {})
                value = values[says[one, day]]
                row[value] = row.get(value, 0) + 1
    return Simulated({week: Reports(cells) for week, cells in counts.items()}, truth)


def _told(
    domain: Domain, habits: Habits, weeks: int, before: int, random: np.random.Generator
) -> dict[str, Numbers]:
    """By key and for each installation and day the number of the value that it would tell."""
    size, days = habits.size, SEVEN * weeks
    found: dict[str, Numbers] = {}
    failed, late = np.zeros((2, size, days), dtype=np.int64)
    entries = {entry.key: entry for entry in domain.entries}
    for one in domain.names:
        share = habits.prone.get(one.name, 0.0)
        order = random.random(size)
        prone = np.repeat((order < share)[:, None], days, axis=1)
        if one.name in habits.breaks:
            since = SEVEN * (before + habits.breaks[one.name])
            prone[:, since:] = (order < 3 * share)[:, None]
        own = random.gamma(1.0, habits.daily, size)[:, None] * prone
        each = random.poisson(own)
        late += random.binomial(each, habits.late)
        failed += each if not one.expected else 0
        seven = _last_seven(each)
        found[one.name] = np.searchsorted(COUNTS, seven, side="right")
        for dimension in one.dimensions:
            entry = entries[f"{one.name}.{dimension.name}"]
            mine = random.integers(1, len(entry.values), size)
            found[entry.key] = np.where(seven > 0, mine[:, None], entry.values.index(NONE))
    tries = failed + random.poisson(random.gamma(1.0, habits.tries, size)[:, None], (size, days))
    values = entries[FAILED_SHARE].values
    number = np.vectorize(lambda some, of: values.index(told_share(some, of)), otypes=[np.int64])
    found[FAILED_SHARE] = number(_last_seven(failed), _last_seven(tries))
    found[LATE_KEY] = np.searchsorted(COUNTS, _last_seven(late), side="right")
    return found


def _last_seven(daily: Numbers) -> Numbers:
    """Sums of the seven days before each day; fewer at the very beginning."""
    sums = np.pad(daily.cumsum(axis=1), ((0, 0), (1, 0)))
    ends = np.arange(daily.shape[1])
    found: Numbers = sums[:, ends] - sums[:, np.maximum(ends - SEVEN, 0)]
    return found


def published(
    reports: Mapping[str, Reports], domain: Domain, noise: Noise | None = None
) -> list[StatisticsWeek]:
    """The documents of these weeks, made by the server's own tables."""
    catalogue = Catalogue(PRODUCT.product, PRODUCT.channel, RELEASES, domains=(domain,))
    known = Known(FloorRules(PRODUCT, noise), catalogue, reports)
    listings: Listings = {}
    done: list[StatisticsWeek] = []
    for week in reports:
        listings = step(week, listings, known)
        done.append(compose(week, listings, done, 0, known))
    return done


@dataclass(frozen=True)
class Covered:
    """Of how many intervals that were published the truth lay in them."""

    bucket: str
    """What was told: a value of an entry, or that a cause was met at all."""
    intervals: int
    covered: float
    width: float
    """Percentage points, on average."""

    @property
    def fine(self) -> bool:
        """At least 95 %, within three standard errors."""
        return self.covered >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / self.intervals)


def measured(
    populations: int,
    size: int = 2_000,
    weeks: int = 13,
    noise: Noise | None = None,
    pool: int = POOL,
    narrowed: float = 1.0,
) -> list[Covered]:
    """Over populations with failure rates of their own, drawn at random and known. ``narrowed``
    intervals are that part as wide, to see that the measure can tell."""
    found: dict[str, list[tuple[bool, int]]] = {}
    for seed in range(populations):
        chance = np.random.default_rng([seed, size, weeks])
        prone = {one.name: float(chance.uniform(0.005, 0.3)) for one in DOMAIN.names}
        habits = Habits(size, prone, float(chance.uniform(0.05, 1.0)))
        if seed % 3 == 2:
            habits = replace(habits, breaks={"damaged": weeks // 2})
        made = simulated(DOMAIN, habits, WEEKS[:weeks], seed, pool)
        own = noise and replace(noise, key=seed.to_bytes(32))
        for name, share, true in _compared(published(made.reports, DOMAIN, own), made.truth):
            half = narrowed * (share.high - share.low) / 2 + 1e-9
            holds = abs(100 * true - (share.low + share.high) / 2) <= half
            found.setdefault(name, []).append((holds, share.high - share.low))
    return [
        Covered(name, len(each), fmean(holds for holds, _ in each), fmean(wide for _, wide in each))
        for name, each in found.items()
    ]


def _compared(
    documents: Sequence[StatisticsWeek],
    truth: Mapping[str, Mapping[str, Mapping[str, float]]],
) -> Iterator[tuple[str, Share, float]]:
    for document in documents:
        for entry in document.entries:
            if not entry.values:
                continue
            parts = span(entry.period.first, entry.period.last)
            shares = [truth[week][entry.name] for week in parts]
            for row in entry.values:
                if row.share is not None:
                    yield (
                        f"{_kind(entry.metric)}: {row.value}",
                        row.share,
                        fmean(each[row.value] for each in shares),
                    )
            met = failing(entry.metric, entry.values, entry.total)
            if met is not None and entry.metric.type == BUCKET:
                yield (
                    MET if _kind(entry.metric) == "cause" else f"{LATE_KEY}: at all",
                    met,
                    1 - fmean(each["0"] for each in shares),
                )


def _kind(metric: Metric) -> str:
    if metric.key in (FAILED_SHARE, LATE_KEY):
        return metric.key
    return "dimension" if "." in metric.key else "cause"
