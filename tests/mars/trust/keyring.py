"""Keys, and documents signed with any of them, each twice: as ``mars`` has it and as
``tests.mars.trust.model`` does."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mars.testing.memory import MemoryKey
from mars.testing.publisher import Publisher
from mars.wire import motd as motds
from mars.wire.envelope import (
    KEYS_TYPE,
    MOTD_TYPE,
    RELEASE_TYPE,
    STEERING_TYPE,
    Envelope,
    Signature,
    pae,
)
from mars.wire.keys import OPENPGP_ROLES, ROLES, KeysDocument, KeySet, TrustRoot
from mars.wire.motd import Motd
from mars.wire.release import Release
from mars.wire.steering import Steering
from mars.wire.times import DAY
from tests.mars.trust import model

PRODUCT: dict[str, Any] = {"product": "examplemail", "channel": "stable"}
LIFETIME = 730 * DAY


@dataclass(frozen=True)
class Secret:
    """One secret key: ``maker`` holds it as the one numbered ``index`` of ``role``."""

    name: str
    maker: Publisher
    role: str
    index: int


@dataclass(frozen=True)
class Both:
    """A signed document as it goes over the wire, and as the model has it."""

    real: Envelope
    model: model.Signed
    honest: bool


@dataclass(frozen=True, eq=False)
class Node:
    """An epoch of one history."""

    keys: model.Keys
    real: KeySet
    secrets: Mapping[str, tuple[Secret, ...]]
    honest: bool
    before: Node | None = None
    step: Both | None = None

    @property
    def epoch(self) -> int:
        return self.keys.epoch

    def path(self) -> list[Both]:
        """The steps from epoch 1 to here."""
        steps: list[Both] = []
        node: Node | None = self
        while node is not None:
            steps += [node.step] if node.step else []
            node = node.before
        return steps[::-1]


@dataclass
class Keyring:
    """Makes keys and signs. ``digests``: label to what the real rules call it."""

    made: int = 0
    digests: dict[str, str] = field(default_factory=lambda: {"": ""})

    def label(self, kind: str) -> str:
        self.made += 1
        return f"{kind}{self.made}"

    # --- keys -----------------------------------------------------------------------------------

    def node(
        self,
        epoch: int,
        *,
        keys: int,
        threshold: int,
        openpgp: str,
        policy: str,
        honest: bool,
        before: Node | None = None,
        kept: Iterable[str] = (),
    ) -> Node:
        """New keys, but for the roles in ``kept``, which keep those of the epoch ``before``."""
        label = self.label("honest" if honest else "thief")
        seeds = [_seed(f"{label}.{number}") for number in range(keys)]
        primary = [MemoryKey(_seed(openpgp))] if policy != "off" else []
        maker = Publisher(
            **PRODUCT, seeds=seeds, threshold=threshold, openpgp=primary, policy=policy, epoch=epoch
        )
        made = maker.key_set()
        secrets = {role: _secrets(maker, role, label, openpgp) for role in ROLES}
        roles, blocks = dict(made.roles), dict(made.openpgp)
        for role in kept if before and (before.keys.policy == "off") == (policy == "off") else ():
            assert before is not None
            roles[role], secrets[role] = before.real.roles[role], before.secrets[role]
            blocks |= before.real.openpgp
        used = {name for role in OPENPGP_ROLES for name in roles[role].openpgp}
        real = KeySet(roles, {name: blocks[name] for name in used}, policy)
        said = {role: _role(secrets[role], roles[role].threshold) for role in ROLES}
        self.digests[label] = real.digest(**PRODUCT, epoch=epoch)
        return Node(model.Keys(label, epoch, said, policy), real, secrets, honest, before)

    def step(self, node: Node, issued: int, by: Sequence[Secret], lifetime: int = LIFETIME) -> Both:
        """A keys document that hands over to ``node``."""
        expires = issued + lifetime
        payload = KeysDocument(
            **PRODUCT, epoch=node.epoch, issued=issued, expires=expires, keys=node.real
        ).encode()
        plain = model.Signed(
            "keys", node.keys.label, node.epoch, 0, issued, (), issued, expires, node.keys
        )
        return self._signed(payload, KEYS_TYPE, plain, by, node.honest)

    # --- documents ------------------------------------------------------------------------------

    def news(self, plain: model.Signed, by: Sequence[Secret], honest: bool) -> Both:
        interval, server = plain.sends
        document = Motd(
            **PRODUCT,
            epoch=plain.epoch,
            serial=plain.serial,
            issued=plain.issued,
            expires=plain.expires,
            reportback_next=interval,
            reportback_server=server,
            news=plain.label,
        )
        return self._signed(motds.encode(document), MOTD_TYPE, plain, by, honest)

    def steering(self, plain: model.Signed, by: Sequence[Secret], honest: bool) -> Both:
        interval, server = plain.sends
        links = (f"https://example.org/{plain.label}/",)
        document = Steering(
            **PRODUCT,
            epoch=plain.epoch,
            serial=plain.serial,
            issued=plain.issued,
            servers=(server,),
            reportback_next=interval,
            links=links,
        )
        return self._signed(document.encode(), STEERING_TYPE, plain, by, honest)

    def release(self, plain: model.Signed, by: Sequence[Secret], honest: bool) -> Both:
        document = Release(
            **PRODUCT,
            epoch=plain.epoch,
            serial=plain.serial,
            issued=plain.issued,
            release="0.5.2",
            notes={"en": plain.label},
        )
        return self._signed(document.encode(), RELEASE_TYPE, plain, by, honest)

    def _signed(
        self, payload: bytes, kind: str, plain: model.Signed, by: Sequence[Secret], honest: bool
    ) -> Both:
        self.digests.setdefault(plain.label, hashlib.sha256(payload).hexdigest())
        by = list({secret.name: secret for secret in by}.values())
        signatures = _signatures(pae(kind, payload), plain.dated, by)
        named = replace(plain, signed=tuple(secret.name for secret in by))
        return Both(Envelope(kind, payload, signatures), named, honest)


def pinned(node: Node, program: model.Program, steering: Both | None) -> TrustRoot:
    """The trust file that ``program`` is of."""
    return TrustRoot(
        **PRODUCT,
        epoch=node.epoch,
        keys=node.real,
        gen=program.gen,
        minimum_serial=program.floor,
        built=program.built,
        servers=(program.server,),
        x_steering=steering.real if steering else None,
    )


def _secrets(maker: Publisher, role: str, label: str, openpgp: str) -> tuple[Secret, ...]:
    count = len(maker.seeds)
    secrets = [Secret(f"{label}.{role}.{index}", maker, role, index) for index in range(count)]
    if maker.openpgp and role in OPENPGP_ROLES:
        secrets.append(Secret(f"{openpgp}.{role}.pgp", maker, role, count))
    return tuple(secrets)


def _role(secrets: Sequence[Secret], threshold: int) -> model.Role:
    names = {secret.name for secret in secrets}
    primaries = {name for name in names if name.endswith("pgp")}
    return model.Role(frozenset(names - primaries), threshold, frozenset(primaries))


def _signatures(message: bytes, at: int, by: Sequence[Secret]) -> tuple[Signature, ...]:
    made: dict[tuple[int, str], tuple[Signature, ...]] = {}
    for secret in by:
        pair = id(secret.maker), secret.role
        if pair not in made:
            made[pair] = secret.maker.signatures(message, at, secret.role)
    return tuple(made[id(secret.maker), secret.role][secret.index] for secret in by)


def _seed(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()
