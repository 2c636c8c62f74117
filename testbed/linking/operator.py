"""A server that answers each circuit differently, and real clients that ask it.

The operator holds every key but root's: each answer is a document of its own, signed by the roles
``motd`` and ``release``, with a serial, times, texts, version and wishes of its own; some answers
are withheld, broken or old. If a client came back sooner, later, elsewhere or with other words for
what it was told, that would be a mark to know it by. So the clients are the real ones, with files,
clock, chance and network in memory, and what they ask for is laid beside what the same clients ask
an honest server for.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl, urlsplit

from mars.channels.memory import Memory
from mars.errors import TransportError
from mars.ports import Chance, Request, Response
from mars.testing.memory import MemoryClock, MemoryServer, SeededChance, machine
from mars.testing.publisher import Publisher
from mars.testing.world import World
from mars.wire.request import HTTPRequest
from mars.wire.times import DAY
from testbed import population
from testbed.linking import settings
from testbed.linking.traffic import Traffic

OTHER_SERVER = f"http://ae{'a' * 49}hmjqd.onion"
"""Well-formed, and nobody's."""
TROUBLE = (503, 302, 404)
"""What an operator answers in place of a document, sometimes."""

Visit = tuple[int, HTTPRequest]
"""When (Unix time) which request came."""


@dataclass
class Honest(MemoryServer):
    """Serves everybody the newest document, a new one each week; remembers when it was asked."""

    publisher: Publisher = field(default_factory=Publisher)
    clock: MemoryClock = field(default_factory=MemoryClock)
    arrivals: list[Visit] = field(default_factory=list)

    def fetch(self, request: Request) -> Response:
        self.arrivals.append((self.clock.wall, request.message))
        self.body = self.answer()
        return super().fetch(request)

    def answer(self) -> bytes:
        """The document of this week."""
        return self.publisher.document(self.clock.wall // (7 * DAY) * 7 * DAY)


@dataclass
class Hostile(Honest):
    """Gives each circuit what no other gets; ``chance`` is its own."""

    chance: Chance = field(default_factory=lambda: SeededChance(5))

    def answer(self) -> bytes:
        self.status, self.fault = 200, None
        kind = self.chance.choice(("own", "own", "own", "broken", "refused", "silent"))
        if kind == "refused":
            self.status = self.chance.choice(TROUBLE)
        if kind == "silent":
            self.fault = TransportError("timeout", "Nothing came in time.")
        own = self.own()
        return own[: len(own) // 2] if kind == "broken" else own

    def own(self) -> bytes:
        """A document for this circuit alone, by every key but root's."""
        number = int(self.chance.uniform(0, 10**6))
        issued = self.clock.wall - int(self.chance.uniform(-2 * DAY, 9 * DAY))
        publisher = replace(self.publisher)
        publisher.offer(issued, release=f"0.{number}.1")
        motd = publisher.motd()
        return publisher.document(
            issued,
            reportback_next=number * 3,
            reportback_server=self.chance.choice(("", OTHER_SERVER)),
            newest_version=f"0.{number}",
            messages=tuple(replace(one, id=f"m{number}") for one in motd.messages),
        )


def visits(
    one: population.Installation, plan: population.Plan, seed: int, server: type[Honest], crowd: int
) -> list[Visit]:
    """All requests of one real client: the application runs all the time, and is updated when the
    population's law says so."""
    clock = MemoryClock(max(one.born, plan.start))
    publisher = Publisher(seeds=[bytes(32)])
    asked = server(publisher=publisher, clock=clock)
    world = World(publisher, clock, server=asked, seed=seed, crowd=crowd)
    world.host = machine(one.platform)
    world.grant("tracked")
    world.client().set_installed(one.born)
    people, end = population.World(plan, SeededChance(seed)), int(min(one.died, plan.end))
    for until in [*people.updates(one, clock.wall, end), end]:
        world.version = people.version(one, clock.wall)
        _run(world, until)
    return asked.arrivals


def _run(world: World, until: int) -> None:
    """The application runs until a time. Wake-ups before anything is due change nothing, so they
    are left out."""
    client, ran = world.client(), None
    while world.clock.wall < until:
        sleep = client.step(ran)
        known = Memory.of(client.load()).schedule
        due = known.due - world.clock.wall if known else 0
        ran = min(max(sleep, due), until - world.clock.wall)
        world.clock.advance(ran)
    client.rest(ran)


def arrivals(
    plan: population.Plan, seed: int, server: type[Honest], crowd: int
) -> list[list[Visit]]:
    """The requests of each of the population's installations, as real clients."""
    people = population.World(plan, SeededChance(seed)).installations()
    return [visits(one, plan, 1000 * seed + at, server, crowd) for at, one in enumerate(people)]


def traffic(plan: population.Plan, seed: int, crowd: int, arrived: list[list[Visit]]) -> Traffic:
    """What the attacker has of them."""
    people = list(population.World(plan, SeededChance(seed)).installations())
    rows = [
        (when, owner, dict(parse_qsl(urlsplit(message.url).query)))
        for owner, requests in enumerate(arrived)
        for when, message in requests
    ]
    return Traffic.of(plan, settings.client(crowd), people, rows)
