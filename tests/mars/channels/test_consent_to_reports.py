"""Which error reports are kept and go, by what the user, a policy and the environment allow."""

from __future__ import annotations

import pytest

from mars.core.schedule import HOUR
from mars.testing.memory import machine
from tests.mars.channels.kit import posted
from tests.mars.channels.reporting import (
    LONGEST,
    a_world,
    fault,
    kept,
    meet,
    memory,
    released,
    running,
    until_posted,
)


@pytest.mark.parametrize("mode", ["never", "ask", "always"])
def test_without_a_yes_nothing_is_kept_of_a_fault(mode: str) -> None:
    world = a_world(mode)
    said = meet(world, fault())
    assert bool(kept(world)) is (mode != "never")
    assert (said[0] or "").startswith("TELEMETRY ") is (mode != "never")


def test_what_was_not_sent_goes_with_the_yes_and_what_was_sent_stays() -> None:
    world = a_world()
    released(world)
    until_posted(world)
    meet(world, fault(2))
    released(world, number=3)
    assert len(kept(world)) == 3
    world.grant("plain", reports="never")
    assert [one.fault for one in kept(world)] == [fault(1)]
    running(world, LONGEST)
    assert len(posted(world)) == 1


def test_files_that_withstood_a_no_go_at_the_next_look() -> None:
    world = a_world()
    meet(world, fault())
    left = dict(world.store.files)
    world.grant("plain", reports="never")
    world.store.files |= {name: data for name, data in left.items() if "report-" in name}
    assert len(kept(world)) == 1
    running(world, HOUR)
    assert kept(world) == []


def test_from_always_to_ask_means_that_what_goes_by_itself_waits() -> None:
    world = a_world("always")
    meet(world, fault())
    running(world, HOUR)
    assert memory(world).pending
    world.grant("plain", reports="ask")
    running(world, LONGEST)
    assert posted(world) == []
    assert memory(world).pending == ()


@pytest.mark.parametrize(
    ("environ", "policy"),
    [
        ({"MARS_REPORTS": "never"}, None),
        ({"MARS_REPORTS": "sometimes"}, None),
        ({"DO_NOT_TRACK": "1"}, None),
        ({}, b"errors = false"),
        ({}, b'reports = "never"'),
        ({}, b'reports = "perhaps"'),
        ({"MARS_REPORTS": "always"}, b'reports = "never"'),
    ],
)
def test_policy_and_environment_lower_to_nothing(
    environ: dict[str, str], policy: bytes | None
) -> None:
    world = a_world("always")
    meet(world, fault())
    world.host = machine(environ=environ, policy=policy)
    meet(world, fault(2))
    assert world.mars().status()["reports"] == "never"
    running(world, LONGEST)
    assert posted(world) == []
    assert len(kept(world)) == 1, "nothing new is kept"


@pytest.mark.parametrize(
    ("environ", "policy"), [({"MARS_REPORTS": "ask"}, None), ({}, b'reports = "ask"')]
)
def test_policy_and_environment_lower_to_asking(
    environ: dict[str, str], policy: bytes | None
) -> None:
    world = a_world("always", host=machine(environ=environ, policy=policy))
    assert world.mars().consent.explain()[-1]["reports"] == "always"
    assert world.mars().reports.mode == "ask"
    meet(world, fault())
    running(world, LONGEST)
    assert posted(world) == []


@pytest.mark.parametrize("mode", ["never", "ask", "always"])
def test_the_environment_does_not_raise(mode: str) -> None:
    world = a_world(mode, host=machine(environ={"MARS_REPORTS": "always"}))
    assert world.mars().reports.mode == mode
