"""What a settings screen is told of what was agreed to and may not be sent."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mars.testing.memory import START, machine, session
from mars.wire.times import DAY, WEEK, day_of
from tests.mars.channels.kit import FOLDERS, PROTOCOL, a_world, often
from tests.mars.failures.kit import DECRYPTION


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


@pytest.mark.parametrize(
    ("veto", "on"), [("decryption/key_missing", True), ("decryption/*", False), ("*", False)]
)
def test_a_domain_is_on_while_anything_of_it_is_told(veto: str, on: bool) -> None:
    policy = f'[statistics]\nveto = ["{veto}"]\n'.encode()
    world = a_world(domains=(DECRYPTION,), host=machine(policy=policy))
    (domain,) = world.mars().failures_seen()
    assert (domain["agreed"], domain["on"], domain["vetoed"]) == (True, on, not on)


def test_a_domain_is_on_when_its_first_cause_is_not_collected_any_more() -> None:
    first, *others = DECRYPTION.names
    ending = replace(first, expires=day_of(START + 3 * WEEK))
    world = a_world(domains=(replace(DECRYPTION, names=(ending, *others)),))
    mars = world.mars()
    world.clock.suspend(4 * WEEK)
    (domain,) = mars.failures_seen()
    assert (domain["entries"][0]["state"], domain["on"]) == ("expired", True)
