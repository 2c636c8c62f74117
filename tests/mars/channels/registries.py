"""Registry documents, and a world whose publisher names one."""

from __future__ import annotations

from datetime import date
from typing import Any

from mars.testing.memory import session
from mars.testing.world import ONION, World
from mars.wire.catalogue import Catalogue, digest
from mars.wire.registry import Metric
from mars.wire.times import DAY

PLACE = f"http://{ONION}/motd/registry.json"
A, B, C = "backup/size", "python/version", "e-mail/os_"


def metric(name: str, **changes: Any) -> Metric:
    project, _, key = name.partition("/")
    whole: dict[str, Any] = {
        "key": key,
        "project": project,
        "label": "Is it so?",
        "description": "Whether it is so.",
        "reason": "Decides whether it stays so.",
        "owner": "core team",
        "review": "https://example.org/12",
        "sensitivity": "technical",
        "expires": date(2028, 1, 1),
        "type": "bool",
    }
    return Metric(**{**whole, **changes})


def registry(
    *declared: str | Metric, product: str = "examplemail", channel: str = "stable"
) -> bytes:
    metrics = tuple(metric(one) if isinstance(one, str) else one for one in declared)
    return Catalogue(product, channel, ("0.5.1",), metrics).encode()


def a_world(shipped: bytes | None = None, served: bytes | None = None, **more: Any) -> World:
    """The release ships ``shipped`` and root names it; the server has ``served``, which root's last
    steering document names in the news."""
    shipped = registry(A, B) if shipped is None else shipped
    world = World(registry=shipped, **more)
    world.publisher.steer(world.clock.wall, registry=digest(shipped))
    world.pinned = world.trust
    serve(world, shipped if served is None else served)
    return world


def serve(world: World, document: bytes, named: bytes | None = None) -> None:
    """From now on the server has ``document``, and the news name ``named``, or this one."""
    said = digest(document if named is None else named)
    world.publisher.steer(world.clock.wall + 1, registry=said)
    world.publish()
    world.server.answers[PLACE] = (200, document)


def asked(world: World) -> list[str]:
    """Each request for a registry, as its URL."""
    return [url for url in world.server.visits if "registry" in url]


def until_asked(world: World, times: int = 1, days: int = 40) -> None:
    """The application, which has heard the news, runs until the registry was asked for so often."""
    assert world.client().fetch().ok
    for _ in range(days):
        if len(asked(world)) >= times:
            return
        session(world.client(), world.clock, DAY)
    raise AssertionError(f"asked {len(asked(world))} times in {days} days")
