"""What tests of steering, of releases and of the chain of keys share."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from mars.channels.memory import Memory
from mars.testing.publisher import Publisher
from mars.testing.world import ONION, World
from mars.wire.times import DAY
from mars.wire.url import parse_url


def onion(letter: str) -> str:
    """A bare server whose public key is that letter 51 times; well-formed, and nobody's."""
    key = base64.b32decode(letter.upper() * 51 + "A" + "====")[:32]
    check = hashlib.sha3_256(b".onion checksum" + key + b"\x03").digest()[:2]
    host = base64.b32encode(key + check + b"\x03").decode("ascii").lower()
    return f"http://{host}.onion"


SEED = [b"h" * 32]
BUILT_IN = f"http://{ONION}"


def a_world(**changes: Any) -> World:
    """A release that pins the built-in server and a first steering document, and a user's yes."""
    publisher = Publisher(seeds=SEED)
    publisher.steer(servers=(BUILT_IN,))
    world = World(publisher=publisher, **changes)
    world.pinned = publisher.trust(servers=(BUILT_IN,)).encode()
    world.publish()
    world.grant("tracked")
    return world


def news(world: World, **changes: Any) -> None:
    """A day later there is a newer document."""
    world.clock.advance(DAY)
    world.publish(**changes)


def next_url(world: World) -> str:
    ready = world.mars().preview()
    assert ready is not None
    return ready.url


def asked_for(world: World) -> list[str]:
    """The path of each request."""
    return [parse_url(url).target.partition("?")[0] for url in world.server.visits]


def notes(world: World) -> list[str]:
    """Of the newest entry in the journal."""
    found: list[str] = world.client().journal()[-1].get("notes", [])
    return found


def years(world: World, seconds: int) -> None:
    """The application runs for so long, without the hourly looks at which nothing is due."""
    client, end = world.client(), world.clock.wall + seconds
    while world.clock.wall < end:
        client.step(0)
        schedule = Memory.of(client.load()).schedule
        assert schedule is not None
        world.clock.advance(max(schedule.due - world.clock.wall, 60))
