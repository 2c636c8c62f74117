"""Databases with known counts, and a look at everything that was published from them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import Engine, insert

from mars.wire.product import Product
from mars.wire.times import parse_time
from mars_server.common import calendar
from mars_server.publication.closing import close_weeks
from mars_server.publication.folder import DATA, read_weeks
from mars_server.publication.index import INDEX, index_bytes, listed
from mars_server.site.charts.store import ChartStore
from mars_server.site.pages.render import Contents
from mars_server.site.pages.site import Site
from mars_server.site.publish import PublishReport
from mars_server.storage import open_database
from mars_server.storage.publication import StoredWeeks, stored
from mars_server.storage.schema import counts, pairs
from mars_server.tables.compose import Exact, FloorRules
from mars_server.tables.noise import Noise
from mars_server.tables.week import Week

PRODUCT = Product(
    product="examplemail",
    channel="stable",
    releases=("0.1.0", "0.5.1", "0.5.2"),
    platforms=("linux", "windows", "macos"),
    languages=("de", "en", "is"),
    crowd=1000,
)
PRODUCT_TOML = """
product = "examplemail"
channel = "stable"
releases = ["0.1.0", "0.5.1", "0.5.2"]
platforms = ["linux", "windows", "macos"]
languages = ["de", "en", "is"]
crowd = 1000
"""
RULES = FloorRules(PRODUCT)
Publish = Callable[..., PublishReport]
T = TypeVar("T")
FIRST = "2026-W02"
CHARTS = ChartStore()
LATER = parse_time("2030-01-01T00:00:00Z")
"""A time at which everything in these tests is due."""


@dataclass
class Counted:
    """Exact counts of one week, all on its first day: tables by variable, pairs by (v, os)."""

    plain: int = 0
    tables: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    pairs: Mapping[tuple[str, str], int] = field(default_factory=dict)

    def exact(self) -> Exact:
        """As the counter stores it: every variable's values add up to all hits."""
        tracked = max((sum(table.values()) for table in self.tables.values()), default=0)
        level = {"plain": self.plain, "tracked": tracked}
        tables = {
            name: {**table, "none": self.plain + tracked - sum(table.values())}
            for name, table in self.tables.items()
        }
        rest = self.plain + tracked - sum(self.pairs.values())
        return Exact({"level": level, **tables}, {**self.pairs, ("none", "none"): rest})


USUAL = Counted(
    plain=407,
    tables={
        "v": {"0.1.0": 9, "0.5.1": 311, "0.5.2": 280},
        "os": {"linux": 199, "windows": 301, "macos": 98, "other": 2},
        "ia": {"1": 30, "10": 90, "100": 320, "1000": 160},
        "lang": {"en": 120, "de": 55, "is": 9},
        "py": {"3.11": 44, "3.99": 3},
        "cc": {"DE": 60, "IS": 12},
    },
    pairs={("0.5.1", "linux"): 105, ("0.5.1", "windows"): 206, ("0.5.2", "linux"): 94},
)
"""1,000 hits."""


def week(number: int) -> str:
    """The ``number``-th week (from 0) after ``FIRST``."""
    name = FIRST
    for _ in range(number):
        name = calendar.following(name)
    return name


def usual_weeks(number: int) -> dict[str, Counted]:
    """As many weeks in a row, each as usual."""
    return {week(n): USUAL for n in range(number)}


def count(engine: Engine, name: str, counted: Counted, day: int = 0) -> None:
    """Adds ``counted`` to the database, on the ``day``-th day of the week ``name``."""
    exact = counted.exact()
    date = calendar.days(name)[day]
    with engine.begin() as connection:
        for variable, table in exact.counts.items():
            for value, n in table.items():
                connection.execute(
                    insert(counts).values(day=date, variable=variable, value=value, n=n)
                )
        for (v, os), n in exact.pairs.items():
            connection.execute(insert(pairs).values(day=date, v=v, os=os, n=n))


def database(folder: Path, weeks: Mapping[str, Counted] | None = None) -> Engine:
    """A fresh database in ``folder`` with these weeks counted."""
    engine = open_database(f"sqlite:///{folder}/counts.db")
    for name, counted in (weeks or {}).items():
        count(engine, name, counted)
    return engine


def kept(engine: Engine, ask: Callable[[StoredWeeks], T]) -> T:
    """What ``ask`` finds in the database, within one transaction."""
    with stored(engine) as weeks:
        return ask(weeks)


def published(
    folder: Path,
    weeks: Mapping[str, Counted],
    *,
    product: Product = PRODUCT,
    noise: Noise | None = None,
) -> list[Week]:
    """What is published of ``weeks`` when all of them are due."""
    return close_weeks(database(folder, weeks), FloorRules(product, noise), LATER)


def site(weeks: list[Week], product: Product = PRODUCT, **options: Any) -> Site:
    """The pages of ``weeks``. All tests of a process share their drawn charts."""
    return Site(Contents(product, weeks, **options), CHARTS)


def chart_cache(factory: pytest.TempPathFactory) -> Path:
    """A folder for drawn charts that all test processes of this run share."""
    base = factory.getbasetemp()
    return (base.parent if base.name.startswith("popen-") else base) / "charts"


def data_folder(folder: Path, files: Mapping[str, bytes]) -> Path:
    """A folder ``data`` with these files (by name) and an unsigned index of them."""
    data = folder / DATA
    data.mkdir(parents=True)
    for name, content in files.items():
        (data / name).write_bytes(content)
    entries = {f"{DATA}/{name}": listed(content) for name, content in files.items()}
    (data / INDEX).write_bytes(index_bytes(PRODUCT, entries, signed=False))
    return data


def numbers(value: object) -> Iterator[tuple[str, object]]:
    """Everything in a JSON document that stands under a key that is kept for hits."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in ("count", "hits", "total", "fetches"):
                yield key, inner
            yield from numbers(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from numbers(inner)


def tree(folder: Path) -> dict[str, bytes]:
    """All files below ``folder`` by their relative path."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def assert_floored(folder: Path) -> None:
    """Every number of hits in ``folder`` is a multiple of ten, ``<10`` or null."""
    seen = 0
    for path in folder.rglob("*.json"):
        for _, value in numbers(json.loads(path.read_bytes())):
            seen += 1
            assert value is None or value == "<10" or (type(value) is int and value % 10 == 0)
            assert value != 0
    assert seen
    assert read_weeks(folder / "data")
