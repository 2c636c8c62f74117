"""An application that meets faults, whoever reads its reports, and the answers to them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import combinations
from typing import Any

from mars.channels.filing import Filing
from mars.channels.queue import Report
from mars.channels.sending import SPREAD, Memory
from mars.testing.memory import START, session
from mars.testing.world import ONION, World
from mars.wire import envelope
from mars.wire.catalogue import Catalogue
from mars.wire.envelope import STATUS_TYPE
from mars.wire.query import REGISTRY_PATH, STATUS_PATH
from mars.wire.reports.crowd import Share
from mars.wire.reports.direct import Deletion, Direct
from mars.wire.reports.fault import Fault
from mars.wire.reports.outer import Outer, parted
from mars.wire.reports.recipient import Recipient
from mars.wire.reports.status import Answer, Status
from mars.wire.request import HTTPRequest
from mars.wire.sealed import ID_BYTES, LARGE, Opener, key_id, key_of, opened
from mars.wire.times import DAY
from tests.mars.channels.kit import INTAKE, WEEKS, opener, posted, publishing

RELEASE = "0.5.1"
KEYS = {name: Opener.of(bytes([n]) * 32) for n, name in enumerate((RELEASE, "0.5.2"), 1)}
REPORTS = {name: key.public.hex() for name, key in KEYS.items()}
REGISTRY = Catalogue("examplemail", "stable", (RELEASE, "0.5.2"), reports=REPORTS).encode()
STATUS_URL = f"http://{ONION}{STATUS_PATH}"
TRIAGE = Recipient("examplemail", "stable", {ONION}, KEYS)
ANSWER = Answer("known", 1, "The archive is broken.", "A disk was full.", "Make room.", "0.5.2")
LONGEST = SPREAD + 2 * DAY
"""Until what was released has gone, if it goes at all."""


def fault(number: int = 1) -> Fault:
    return Fault(("ValueError",), ("<other>", f"examplemail.store:load_{number}+3"))


REPORT = Report("00112233aabbccdd", fault(), RELEASE, START, "a" * 32, "04" * 24, "linux")


def a_world(mode: str = "ask", registry: bytes = REGISTRY, **more: Any) -> World:
    """One whose user chose that mode of reports."""
    world = World(registry=registry, **more)
    world.publisher.steer(**publishing(registry))
    registry_url = f"http://{ONION}{REGISTRY_PATH}"
    world.server.answers |= {INTAKE: (204, b""), registry_url: (200, registry)}
    world.publish()
    world.grant("plain", reports=mode)
    answering(world)
    return world


def answering(
    world: World, prefixes: Iterable[tuple[str, Answer]] = (), faults: Any = (), **changes: Any
) -> Status:
    """From now on the server has these answers: one for each GUID, and known faults."""
    from mars.wire.reports.direct import prefix_of

    said = [(prefix_of(guid) or b"", answer) for guid, answer in prefixes]
    answers = tuple(dict.fromkeys((*(answer for _, answer in said), ANSWER)))
    now = world.clock.now()
    plain = Status(
        world.publisher.product,
        world.publisher.channel,
        world.publisher.epoch,
        now,
        now,
        now + 45 * DAY,
        answers,
        {prefix: answers.index(answer) for prefix, answer in said},
        tuple(faults),
    )
    status = replace(plain, **changes)
    world.server.answers[STATUS_URL] = (200, signed(world, status))
    return status


def signed(world: World, status: Status, role: str = "status") -> bytes:
    made = world.publisher._signed(status.encode(), STATUS_TYPE, status.issued, role)
    return envelope.encode(made)


def meet(world: World, *faults: Fault) -> list[str | None]:
    """What is logged beside each."""
    client = world.client()
    filing = Filing(client, client.queue)
    return [filing.take(each) for each in faults]


def kept(world: World) -> list[Report]:
    return list(world.client().queue.all().values())


def memory(world: World) -> Memory:
    return Memory.of(world.client().load())


def running(world: World, seconds: int = DAY) -> None:
    """One long session."""
    session(world.client(), world.clock, seconds)


def until_posted(world: World, times: int = 1, days: int = 45) -> list[HTTPRequest]:
    for _ in range(days * 4):
        if len(posted(world)) >= times:
            return posted(world)
        running(world, DAY // 4)
    raise AssertionError(f"{len(posted(world))} went")


def released(world: World, way: str = "direct", number: int = 1, message: str = "") -> Report:
    """A report of a fault, which its user has released."""
    meet(world, fault(number))
    running(world, 60)
    (report,) = [one for one in kept(world) if one.fault == fault(number)]
    assert world.mars().reports.send(report.id, way, message)
    return report


def outer(request: HTTPRequest) -> bytes:
    """What the intake's key opens."""
    body = request.body or b""
    assert len(body) == LARGE
    (week,) = [week for week in WEEKS if key_id(opener(week).public) == key_of(body)]
    text = opened(body, opener(week))
    assert text is not None
    return text


def read(request: HTTPRequest) -> Direct | Deletion | Share:
    return TRIAGE.read(outer(request))[1]


def inside(request: HTTPRequest) -> tuple[dict[str, Any], bytes]:
    said = Outer.decode(outer(request))
    return parted(said.opened(KEYS[said.release]))


def alike(bodies: Iterable[bytes]) -> list[bytes]:
    """Pieces too long to come twice by chance that two bodies say outside their heads."""
    pieces = [{body[at : at + 8] for at in range(1 + ID_BYTES, LARGE - 8)} for body in bodies]
    return [each for one, other in combinations(pieces, 2) for each in one & other]
