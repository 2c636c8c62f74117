"""Forged requests: what one week of them tells where no noise is added."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from mars.wire.query import NONE
from mars.wire.variables import AGES, DEV, OTHER, PYTHONS
from mars_server.tables.compose import Exact
from mars_server.tables.floor import STEP, Published, floor
from mars_server.tables.week import Week
from tests.server.tables.simulated import Project, Requests

KIND = {"v": "0.5.1", "os": "linux", "ia": "100"}
"""What every true request says where a project is so small that all are alike."""
LACKING = {"no language": "lang", "no Python": "py", "no country": "cc"}
SUMS = ("hits", "tracked", "v", "os", "ia", "v × os", *LACKING)
"""The published sums that hold a tracked request which gives none of the optional variables."""


def forged(project: Project, digits: Sequence[int], chance: random.Random) -> Exact:
    """Requests that shift every published number of a week, the ``none`` and the totals aside, by
    one of these last digits, and make each version visible, so that all are crossed."""
    product = project.product
    platforms = [*product.platforms, OTHER]
    requests = Requests()
    for v in (*product.releases, DEV, OTHER):
        for os in platforms:
            requests.add(STEP + chance.choice(digits), v=v, os=os)
    rows: dict[str, Sequence[str]] = {
        "v": (*product.releases, DEV, OTHER),
        "os": platforms,
        "ia": (*AGES, OTHER),
        "lang": (OTHER,),
        "py": (*PYTHONS, OTHER),
        "cc": (OTHER,),
    }
    for name, values in rows.items():
        for value in values:
            already = requests.tables[name].get(value, 0)
            requests.add((chance.choice(digits) - already) % STEP, **{name: value})
    requests.add(chance.choice(digits))
    return requests.exact


def possible(true: int, shifts: Sequence[int]) -> list[int]:
    """The counts from 0 to 9 that nobody can exclude who sees each sum that holds the ``true``
    one, and knows the rest of it, ``shifts`` forged hits included."""
    seen = [floor(true + shift) for shift in shifts]
    return [count for count in range(STEP) if [floor(count + shift) for shift in shifts] == seen]


def spread(sums: int) -> list[int]:
    """How far to shift so many sums, to learn most: each crosses a ten at another count."""
    return [STEP - round(STEP * (n + 1) / (sums + 1)) for n in range(sums)]


def crossing(last_digits: Mapping[str, int]) -> Requests:
    """Requests that shift the nine sums by numbers with these last digits."""
    requests = Requests()
    goal = last_digits
    for name, table in LACKING.items():
        requests.add((goal["hits"] - goal[name]) % STEP, **{table: OTHER})
    # Ten more, so that the version is visible and crossed.
    requests.add(STEP + goal["v × os"], v=KIND["v"], os=KIND["os"])
    for name in ("v", "os", "ia"):
        missing = goal[name] - requests.tables[name].get(KIND[name], 0)
        requests.add(missing % STEP, **{name: KIND[name]})
    requests.add((goal["tracked"] - requests.tables["level"]["tracked"]) % STEP, v=DEV)
    requests.add((goal["hits"] - requests.tables["level"]["tracked"]) % STEP)
    return requests


def total(requests: Requests, name: str) -> int:
    """How many of ``requests`` one of the nine sums holds."""
    tables = requests.tables
    if name in LACKING:
        return tables[LACKING[name]][NONE]
    if name in KIND:
        return tables[name][KIND[name]]
    if name == "v × os":
        return requests.pairs[KIND["v"], KIND["os"]]
    level = tables["level"]
    return level["tracked"] + (level["plain"] if name == "hits" else 0)


def published_sums(week: Week) -> list[Published]:
    """The nine sums as they are published."""
    rows = [("level", "tracked"), *KIND.items()]
    pair = next(each for each in week.pairs if (each.v, each.os) == (KIND["v"], KIND["os"]))
    none = [(table, NONE) for table in LACKING.values()]
    return [
        week.hits,
        *(_row(week, *row) for row in rows),
        pair.count,
        *(_row(week, *row) for row in none),
    ]


def _row(week: Week, table: str, value: str) -> Published:
    found = week.count(table, value)
    assert found is not None
    return found
