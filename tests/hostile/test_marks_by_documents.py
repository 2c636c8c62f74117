"""A server that gives one client, once, what it gives nobody else, and hopes to know it again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from mars.ports import Request, Response
from mars.testing.memory import MemoryServer
from mars.testing.world import World
from mars.wire.times import DAY
from tests.hostile.steering import a_world, onion, years

Documents = Callable[[World, int, bool], bytes]
"""What is served at the n-th request, to the client that is being marked or to others."""


@dataclass
class Marking(MemoryServer):
    """Marks with its second answer; sees when it is asked, and for what."""

    world: World | None = None
    documents: Documents = lambda _world, _number, _marked: b""
    marks: bool = False
    seen: list[tuple[int, str]] = field(default_factory=list)

    def fetch(self, request: Request) -> Response:
        assert self.world is not None
        number = len(self.seen)
        self.seen.append((self.world.clock.wall, request.message.url))
        self.body = self.documents(self.world, number, self.marks and number == 1)
        return super().fetch(request)


def genuine(world: World, _number: int, marked: bool) -> bytes:
    """Two documents of the publisher's, who made the newer one a week later."""
    start = world.publisher.motd().issued
    issued = start + 5 * DAY if marked else start
    # What they restate of the steering counts for nothing; the same is always said here.
    same: dict[str, Any] = {"reportback_next": 7 * DAY, "reportback_server": ""}
    return world.publisher.document(issued, expires=issued + 60 * DAY, **same)


def stolen(world: World, number: int, marked: bool) -> bytes:
    """Whoever holds the news keys gives all others fresh news with serials below the mark."""
    now, start = world.clock.wall, world.publisher.motd().issued
    return world.publisher.document(now, serial=now if marked else start + number)


def twins(world: World, number: int, marked: bool) -> bytes:
    """Two texts of one serial: whoever has the one refuses the other."""
    start = world.publisher.motd().issued
    now = max(start, world.clock.wall - 10 * DAY)
    serial = start + (1 if marked else number)
    return world.publisher.document(now, serial=serial, news="marked" if marked else "")


def moved(world: World, number: int, marked: bool) -> bytes:
    """As ``genuine``; later root changes server and pace, and that rides beside the same news."""
    if number == 4:
        publisher, start = world.publisher, world.publisher.motd().issued
        publisher.steer(start + 9 * DAY, servers=(onion("c"),), reportback_next=9 * DAY)
    return genuine(world, number, marked)


def seen(documents: Documents, marks: bool, steered: bool, seed: int) -> list[tuple[int, str]]:
    world = a_world(seed=seed)
    if steered:
        world.publisher.steer(world.clock.wall + 60, servers=(onion("b"),))
    server = Marking(world=world, documents=documents, marks=marks)
    world.server = server
    years(world, 260 * DAY)
    return server.seen


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("steered", [False, True])
@pytest.mark.parametrize("documents", [genuine, stolen, twins, moved])
def test_a25_one_answer_marks_no_client(documents: Documents, steered: bool, seed: int) -> None:
    """Not a second, not a byte of what follows differs, though it refuses what others accept."""
    honest = seen(documents, False, steered, seed)
    assert any(onion("b") in url for _, url in honest) == steered
    assert any(onion("c") in url for _, url in honest) == (documents is moved)
    assert len(honest) > 20
    assert seen(documents, True, steered, seed) == honest
