"""A publisher and a thief, who make keys, documents and releases at random."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import Any

from mars.testing.publisher import EXAMPLE_NOW
from mars.wire.envelope import MAX_STEPS, Envelope, Signature
from mars.wire.keys import ROLES, TrustRoot
from mars.wire.times import DAY
from tests.mars.trust import model
from tests.mars.trust.keyring import Both, Keyring, Node, Secret, pinned

OURS = "http://pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.onion"
THEIRS = "http://2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion"

Answer = tuple[Envelope, model.Served]
"""What a server sends, as the real rules and as the model get it."""


@dataclass(frozen=True)
class Program:
    real: TrustRoot
    model: model.Program
    node: Node


@dataclass
class Parties:
    """All that is made is drawn from ``chance``."""

    seed: int
    told: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.now = EXAMPLE_NOW
        self.ring = Keyring()
        self.policy = self.chance.choice(["off", "when-available", "when-available", "required"])
        self.openpgp = "holder"
        self.honest = [self._node(1, honest=True)]
        self.forged: list[Node] = []
        self.stolen: dict[str, Secret] = {}
        self.steering: Both | None = None
        self.offered: Both | None = None
        self.answers: list[Answer] = []
        self.programs: list[Program] = []
        self._release()

    # --- the publisher --------------------------------------------------------------------------

    @property
    def tip(self) -> Node:
        return self.honest[-1]

    def _node(self, epoch: int, *, honest: bool, **more: Any) -> Node:
        count = self.chance.choice([1, 1, 1, 2, 3])
        said = {
            "keys": count,
            "threshold": self.chance.randint(1, count),
            "openpgp": self.openpgp if honest else "thief",
            "policy": self.policy,
        }
        return self.ring.node(epoch, honest=honest, **{**said, **more})

    def _wait(self) -> None:
        self.now += self.chance.choice([1, 3600, DAY, 5 * DAY, 9 * DAY, 20 * DAY, 70 * DAY])

    def _rotate(self, *, all_new: bool = False) -> None:
        before = self.tip
        if self.chance.random() < 0.2:
            self.policy = self.chance.choice(["off", "when-available", "required"])
        if all_new or self.chance.random() < 0.5:
            self.openpgp = self.ring.label("holder")
        kept = [role for role in ROLES if not all_new and self.chance.random() < 0.3]
        node = self._node(before.epoch + 1, honest=True, before=before, kept=kept)
        by = [*before.secrets["root"], *node.secrets["root"]]
        self.honest.append(replace(node, step=self.ring.step(node, self.now, by)))
        self.steering = self.offered = None
        self._tell(f"the publisher rotates to epoch {node.epoch}")

    def _rotations(self) -> None:
        """More than ride in one document."""
        for _ in range(self.chance.randint(MAX_STEPS, 2 * MAX_STEPS)):
            self._rotate()

    def _release(self, *, gen: int | None = None) -> None:
        gen = gen or self.programs[-1].model.gen + 1 if self.programs else 1
        floor = self.chance.choice([0, self.now - 20 * DAY, self.now])
        program = model.Program(gen, self.tip.keys, floor, self.now, OURS, _model(self.steering))
        real = pinned(self.tip, program, self.steering)
        real = TrustRoot.decode(real.encode())
        self.programs.append(Program(real, program, self.tip))
        self._tell(f"release {gen} pins epoch {self.tip.epoch}")

    def _twin(self) -> None:
        """Of two build machines each numbers its own."""
        self._release(gen=self.programs[-1].model.gen)

    def _steer(self) -> None:
        self.now += 1
        plain = self._plain("steering", self.tip, self.now)
        sends = self.chance.choice([0, 5 * DAY, 20 * DAY]), OURS
        plain = replace(plain, sends=sends)
        self.steering = self.ring.steering(plain, self.tip.secrets["root"], honest=True)
        self._tell("the publisher steers")

    def _offer(self) -> None:
        self.now += 1
        plain = self._plain("release", self.tip, self.now)
        self.offered = self.ring.release(plain, self.tip.secrets["release"], honest=True)
        self._tell("the publisher offers downloads")

    def _plain(self, kind: str, node: Node, issued: int) -> model.Signed:
        label = self.ring.label(kind)
        return model.Signed(kind, label, node.epoch, issued, issued, (), issued)

    def _honest_answer(self, steps: list[Both]) -> Answer:
        self.now += 1  # no two with one serial
        plain = replace(self._plain("motd", self.tip, self.now), expires=self.now + 45 * DAY)
        sends = self.steering.model.sends if self.steering else (0, OURS)
        news = self.ring.news(replace(plain, sends=sends), self.tip.secrets["motd"], honest=True)
        return self._answer(news, steps, self.steering, self.offered)

    def _answer(
        self, news: Both, steps: list[Both], steering: Both | None, release: Both | None
    ) -> Answer:
        real = replace(
            news.real,
            x_keys=tuple(step.real for step in steps),
            x_steering=steering.real if steering else None,
            x_release=release.real if release else None,
        )
        plain = tuple(step.model for step in steps)
        served = model.Served(news.model, plain, _model(steering), _model(release))
        self.answers.append((real, served))
        return real, served

    # --- the thief ------------------------------------------------------------------------------

    def _steal(self) -> None:
        node = self.chance.choice([self.tip, self.tip, *self.honest[-3:]])
        roles = [role for role in ROLES[:3] if self.chance.random() < 0.5]
        if self.chance.random() < 0.6:
            roles = list(ROLES)
        for role in roles:
            for secret in node.secrets[role]:
                if self.chance.random() < 0.95:
                    self.stolen[secret.name] = secret
        self._tell(f"the thief has of epoch {node.epoch}: {', '.join(roles) or 'nothing'}")

    def _has(self, node: Node, role: str) -> list[Secret]:
        return [secret for secret in node.secrets[role] if secret.name in self.stolen]

    def _whatever(self, node: Node, role: str) -> list[Secret]:
        """What the thief signs with: mostly the keys of ``role``, at times others."""
        if self.chance.random() < 0.15:
            role = self.chance.choice(ROLES)
        return self._has(node, role)

    def _forge(self) -> None:
        before = self._newest()
        if self.chance.random() < 0.25:
            before = self.chance.choice([*self.honest[-4:], *self.forged[-4:]])
        elif not self._rules(before):
            return
        kept = [role for role in ROLES if self.chance.random() < 0.1]
        node = self._node(before.epoch + 1, honest=False, before=before, kept=kept)
        for role in ROLES:
            own = [secret for secret in node.secrets[role] if secret.name not in names(before)]
            self.stolen |= {secret.name: secret for secret in own}
        by = [*self._whatever(before, "root"), *self._whatever(node, "root")]
        if by:
            issued = self.now + self.chance.choice([0, 0, 0, -3 * DAY, DAY, 2 * DAY])
            lifetime = self.chance.choice([30 * DAY, 730 * DAY])
            self.forged.append(replace(node, step=self.ring.step(node, issued, by, lifetime)))
            self._tell(f"the thief makes epoch {node.epoch} out of {before.keys.label}")

    def _rules(self, node: Node) -> bool:
        """Whether the thief signs for root of ``node`` alone."""
        role = node.keys.roles["root"]
        enough = len(role.ed25519 & set(self.stolen)) >= role.threshold
        return enough and (not role.openpgp or bool(role.openpgp & set(self.stolen)))

    def _newest(self) -> Node:
        """Where the thief would go on."""
        able = [node for node in (*self.honest, *self.forged) if self._rules(node)]
        return max(able, key=lambda node: (node.epoch, not node.honest), default=self.tip)

    def _take_all(self) -> None:
        """All keys of the present epoch are stolen, and used at once."""
        for role in ROLES:
            self.stolen |= {secret.name: secret for secret in self.tip.secrets[role]}
        for _ in range(self.chance.randint(1, 3)):
            self._forge()

    def _forged_answer(self, known: model.Memory, *, sloppy: bool) -> Answer | None:
        """A document by the thief; a sloppy one breaks rules beside those of the keys."""
        node = self.chance.choice([self._newest(), *self.forged[-2:], *self.honest[-2:]])
        by = self._whatever(node, "motd") or self._has(node, "root")
        if not by:
            return None
        late = [0, 0, DAY] + sloppy * [-2 * DAY, DAY + 1]
        issued = self.now + self.chance.choice(late)
        plain = replace(
            self._plain("motd", node, issued),
            expires=issued + self.chance.choice([14, 45, 60] + sloppy * [61]) * DAY,
            dated=issued - self.chance.choice([0] + sloppy * [0, 5 * DAY]),
            sends=self.chance.choice([(0, OURS), (0, THEIRS), (30 * DAY, THEIRS)]),
        )
        serials = [issued] + sloppy * [issued, issued + 1, known.serial or issued]
        news = self.ring.news(replace(plain, serial=self.chance.choice(serials)), by, honest=False)
        steps = node.path()
        if sloppy:
            steps = self._spoilt(steps)[-self.chance.choice([1, 3, 8]) :]
        return self._answer(news, steps[-MAX_STEPS:], *self._riders(node, known))

    def _riders(self, node: Node, known: model.Memory) -> tuple[Both | None, Both | None]:
        steering, release = self.steering, self.offered
        issued = self.now + self.chance.choice([0, DAY, DAY, 2 * DAY])
        if self.chance.random() < 0.6 and (by := self._whatever(node, "root")):
            plain = replace(self._plain("steering", node, issued), sends=(30 * DAY, THEIRS))
            steering = self.ring.steering(self._renumbered(plain, known), by, honest=False)
        if self.chance.random() < 0.3 and (by := self._whatever(node, "release")):
            plain = self._renumbered(self._plain("release", node, issued), known)
            release = self.ring.release(plain, by, honest=False)
        if self.chance.random() < 0.1:
            steering, release = release, steering
        return steering, release

    def _renumbered(self, plain: model.Signed, known: model.Memory) -> model.Signed:
        there: model.Signed | None = getattr(known, plain.kind)
        if there is not None and self.chance.random() < 0.2:
            return replace(plain, serial=there.serial)
        return replace(plain, serial=plain.serial + (self.chance.random() < 0.1))

    def _spoilt(self, steps: list[Both]) -> list[Both]:
        """A chain as somebody between might hand it on."""
        if not steps or self.chance.random() < 0.6:
            return steps
        place = self.chance.randrange(len(steps))
        step = steps[place]
        kind = self.chance.choice(["gap", "junk", "unsigned", "again", "fork"])
        forks = [node.step for node in self.forged if node.epoch == step.model.epoch and node.step]
        if kind == "gap":
            return steps[:place] + steps[place + 1 :]
        if kind == "fork" and forks:
            return [*steps[:place], self.chance.choice(forks), *steps[place + 1 :]]
        if kind == "again":
            return [*steps[: place + 1], *steps[place:]]
        if kind == "unsigned":
            real = replace(step.real, signatures=(Signature("", b"\0" * 64),))
            step = replace(step, real=real, model=replace(step.model, signed=()))
        if kind == "junk":
            real = replace(step.real, payload=b"{}")
            step = replace(step, real=real, model=replace(step.model, kind="junk"))
        return [*steps[:place], step, *steps[place + 1 :]]

    def _tell(self, what: str) -> None:
        self.told.append(what)


def names(node: Node) -> set[str]:
    """Of all its secrets."""
    return {secret.name for secrets in node.secrets.values() for secret in secrets}


def _model(document: Both | None) -> model.Signed | None:
    return document.model if document else None
