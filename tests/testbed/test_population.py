"""The simulator keeps its promises: it knows the truth, and its logs say what it counted."""

from __future__ import annotations

import math
import re
from collections import Counter
from pathlib import Path

import pytest

from mars.testing.memory import SeededChance
from mars.wire.product import Product
from mars.wire.query import AllowList
from mars.wire.times import DAY
from testbed.population import Plan, World, exponential, simulate

START = 1_780_272_000  # 2026-06-01T00:00:00Z, a Monday
MEAN_DAYS = 6.5
LINE = re.compile(
    r'- - - \[\d\d/[A-Z][a-z]{2}/2026:00:00:00 \+0000\] "GET /motd/motd\.json'
    r'(?:\?([a-z0-9.=&]+))? HTTP/1\.1" 200 1843 "-" "-"'
)


@pytest.mark.parametrize(
    ("plan", "ratio"),
    [
        (Plan(START, 28, size=4_000), 1.0),
        (Plan(START, 28, size=4_000, lifetime_days=math.inf), 1.0),
        (Plan(START, 28, size=4_000, lifetime_days=30), 1.0),
        # Late by 1.5 days in 60 % of the cases: the mean interval grows by 0.9 days.
        (Plan(START, 28, size=4_000, late=0.6, warm_up_days=40), 6.5 / 7.4),
        # A retry comes after half a day at most; three in a row cost the period.
        (Plan(START, 28, size=4_000, unsent=0.2, warm_up_days=40), 0.983),
        (Plan(START, 28, size=4_000, lost=0.05, warm_up_days=40), 0.95),
        # Steered to 10 days: 10 days and up to 3 more, 11.5 on average.
        (Plan(START, 28, size=4_000, steering=[(-90, 10 * DAY)], warm_up_days=90), 6.5 / 11.5),
    ],
    ids=["churn", "still", "short-lived", "late", "unsent", "lost", "steered"],
)
def test_requests_are_as_many_as_theory_says(plan: Plan, ratio: float) -> None:
    population = simulate(plan, SeededChance(1))
    hits = sum(population.days().values())
    expected = population.active(plan.start, plan.end) * plan.days / MEAN_DAYS
    assert hits / expected == pytest.approx(ratio, abs=0.015)


def test_the_same_seed_draws_the_same_population() -> None:
    plan = Plan(START, 7, size=200)
    assert simulate(plan, SeededChance(7)).hits == simulate(plan, SeededChance(7)).hits
    assert simulate(plan, SeededChance(7)).hits != simulate(plan, SeededChance(8)).hits


@pytest.mark.parametrize(
    "plan",
    [
        Plan(START, 70, size=50, lifetime_days=60),
        Plan(START, 70, size=50, late=0.3, steering=[(10, 7 * DAY), (40, 0)]),
    ],
    ids=["usual", "late and steered"],
)
def test_the_short_way_without_failures_is_the_whole_schedule(plan: Plan) -> None:
    whole, short = World(plan, SeededChance(3)), World(plan, SeededChance(3))
    for one, same in zip(whole.installations(), short.installations(), strict=True):
        assert list(whole.troubled(one)) == list(short.requests(same))


def test_the_truth_is_the_time_in_being() -> None:
    still = simulate(Plan(START, 7, size=300, lifetime_days=math.inf), SeededChance(2))
    assert still.active(START, START + 7 * DAY) == 300
    moving = simulate(Plan(START, 70, size=300, lifetime_days=20), SeededChance(2))
    begin, end = START + 63 * DAY, START + 70 * DAY
    by_hour = [
        sum(one.born <= when < one.died for one in moving.installations)
        for when in range(begin, end, 3_600)
    ]
    assert moving.active(begin, end) == pytest.approx(sum(by_hour) / len(by_hour), rel=0.01)


def test_logs_hold_every_request_once_sorted_and_nothing_finer_than_a_day(tmp_path: Path) -> None:
    plan = Plan(START, 10, size=400, releases=[(-500, "0.4.0"), (4, "0.5.2")])
    population = simulate(plan, SeededChance(3))
    read: Counter[tuple[str, str]] = Counter()
    paths = population.write_logs(tmp_path, SeededChance(4))
    assert len(paths) == plan.days
    for path in paths:
        named = re.fullmatch(r"access-(2026-\d\d-\d\d)-([0-9a-f]{32})\.log", path.name)
        assert named
        first, *lines = path.read_text("ascii").splitlines()
        assert first == f"# mars access log v1 id={named[2]}"
        assert lines == sorted(lines)
        for line in lines:
            found = LINE.fullmatch(line)
            assert found, line
            read[named[1], found[1] or ""] += 1
    assert read == Counter(population.hits)


def test_queries_are_what_a_client_would_send_and_a_server_count() -> None:
    plan = Plan(
        START,
        20,
        size=500,
        tracked=0.5,
        releases=[(-500, "0.4.0"), (4, "0.5.2")],
        optional={"lang": {"en": 3, "is": 1}, "py": {"3.11": 1}},
    )
    population = simulate(plan, SeededChance(5))
    product = Product(
        "example", "stable", ("0.4.0", "0.5.2"), ("linux", "windows", "macos"), ("en", "is")
    )
    known = AllowList.of(product)
    queries = {query for _, query in population.hits}
    assert "" in queries
    assert any("lang=is" in query for query in queries)
    for query in queries - {""}:
        assert known.canonical(query) == f"?{query}"
        assert len({"lang", "py", "cc"} & set(known.read(query))) <= 1
    early = {query for day, query in population.hits if day < "2026-06-05"}
    assert not any("v=0.5.2" in query for query in early)


def test_exponential_draws_have_their_mean() -> None:
    chance = SeededChance(6)
    draws = [exponential(chance, 10.0) for _ in range(20_000)]
    assert sum(draws) / len(draws) == pytest.approx(10.0, rel=0.03)
    assert exponential(chance, math.inf) == math.inf
