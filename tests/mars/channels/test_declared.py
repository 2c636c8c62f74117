"""What a settings screen is told of what was agreed to and may not be sent."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mars.testing.memory import START, machine, session
from mars.wire.times import DAY, WEEK, day_of
from tests.mars.channels.kit import FOLDERS, PROTOCOL, a_world, often


@pytest.mark.parametrize(
    "rule", [f'veto = ["{PROTOCOL.name}"]', f'coarsen = {{"{PROTOCOL.name}" = "smtp"}}']
)
def test_what_the_administrator_has_nothing_said_of_is_not_on(rule: str) -> None:
    policy = f"[statistics]\n{rule}\n".encode()
    world = a_world(FOLDERS, PROTOCOL, host=machine(policy=policy))
    found = world.mars().statistics.entries()
    told = [(one["agreed"], one["vetoed"], one["on"]) for one in found]
    assert told == [(True, False, True), (True, True, False)]


def test_what_is_not_collected_any_more_is_neither_on_nor_next() -> None:
    ending = replace(often(FOLDERS), expires=day_of(START + 3 * WEEK))
    world = a_world(ending)
    session(world.client(), world.clock, WEEK + DAY)
    told = [(one["agreed"], one["on"], one["state"]) for one in world.mars().statistics.entries()]
    assert told == [(True, True, "collected")]
    world.clock.advance(3 * WEEK)
    (entry,) = world.mars().statistics.entries()
    assert (entry["state"], entry["on"], entry["next"]) == ("expired", False, False)
