"""Twelve weeks of simulated history: written as logs, counted, published, laid beside the truth."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from examples.demo.chain import CROWD, RELEASES, Served
from examples.demo.stage import Stage
from mars import factory
from mars.testing.memory import SeededChance
from mars.wire.product import parse_product
from mars.wire.query import AllowList
from mars.wire.times import DAY
from testbed.population import Plan, Population, simulate

WEEK = 7 * DAY
WEEKS = 12
GRACE = 2 * DAY
"""A week is published at the earliest this long after its end."""
SEED = 20_26
MONDAY = 4 * DAY
"""1970-01-05 was a Monday."""
MOST_MISSES = 2
"""Of twelve intervals of 95 %: three or more misses come by chance once in fifty runs."""
COUNT_KEYS = frozenset({"count", "hits", "total", "fetches"})


def plan_history(now: int) -> Plan:
    """The twelve ISO weeks before the newest one that may be published at ``now``."""
    end = MONDAY + (now - GRACE - MONDAY) // WEEK * WEEK
    return Plan(
        start=end - WEEKS * WEEK,
        days=WEEKS * 7,
        size=2_400,
        arrivals_per_day=28.0,
        lifetime_days=240.0,
        tracked=0.65,
        crowd=CROWD,
        update_lag_days=24.0,
        releases=tuple(zip((-400.0, -120.0, -20.0, 40.0), RELEASES, strict=True)),
        platforms={"linux": 45, "windows": 38, "macos": 15, "other": 2},
        optional={"lang": {"en": 60, "de": 20, "fr": 12, "is": 8}, "py": {"3.11": 3, "3.12": 5}},
    )


def write_history(stage: Stage) -> Population:
    """Simulates the population and writes its access logs into ``history/``."""
    stage.step(f"{WEEKS} weeks of simulated history, as access logs")
    plan = plan_history(factory.system_clock().now())
    population = simulate(plan, SeededChance(SEED))
    paths = population.write_logs(stage.folder / "history", SeededChance(SEED + 1))
    requests = sum(population.days().values())
    stage.say(
        f"{len(population.installations)} installations came and went, each on the client's own "
        f"schedule: {requests} requests, {len(paths)} logs"
    )
    return population


def count_and_publish(stage: Stage, served: Served, population: Population) -> list[dict[str, Any]]:
    """Counts every log into a database, publishes, and returns the published weeks."""
    stage.step("The operator counts the logs and publishes")
    product = ("--product", "motd/product.toml")
    dry = stage.ask("mars-server", "count", "history", *product, "--dry-run")
    allowed = AllowList.of(
        parse_product((stage.folder / "motd" / "product.toml").read_bytes(), "product.toml")
    )
    stage.check(
        dry["days"] == _truth_by_day(population, allowed)
        and dry["lines"] == dry["hits"] + dry["rejected"],
        f"all {dry['hits']} simulated requests are counted, each value on its day, none twice",
    )
    live = served.log.relative_to(stage.folder)
    database = ("--db", "sqlite:///counts.db")
    stage.run("mars-server", "count", "history", str(live), *product, *database)
    again = stage.ask("mars-server", "count", "history", str(live), *product, *database)
    stage.check(again.get("hits") == 0, "counting the same logs again adds nothing")
    news = ("--motd", "motd.json")  # so that anyone can see whether theirs was given to all
    site = ("--out", "site", *product, *news)
    stage.say(stage.run("mars-server", "publish", *database, *site).strip())
    weeks = [json.loads(path.read_bytes()) for path in _week_files(stage.folder / "site" / "data")]
    stage.check(len(weeks) == WEEKS, f"{WEEKS} complete weeks are published, today's not yet")
    stage.check(_floored(weeks), "every published number is a multiple of ten, <10, or no data")
    return weeks


def compare(stage: Stage, weeks: list[dict[str, Any]], population: Population) -> None:
    """The published estimate beside what is true, week by week."""
    stage.step("The estimate beside the truth")
    stage.say("week       fetches   estimate   95 % interval     truth")
    misses, ratios = 0, []
    for number, week in enumerate(weeks):
        begin = population.plan.start + number * WEEK
        truth = population.active(begin, begin + WEEK)
        guess = week["estimate"]
        inside = guess["low"] <= truth <= guess["high"]
        misses += not inside
        ratios.append(guess["installations"] / truth)
        span = f"{guess['low']}-{guess['high']}"
        stage.say(
            f"{week['week']}   {week['hits']:>7}   {guess['installations']:>8}   {span:>13}"
            f"   {truth:>7.0f}  {'' if inside else '  outside'}"
        )
    mean = sum(ratios) / len(ratios)
    stage.check(
        misses <= MOST_MISSES, f"the truth lies in {len(weeks) - misses} of {len(weeks)} intervals"
    )
    stage.check(abs(mean - 1) < 0.03, f"on average the estimate is {mean:.3f} times the truth")


def _week_files(data: Path) -> list[Path]:
    return sorted(data.glob("**/[0-9][0-9][0-9][0-9]-W[0-9][0-9].json"))


def _truth_by_day(population: Population, allowed: AllowList) -> dict[str, Any]:
    """What the counter must find, told from the simulation and not from its logs."""
    days: dict[str, dict[str, Counter[str]]] = {}
    for (day, query), number in population.hits.items():
        table = days.setdefault(day, {name: Counter() for name in ("level", *_VARIABLES)})
        known = allowed.read(query)
        table["level"]["tracked" if query else "plain"] += number
        for name in _VARIABLES:
            table[name][known.get(name, "none")] += number
    return {day: {name: dict(c) for name, c in table.items()} for day, table in days.items()}


_VARIABLES = ("v", "os", "ia", "lang", "py", "cc")


def _floored(value: Any) -> bool:
    """Whether each number of hits in a published document is floored."""
    if isinstance(value, list):
        return all(_floored(item) for item in value)
    if not isinstance(value, dict):
        return True
    return all(
        item is None or item == "<10" or (type(item) is int and item % 10 == 0)
        if key in COUNT_KEYS
        else _floored(item)
        for key, item in value.items()
    )
