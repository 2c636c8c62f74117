"""A publisher of statistics: its registry, an intake's key for each week, and what comes in."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

from mars.providers import Given
from mars.testing.memory import START
from mars.testing.world import ONION, World
from mars.wire.catalogue import Catalogue, digest
from mars.wire.events import Domain
from mars.wire.query import INTAKE_PATH, REGISTRY_PATH
from mars.wire.registry import Metric, read_metrics
from mars.wire.report import Report, decode
from mars.wire.request import HTTPRequest
from mars.wire.sealed import Opener, key_id, key_of, opened
from mars.wire.times import WEEK, week_of

_FILE = Path(__file__).parents[3] / "motd" / "metrics.toml"
METRICS = read_metrics(tomllib.loads(_FILE.read_text(encoding="utf-8")))[0]
FOLDERS, PROTOCOL, ENCRYPTION = METRICS[:3]
INTAKE = f"http://{ONION}{INTAKE_PATH}"
REGISTRY_URL = f"http://{ONION}{REGISTRY_PATH}"


def catalogue(*metrics: Metric, domains: tuple[Domain, ...] = ()) -> Catalogue:
    shown = metrics if metrics or domains else METRICS
    return Catalogue("examplemail", "stable", ("0.5.1", "0.5.2"), shown, domains=domains)


REGISTRY = catalogue().encode()


def opener(week: str) -> Opener:
    """Of the intake's key of that week."""
    return Opener.of(hashlib.sha256(week.encode()).digest())


WEEKS = tuple(week_of(START + number * WEEK) for number in range(-2, 60))


def publishing(registry: bytes = REGISTRY, weeks: tuple[str, ...] = WEEKS) -> dict[str, Any]:
    """What a steering document says of it."""
    keys = {week: opener(week).public.hex() for week in weeks}
    return {"registry": digest(registry), "intake": keys}


def a_world(
    *metrics: Metric,
    given: Mapping[str, Given] | None = None,
    agreed: bool = True,
    domains: tuple[Domain, ...] = (),
    **more: Any,
) -> World:
    """One whose user agreed to all that is declared, unless said otherwise."""
    declared = catalogue(*metrics, domains=domains)
    registry, names = declared.encode(), {metric.name for metric in declared.metrics}
    provided = {name: one for name, one in (given or VALUES).items() if name in names}
    world = World(registry=registry, given=provided, **more)
    world.publisher.steer(**publishing(registry))
    world.server.answers |= {INTAKE: (204, b""), REGISTRY_URL: (200, registry)}
    world.publish()
    if agreed:
        world.grant("plain", stats=bool(declared.metrics), events=bool(domains) or None)
    return world


VALUES: dict[str, Given] = {FOLDERS.name: 12, PROTOCOL.name: "imap", ENCRYPTION.name: True}


class Between:
    """A world's store, and what happens once, just before the state is locked."""

    def __init__(self, world: World, happens: Callable[[], object]) -> None:
        self.store, self.happens, self.done = world.store, happens, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def lock(self, name: str, wait: float = 0.0) -> AbstractContextManager[None]:
        if name == "state" and not self.done:
            self.done = True
            assert self.happens()
        return self.store.lock(name, wait)


def often(metric: Metric) -> Metric:
    """Drawn every week."""
    return replace(metric, rate=1.0)


def posted(world: World) -> list[HTTPRequest]:
    return [one for one in world.server.requests if one.method == "POST"]


def read(request: HTTPRequest) -> tuple[str, Report]:
    """The week whose key opens it, and what it says."""
    body = request.body or b""
    (week,) = [week for week in WEEKS if key_id(opener(week).public) == key_of(body)]
    text = opened(body, opener(week))
    assert text is not None
    return week, decode(text)


def value(request: HTTPRequest) -> str:
    return read(request)[1].value
