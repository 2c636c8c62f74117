"""``Mars.failures`` of an application: failures come in, are kept, shown, told and forgotten."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from mars.testing.memory import START, session
from mars.testing.world import World
from mars.wire.times import DAY, WEEK, week_start
from tests.mars.channels.kit import a_world, posted, read
from tests.mars.failures.kit import DECRYPTION

MONDAY = week_start(START) + WEEK
TOLD = week_start(START) + 2 * WEEK
"""The first whole week that begins at least seven days after a yes at ``START``, a Saturday."""
OFTEN = replace(DECRYPTION, rate=1.0)
"""Each of its eight entries is drawn in one week of eight."""


def failing(agreed: bool = True, **more: Any) -> World:
    return a_world(domains=(OFTEN,), agreed=agreed, **more)


def counts(world: World) -> dict[str, tuple[int, int]]:
    """Of each cause, as it is listed."""
    (domain,) = world.mars().failures_seen()
    return {one["name"]: (one["week"], one["today"]) for one in domain["names"]}


def test_a_failure_is_counted_kept_and_shown() -> None:
    world = failing()
    mars = world.mars()
    stream = mars.failures("decryption")
    assert mars.failures("decryption") is stream
    stream.fail("key_missing", subject="message 1", device="own", verified=True)
    stream.fail("key_missing", subject="message 1")
    stream.fail("damaged", subject="message 2").resolved()
    stream.succeeded(5)
    world.clock.advance(120)
    (domain,) = mars.failures_seen()
    shown = {one["name"]: one for one in domain["names"]}
    assert (shown["key_missing"]["today"], shown["key_missing"]["week"]) == (1, 0)
    assert shown["key_missing"]["last"] == {"device": "own", "verified": "true"}
    assert (shown["damaged"]["today"], domain["succeeded"]["today"]) == (0, 5)
    assert (domain["agreed"], domain["on"], domain["name"]) == (True, True, "decryption/*")
    assert shown["cancelled"]["expected"]
    assert counts(world)["key_missing"] == (0, 1), "another process sees it"
    world.clock.advance(DAY)
    assert counts(world)["key_missing"] == (1, 0)
    assert json.loads(json.dumps(domain)) == domain
    assert mars.status()["failures"] == {"mode": "on", "to_ask": [], "problems": [], "lost": 0}


def days(world: World, mars: Any, number: int, each: Any = lambda: None) -> None:
    """The application runs, and ``each`` happens on each day."""
    for _ in range(number):
        each()
        session(mars._client, world.clock, DAY)


def test_what_is_told_is_what_was_counted_in_seven_whole_days_after_the_yes() -> None:
    world = failing()
    mars = world.mars()
    stream = mars.failures("decryption")

    def fails() -> None:
        for number in range(2):
            subject = f"{world.clock.wall} {number}"
            stream.fail("key_missing", subject=subject, device="other", verified=False)
        stream.fail("cancelled")
        stream.succeeded(300)

    days(world, mars, (TOLD - START) // DAY, fails)
    assert [one for one in posted(world) if b"/motd/in" in one.golden] == []
    days(world, mars, 12 * 7, fails)
    said = {}
    for request in posted(world):
        _, report = read(request)
        assert report.purpose == "events"
        said[report.name] = report.value
    assert said == {
        "decryption/key_missing": "10-99",
        "decryption/key_missing.device": "other",
        "decryption/key_missing.verified": "false",
        "decryption/damaged": "0",
        "decryption/cancelled": "2-9",
        "decryption/other": "0",
        "decryption/failed_share": "below_1",
        "decryption/late": "0",
    }
