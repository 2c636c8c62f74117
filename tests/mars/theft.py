"""What becomes of many clients when keys are stolen: two years of each, from the application's own
class down, on ports in memory.

For some days the built-in server hands out what the thief signs; the thief's own server is alive
for all of the two years. Then the publisher has the server back, and rotates a day later.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from mars.core.schedule import LONGEST
from mars.ports import Request, Response
from mars.testing.memory import START, MemoryClock, MemoryServer, session
from mars.testing.publisher import Publisher
from mars.testing.world import World
from mars.wire import envelope, motd
from mars.wire.envelope import MOTD_TYPE, STEERING_TYPE, Envelope, pae
from mars.wire.keys import KeysDocument, TrustRoot
from mars.wire.motd import Message
from mars.wire.steering import Steering
from mars.wire.strictjson import MAX_INTEGER
from mars.wire.times import DAY, LAST

OURS = "http://pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.onion"
THEIRS = "http://2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion"

WEEK = 7 * DAY
PERIOD = LONGEST + 3 * DAY
"""The longest between two requests, and what a machine that is mostly off may add."""
HABITS = ((2, 9 * 1800), (3, 5 * 3600))
"""Every how many days a machine is on, for how many seconds; of every second client each, ..."""
SELDOM, SETTLED = 30, 20
"""... and every how many, that many days after the last event: two years of many clients take
minutes so."""


@dataclass(frozen=True)
class Result:
    """Of one client."""

    asked: int
    """Requests to the thief's server."""
    captured: bool
    """Whether it was still asked 90 days after the rotation."""
    after_release: int
    """Requests to it after the first start of a release that pins the publisher's keys."""
    honest: int | None
    """Seconds from the rotation to the first news by the publisher that were shown."""
    healed: int | None
    """The same from the first start of that release."""
    duped: int
    """Messages of the thief that were shown."""
    later: int
    """Of these, more than one period after the rotation."""


