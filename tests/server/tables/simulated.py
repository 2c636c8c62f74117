"""Simulated projects: the exact counts of their weeks, and what is published of them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from mars.wire.crowd import ALONE, MANY, SOME
from mars.wire.product import Product
from mars.wire.query import NONE
from mars.wire.variables import BASIC, OPTIONAL, OTHER, chosen
from mars_server.tables.compose import RARE, Exact, FloorRules, Listing, compose, step
from mars_server.tables.week import TABLES, Week

PRODUCT = Product(
    product="attacked",
    channel="stable",
    releases=("0.1.0", "0.2.0", "0.3.0", "0.4.0", "0.5.0", "0.5.1"),
    platforms=("linux", "windows", "macos"),
    languages=("de", "en", "fi", "is", "sv"),
    crowd=1000,
)
SPREAD = {
    "v": dict(zip(PRODUCT.releases, (0.004, 0.01, 0.03, 0.1, 0.3, 0.55), strict=True)),
    "os": {"linux": 0.3, "windows": 0.5, "macos": 0.19, "other": 0.01},
    "ia": {"1": 0.03, "10": 0.12, "100": 0.5, "1000": 0.35},
    "lang": {"en": 0.6, "de": 0.3, "sv": 0.05, "fi": 0.03, "is": 0.02},
    "py": {"3.11": 0.5, "3.12": 0.4, "3.13": 0.1},
    "cc": {"DE": 0.5, "US": 0.3, "SE": 0.1, "IS": 0.05, "FI": 0.05},
}


@dataclass(frozen=True)
class Project:
    """What a simulated project lists, and the share of its requests that carry metrics; in a large
    crowd always one of the optional ones with them."""

    name: str
    releases: int
    platforms: int
    tracked: float
    crowd: int = MANY

    @property
    def product(self) -> Product:
        return replace(
            PRODUCT,
            releases=PRODUCT.releases[-self.releases :],
            platforms=PRODUCT.platforms[: self.platforms],
            crowd=self.crowd,
        )


USUAL = Project("six releases, three platforms", 6, 3, 0.7)
BARE = Project("one release, one platform", 1, 1, 0.95)
"""The fewer cells a table has, the less its floors leave open."""
SMALL, TINY = (replace(USUAL, name=f"{USUAL.name}, `crowd` {n}", crowd=n) for n in (SOME, ALONE))


@dataclass
class Requests:
    """Requests, counted as the server counts them."""

    tables: dict[str, dict[str, int]] = field(default_factory=lambda: {name: {} for name in TABLES})
    pairs: dict[tuple[str, str], int] = field(default_factory=dict)

    def add(self, number: int, **given: str) -> None:
        """``number`` requests that give these variables alone; plain ones without any."""
        values = {**dict.fromkeys(SPREAD, NONE), **given, "level": "tracked" if given else "plain"}
        for name, value in values.items():
            self.tables[name][value] = self.tables[name].get(value, 0) + number
        pair = values["v"], values["os"]
        self.pairs[pair] = self.pairs.get(pair, 0) + number

    @property
    def exact(self) -> Exact:
        return Exact(self.tables, self.pairs)


def simulated(
    project: Project, hits: int, weeks: int, forged: Sequence[Exact] = ()
) -> list[tuple[Exact, Week]]:
    """``weeks`` weeks of some ``hits`` true hits each: the truth, and what is published of it and
    of the hits that were ``forged`` in each week."""
    chance = random.Random(hits)
    rules = FloorRules(project.product)
    listings = unlisted()
    done: list[tuple[Exact, Week]] = []
    every: dict[str, Exact] = {}
    for n in range(weeks):
        name = f"2026-W{n + 10:02d}"
        exact = _exact(project, hits, chance)
        counted = added(exact, forged[n]) if forged else exact
        listings = step(name, counted, listings, rules)
        before, every[name] = [week for _, week in done], counted
        week = compose(name, counted, listings, before, 0, rules, others=every)
        done.append((exact, week))
    return done


def added(one: Exact, other: Exact) -> Exact:
    """What is counted of two sets of requests."""
    tables = {
        name: Counter(one.counts.get(name, {})) + Counter(other.counts.get(name, {}))
        for name in TABLES
    }
    return Exact(tables, Counter(one.pairs) + Counter(other.pairs))


def _exact(project: Project, hits: int, chance: random.Random) -> Exact:
    requests = Requests()
    known = {"v": project.product.releases, "os": project.product.platforms}
    for _ in range(chance.randint(hits * 9 // 10, hits * 11 // 10)):
        values: dict[str, str] = {}
        if chance.random() < project.tracked:
            said = (*BASIC, chance.choice(OPTIONAL) if project.crowd >= MANY else "")
            for name in filter(None, said):
                values[name] = chance.choices(*zip(*SPREAD[name].items(), strict=True))[0]
            for name, listed in known.items():
                values[name] = values[name] if values[name] in listed else OTHER
            if project.crowd < MANY:
                values = dict(chosen(values, BASIC, chance.random(), project.crowd))
        requests.add(1, **values)
    return requests.exact


def unlisted() -> dict[str, Listing]:
    """No language and no country has a row yet."""
    return {name: Listing() for name in RARE}
