"""What a user releases, or sends by hand, while the application counts and sends on its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from mars.channels.one_fault import OneFault
from mars.channels.own_reports import OwnReports
from mars.channels.sending import A_WEEK
from mars.core.channel import NextRequest
from mars.core.schedule import HOUR
from mars.errors import ConsentError
from mars.ports import Fetcher, Store
from mars.wire.times import DAY
from tests.mars.channels.kit import posted
from tests.mars.channels.reporting import (
    a_world,
    fault,
    kept,
    meet,
    released,
    running,
    until_posted,
)


def test_j15_at_most_three_a_week_though_each_is_released_before_the_thread_has_counted_it() -> (
    None
):
    world = a_world()
    for number in range(A_WEEK - 1):
        meet(world, fault(number))
        running(world, HOUR)
    meet(world, *[fault(number) for number in range(100, 110)])
    for one in kept(world):
        world.mars().reports.send(one.id)
    until_posted(world, A_WEEK)
    running(world, 9 * DAY)
    assert len(posted(world)) == A_WEEK


def test_j15_of_two_reports_of_one_fault_the_user_can_release_one() -> None:
    """As two processes write them that meet it at once."""
    world = a_world()
    meet(world, fault())
    (first,) = kept(world)
    world.client().queue.write(replace(first, id="f" * 16, nonce="05" * 24))
    reports = world.mars().reports
    assert [reports.send(one.id, "direct") for one in kept(world)] == [True, False]
    assert len(kept(world)) == 1


def test_j18_what_goes_while_it_is_released_anew_stays_sent_and_goes_once() -> None:
    world = a_world()
    report = released(world)

    class Late:
        """The thread sends after the user has looked, before what the user does is kept."""

        done = False

        def __getattr__(self, name: str) -> object:
            return getattr(world.store, name)

        def lock(self, *how: Any) -> Any:
            if not self.done:
                self.done = True
                until_posted(world)
            return world.store.lock(*how)

    client = world.client()
    client.ports = replace(client.ports, store=cast("Store", Late()))
    with pytest.raises(ConsentError) as refused:
        OwnReports(client).release(report.id, "direct")
    assert refused.value.reason == "already-sent"
    assert kept(world)[0].sent is not None, "or its deletion could not be asked for"
    running(world, 9 * DAY)
    assert len(posted(world)) == 1


@pytest.mark.parametrize("mode", ["never", "always"])
def test_j18_one_that_is_sent_by_hand_stays_as_sent_whatever_the_application_does(
    mode: str,
) -> None:
    """Its thread looks while the request is under way."""
    world = a_world(mode)
    client = world.client()
    one = OneFault(client, fault(), "direct")
    opens = client.ports.fetcher

    def fetcher(ready: NextRequest) -> Fetcher:
        running(world, 60)
        return opens(ready)

    client.ports = replace(client.ports, fetcher=fetcher)
    assert one.send("plain").ok
    (report,) = kept(world)
    assert report.sent is not None, "or its deletion could not be asked for"
    running(world, 9 * DAY)
    assert len(posted(world)) == 1
