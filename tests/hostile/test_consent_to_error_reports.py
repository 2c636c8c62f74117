"""Error reports go with a yes alone, and none goes that lost it, up to the last moment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from mars.channels.news import NewsClient
from mars.channels.one_fault import OneFault
from mars.consent import Layer
from mars.consent.purposes import DELETIONS, NEWS, REPORTS
from mars.core.schedule import HOUR
from mars.errors import ConfigError
from mars.testing.memory import machine, session
from mars.testing.world import World
from mars.wire.reports.direct import Deletion
from mars.wire.times import DAY
from tests.mars.channels.kit import posted
from tests.mars.channels.reporting import (
    a_world,
    fault,
    kept,
    meet,
    memory,
    read,
    released,
    running,
    until_posted,
)


@pytest.mark.parametrize("mode", ["never", "ask", "always"])
def test_f01_without_a_yes_nothing_of_a_fault_is_kept_or_logged(mode: str) -> None:
    world = a_world(mode)
    (line,) = meet(world, fault())
    assert (len(kept(world)), line is not None) == ((0, False) if mode == "never" else (1, True))


@pytest.mark.parametrize("version", ["dev", "0.5.1.dev3", "0.5.1+local", "", "1", "0.5.1\n"])
def test_f04_what_is_no_release_keeps_and_sends_no_report(version: str) -> None:
    world = a_world("always")
    world.version = version
    assert meet(world, fault()) == [None]
    with pytest.raises(ConfigError) as caught:
        OneFault(world.client(), fault(), "direct")
    assert caught.value.reason == "no-release"
    running(world, 9 * DAY)
    assert (kept(world), posted(world)) == ([], [])


def nine_days(world: World, happens: Callable[[NewsClient], object]) -> int:
    """Something happens whenever the circuit for a report is built; how often it did."""
    client, server, asked = world.client(), world.server, list[str]()

    class Between:
        def fetch(self, request: Any) -> Any:
            if request.message.method == "POST":
                asked.append(request.message.url)
                happens(client)
            return server.fetch(request)

    client.ports = replace(client.ports, fetcher=lambda _ready: Between())
    session(client, world.clock, 9 * DAY)
    return len(asked)


@pytest.mark.parametrize("mode", ["ask", "never"])
def test_f03_what_goes_by_itself_stops_at_the_last_moment(mode: str) -> None:
    """From ``always`` to ``ask`` too: nobody has released this one."""
    world = a_world("always")
    meet(world, fault())
    assert nine_days(world, lambda _client: world.grant("plain", reports=mode)) == 1
    assert posted(world) == []


def test_f03_consent_to_reports_is_asked_for_again_at_the_last_moment() -> None:
    """Of what goes by hand too."""
    world = a_world("always")
    released(world)
    assert nine_days(world, lambda _client: world.grant("plain", reports="never")) == 1
    assert posted(world) == []


def test_f03_an_environment_that_asks_first_holds_while_the_circuit_is_built() -> None:
    """Without any decision of the user's: the channel itself is asked whether this one may go."""
    world = a_world("always")
    meet(world, fault())

    def lowers(client: NewsClient) -> None:
        lowered = machine(environ={"MARS_REPORTS": "ask"})
        client.ports = replace(client.ports, host=lowered)

    assert nine_days(world, lowers) == 1
    assert posted(world) == []


def test_f03_what_was_put_off_by_a_change_of_mind_is_not_pending_any_more() -> None:
    world = a_world("always")
    meet(world, fault())
    running(world, HOUR)
    (before,) = memory(world).pending
    world.grant("plain", reports="ask")
    running(world, HOUR)
    assert memory(world).pending == ()
    world.grant("plain", reports="always")
    running(world, HOUR)
    (after,) = memory(world).pending
    assert after.due != before.due, "drawn anew"


def test_f03_with_the_yes_goes_what_was_not_sent_from_the_disk_too() -> None:
    world = a_world()
    released(world)
    until_posted(world)
    meet(world, fault(2))
    running(world, 60)
    world.grant("plain", reports="never")
    assert [one.fault for one in kept(world)] == [fault(1)], "its deletion may be asked for"


def test_f03_a_deletion_is_the_user_s_act_and_yet_obeys_who_may_forbid() -> None:
    """No decision of the user's holds it back; a policy or the environment does."""
    off = Layer("user", "off", "")
    assert off.allows(DELETIONS)
    assert not off.allows(REPORTS)
    assert not off.allows(NEWS)
    assert not Layer("environment", "off", "").allows(DELETIONS)
    world = a_world()
    report = released(world)
    until_posted(world)
    world.mars().consent.revoke()
    assert world.mars().reports.forget(report.guid) == "asked"
    world.host = machine(environ={"DO_NOT_TRACK": "1"})
    running(world, 33 * DAY)
    assert len(posted(world)) == 1
    world.host = machine()
    until_posted(world, 2)
    assert read(posted(world)[-1]) == Deletion(report.guid)


def test_f03_a_report_that_another_process_was_about_to_send_is_gone_with_the_yes() -> None:
    world = a_world()
    released(world)
    running(world, HOUR)
    client = world.client()
    world.grant("plain", reports="never")
    session(client, world.clock, 9 * DAY)
    assert (posted(world), kept(world)) == ([], [])


@pytest.mark.parametrize("mode", ["ask", "always"])
def test_f03_the_environment_holds_for_reports_at_the_last_moment(mode: str) -> None:
    world = a_world(mode)
    released(world, number=2)
    meet(world, fault())
    running(world, HOUR)
    world.host = machine(environ={"MARS_REPORTS": "never"})
    running(world, 9 * DAY)
    assert posted(world) == []