@dataclass
class Theft:
    """``root``: whether its keys are stolen too. ``release``: when one that pins the new epoch is
    installed, in days after the rotation; None for never."""

    days: int
    root: bool = False
    begins: int = 30
    """Days after all clients' consent; each has had news by then."""
    span: int = 730
    release: int | None = None
    seed: int = 20261121

    def __post_init__(self) -> None:
        self.week: dict[tuple[int, int], bytes] = {}
        self.ours = Publisher(seeds=[bytes([1]) * 32])
        self.ours.steer(START - DAY, servers=(OURS,))
        self.pinned = replace(self.ours.trust(), built=START - DAY, servers=(OURS,))
        self.thief = replace(self.ours, chain=[])
        self.begun = START + self.begins * DAY
        self.ends = self.begun + self.days * DAY
        self.rotated = self.ends + DAY
        self.after = replace(self.ours, chain=[])
        self.after.rotate(self.rotated, seeds=[bytes([2]) * 32])
        self.after.steer(self.rotated, servers=(OURS,))
        self.overruling = self.after.trust(gen=2, built=self.rotated, servers=(OURS,))
        self.usurped = replace(self.thief, chain=[])
        self.usurped.rotate(self.begun, seeds=[bytes([3]) * 32])
        self.usurped.steer(self.begun, servers=(THEIRS,), reportback_next=3 * DAY)

    def client(self, number: int) -> Result:
        """Lives through all of it."""
        clock, url = MemoryClock(), f"{OURS}/motd/motd.json"
        network = Network(self, random.Random(f"{self.seed} {number}"), clock)
        world = Installed(clock=clock, server=network, seed=number, root=self.pinned, url=url)
        world.grant(("plain", "tracked")[number // 2 % 2])
        often, awake = HABITS[number % 2]
        shown: list[tuple[int, str]] = []
        released = self.rotated + self.release * DAY if self.release else LAST
        while clock.wall < START + self.span * DAY:
            if clock.wall >= released and not network.released:
                world.root, released, network.released = self.overruling, clock.wall, True
            client = world.client()
            session(client, clock, awake)
            shown += [(clock.wall, each.title) for each in client.claim()]
            settled = clock.wall - (released if network.released else self.rotated)
            clock.suspend((SELDOM if settled > SETTLED * DAY else often) * DAY - awake)
        ours = [at for at, title in shown if title == "ours" and at >= self.rotated]
        theirs = [at for at, title in shown if title != "ours"]
        return Result(
            asked=len(network.captures),
            captured=any(at > self.rotated + 90 * DAY for at in network.captures),
            after_release=network.after_release,
            honest=min(ours) - self.rotated if ours else None,
            healed=min((at - released for at in ours if at >= released), default=None),
            duped=len(theirs),
            later=sum(at > self.rotated + PERIOD for at in theirs),
        )

    # --- what is served -------------------------------------------------------------------------

    def built_in(self, now: int, chance: random.Random) -> bytes:
        """What the publisher's server answers with."""
        if self.begun <= now < self.ends:
            return self.forged(now, chance)
        # A week's document, but never one from before the rotation.
        signer, since = (self.ours, START) if now < self.rotated else (self.after, self.rotated)
        issued = since + (now - since) // WEEK * WEEK
        if (signer.epoch, issued) not in self.week:
            self.week[signer.epoch, issued] = _weekly(signer, issued)
        return self.week[signer.epoch, issued]

    def forged(self, now: int, chance: random.Random) -> bytes:
        """A document that the thief signs, each time another; with root's keys, one that moves the
        client onto a history of the thief's own."""
        signer = self.usurped if self.root else self.thief
        issued = now + DAY - chance.randint(0, 3600)
        payload = motd.encode(
            signer.motd(
                issued,
                reportback_server=THEIRS,
                reportback_next=chance.choice([1, 3 * DAY, 30 * DAY, MAX_INTEGER]),
                messages=tuple(
                    Message(name, {"en": "theirs"}, revision=chance.choice([1, MAX_INTEGER]))
                    for name in IDS[(now - START) // WEEK :][:32]
                ),
            )
        )
        made = signer.envelope(payload, at=issued)
        if not self.root:
            made = self._with_forged_riders(made, issued, chance)
        return envelope.encode(made)

    def _with_forged_riders(self, made: Envelope, issued: int, chance: random.Random) -> Envelope:
        """What the keys of the news cannot do, tried all the same."""
        steering = Steering(
            self.thief.product, self.thief.channel, 1, issued, issued, (THEIRS,), 3 * DAY
        ).encode()
        genuine = self.ours.x_steering
        assert genuine is not None

        def by_motd(kind: str) -> Envelope:
            signatures = self.thief.signatures(pae(kind, steering), issued)
            return Envelope(kind, steering, signatures)

        right = by_motd(STEERING_TYPE)
        stolen = replace(genuine, payload=steering)
        rider = chance.choice([right, right, right, by_motd(MOTD_TYPE), stolen, genuine, None])
        made = replace(made, x_steering=rider)
        if chance.random() < 0.5:
            made = replace(made, x_keys=(self._step_by_motd(issued),))
        return made

    def _step_by_motd(self, issued: int) -> Envelope:
        document = KeysDocument.decode(self.usurped.chain[0].payload)
        payload = replace(document, issued=issued).encode()
        message = pae(self.usurped.chain[0].payload_type, payload)
        signatures = self.thief.signatures(message, issued)
        signatures += self.usurped.signatures(message, issued, "root")
        return Envelope(self.usurped.chain[0].payload_type, payload, signatures)


IDS = [f"news-{number}" for number in range(110)]
"""Of the publisher's messages, which anybody can foretell."""


def _weekly(signer: Publisher, issued: int) -> bytes:
    first = (issued - START) // WEEK
    messages = tuple(Message(name, {"en": "ours"}) for name in IDS[first : first + 3])
    return signer.document(issued, messages=messages, reportback_server=OURS)


class Network(MemoryServer):
    """All servers as one client reaches them."""

    def __init__(self, theft: Theft, chance: random.Random, clock: MemoryClock) -> None:
        super().__init__()
        self.theft, self.chance, self.clock = theft, chance, clock
        self.captures: list[int] = []
        self.released, self.after_release = False, 0

    def fetch(self, request: Request) -> Response:
        now = self.clock.wall
        if request.message.url.startswith(THEIRS):
            self.captures.append(now)
            self.after_release += self.released
            self.body = self.theft.forged(now, self.chance)
        else:
            self.body = self.theft.built_in(now, self.chance)
        return super().fetch(request)


@dataclass
class Installed(World):
    """An installation whose trust file is not always of the publisher's present epoch."""

    root: TrustRoot | None = None

    @property
    def trust(self) -> bytes:
        assert self.root is not None
        return self.root.encode()
