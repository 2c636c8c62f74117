"""The rules of trust said once more, slowly: what ``mars.trust`` is compared with.

Nothing is signed, hashed or encoded here, and nothing is imported from ``mars``. A key is a name, a
signature is the name of the key that made it, and the hash of a keys document is its label.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

DAY = 86_400
NEVER = 253_402_300_799
"""The last second of the year 9999: a pinned epoch does not expire."""

Evidence = tuple[str, int, str, str]
"""Kind, epoch or serial, label of what was known, label of what contradicts it."""


@dataclass(frozen=True)
class Role:
    """The names of its keys."""

    ed25519: frozenset[str]
    threshold: int
    openpgp: frozenset[str]


@dataclass(frozen=True)
class Keys:
    """Who may sign in ``epoch``."""

    label: str
    epoch: int
    roles: Mapping[str, Role]
    policy: str


@dataclass(frozen=True)
class Signed:
    """One document and the names of the keys that signed it, in their order."""

    kind: str
    """``motd``, ``keys``, ``steering``, ``release``, or ``junk``, which nobody can read."""
    label: str
    epoch: int
    serial: int
    issued: int
    signed: tuple[str, ...]
    dated: int
    """When the OpenPGP signatures were made."""
    expires: int = 0
    keys: Keys | None = None
    """What a keys document hands over to."""
    sends: tuple[int, str] = (0, "")
    """``reportback_next`` and the server, of news and of steering."""


@dataclass(frozen=True)
class Served:
    """What a server answers with."""

    news: Signed
    steps: tuple[Signed, ...] = ()
    steering: Signed | None = None
    release: Signed | None = None


@dataclass(frozen=True)
class Program:
    """A release of the application, and what it pins."""

    gen: int
    keys: Keys
    floor: int
    built: int
    server: str = ""
    steering: Signed | None = None


@dataclass(frozen=True)
class Memory:
    """What an installation remembers. ``history``: the label of each epoch that it followed."""

    gen: int = 0
    epoch: int = 0
    history: Mapping[int, str] = field(default_factory=dict)
    keys: Keys | None = None
    keys_expire: int = 0
    floor: int = 0
    serial: int = 0
    label: str = ""
    accepted: int = 0
    issued: int = 0
    expires: int = 0
    openpgp: bool = False
    steering: Signed | None = None
    release: Signed | None = None
    evidence: tuple[Evidence, ...] = ()

    @property
    def order(self) -> tuple[int, int, int]:
        return self.gen, self.epoch, self.serial

    def seen(self, *found: Evidence) -> Memory:
        """With further evidence: the first eight of each kind, each once."""
        kept = list(self.evidence)
        for one in found:
            if one not in kept and sum(each[0] == one[0] for each in kept) < 8:
                kept.append(one)
        return replace(self, evidence=tuple(kept))


@dataclass(frozen=True)
class Outcome:
    """``reason`` is None where the document was accepted."""

    reason: str | None
    memory: Memory
    """What is kept."""
    news: bool = False
    sends: tuple[int, str] = (0, "")
    notes: tuple[str, ...] = ()


class RefusalError(Exception):
    """``memory``: what is kept all the same."""

    def __init__(self, reason: str, memory: Memory | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.memory = memory


# --- a release overrules ------------------------------------------------------------------------


def start(program: Program, memory: Memory) -> Memory:
    """What holds when ``program`` finds ``memory``."""
    if memory.keys is None:
        return _new(program)
    if program.gen <= memory.gen:
        return memory
    epoch, label = program.keys.epoch, program.keys.label
    if memory.history.get(epoch) == label:
        memory = replace(memory, gen=program.gen, floor=max(memory.floor, program.floor))
        pinned = program.steering
        known = memory.steering.serial if memory.steering else 0
        newer = pinned is not None and pinned.epoch == memory.epoch and pinned.serial > known
        return replace(memory, steering=pinned) if newer else memory
    chain = [
        ("keys", number, memory.history[number], label if number == epoch else "")
        for number in sorted(memory.history)
        if number >= epoch
    ]
    return replace(_new(program), evidence=memory.seen(*chain).evidence)


def _new(program: Program) -> Memory:
    """A new installation."""
    pinned = program.steering
    return Memory(
        gen=program.gen,
        epoch=program.keys.epoch,
        history={program.keys.epoch: program.keys.label},
        keys=program.keys,
        keys_expire=NEVER,
        floor=program.floor,
        steering=pinned if pinned and pinned.epoch == program.keys.epoch else None,
    )


# --- who signed ---------------------------------------------------------------------------------


def require_enough(document: Signed, keys: Keys, role: str, reason: str) -> None:
    who = keys.roles[role]
    if len(who.ed25519 & set(document.signed)) < who.threshold:
        raise RefusalError(reason)


def require_openpgp(
    document: Signed, keys: Keys, role: str, *, now: int, sticky: bool, gpg: bool
) -> bool:
    """Whether one was verified."""
    if keys.policy == "off":
        return False
    if not gpg:
        if keys.policy == "when-available" and not sticky:
            return False
        raise RefusalError("openpgp-unavailable")
    made = [name for name in document.signed if name.endswith("pgp")]
    if not made:
        raise RefusalError("openpgp-missing")
    ours = [name in keys.roles[role].openpgp for name in made]
    timely = document.issued - 2 * DAY <= document.dated <= now + DAY
    if any(ours) and timely:
        return True
    raise RefusalError("openpgp-date" if ours[0] else "openpgp-bad")


# --- the chain of keys --------------------------------------------------------------------------


def follow(
    memory: Memory, program: Program, steps: Sequence[Signed], now: int, gpg: bool
) -> tuple[Memory, RefusalError | None]:
    """The memory after the steps, and why the walk ended before the last."""
    at_hand: dict[int, Keys] = {}
    if memory.keys is not None:
        at_hand[memory.epoch] = memory.keys
    if memory.history.get(program.keys.epoch) == program.keys.label:
        at_hand[program.keys.epoch] = program.keys
    for number, step in enumerate(steps):
        try:
            if step.kind != "keys":
                raise RefusalError("keys-invalid")
            if number and step.epoch != steps[number - 1].epoch + 1:
                raise RefusalError("keys-chain")
            if step.epoch > memory.epoch:
                memory = _advance(memory, step, now, gpg)
                at_hand[step.epoch] = _keys(step)
        except RefusalError as problem:
            return memory, problem
        known = memory.history.get(step.epoch)
        if known == _keys(step).label:
            at_hand[step.epoch] = _keys(step)
        elif known is not None and step.epoch - 1 in at_hand:
            try:
                _by_root(step, at_hand[step.epoch - 1], memory, now, gpg)
            except RefusalError:
                continue
            proof = ("keys", step.epoch, known, _keys(step).label)
            raise RefusalError("keys-equivocation", memory.seen(proof))
    return memory, None


def _keys(step: Signed) -> Keys:
    assert step.keys is not None
    return step.keys


def _advance(memory: Memory, step: Signed, now: int, gpg: bool) -> Memory:
    if step.epoch != memory.epoch + 1:
        raise RefusalError("keys-chain")
    assert memory.keys is not None
    old = _by_root(step, memory.keys, memory, now, gpg)
    new = _by_root(step, _keys(step), memory, now, gpg)
    return Memory(
        gen=memory.gen,
        epoch=step.epoch,
        history={**memory.history, step.epoch: _keys(step).label},
        keys=_keys(step),
        keys_expire=step.expires,
        floor=memory.floor,
        openpgp=memory.openpgp or old or new,
        evidence=memory.evidence,
    )


def _by_root(step: Signed, keys: Keys, memory: Memory, now: int, gpg: bool) -> bool:
    require_enough(step, keys, "root", "keys-threshold")
    if step.issued > now + DAY:
        raise RefusalError("future")
    return require_openpgp(step, keys, "root", now=now, sticky=memory.openpgp, gpg=gpg)


# --- a document ---------------------------------------------------------------------------------


def judge(served: Served, program: Program, memory: Memory, now: int, gpg: bool) -> Outcome:
    """What an installation makes of an answer."""
    try:
        return _judged(served, program, memory, now, gpg)
    except RefusalError as refused:
        return Outcome(refused.reason, refused.memory or memory)


def judge_chain(
    steps: Sequence[Signed], program: Program, memory: Memory, now: int, gpg: bool
) -> Outcome:
    """What an installation makes of a file of the whole chain; one without a step is none."""
    begun = start(program, memory)
    if not steps:
        return Outcome("keys-chain", memory)
    try:
        after, problem = follow(begun, program, steps, now, gpg)
    except RefusalError as refused:
        return Outcome(refused.reason, refused.memory or memory)
    if problem is not None and after == begun:
        return Outcome(problem.reason, memory)
    return Outcome(None, after)


def _judged(served: Served, program: Program, memory: Memory, now: int, gpg: bool) -> Outcome:
    news = served.news
    memory, problem = follow(start(program, memory), program, served.steps, now, gpg)
    assert memory.keys is not None
    try:
        require_enough(news, memory.keys, "motd", "signature-threshold")
        if news.epoch != memory.epoch:
            raise RefusalError("wrong-epoch")
    except RefusalError as error:
        raise problem or error from None
    if news.issued > now + DAY:
        raise RefusalError("future")
    if news.serial > news.issued:
        raise RefusalError("fast-forward")
    if not 14 * DAY <= news.expires - news.issued <= 60 * DAY:
        raise RefusalError("bad-lifetime")
    sticky = memory.openpgp
    verified = require_openpgp(news, memory.keys, "motd", now=now, sticky=sticky, gpg=gpg)
    memory, notes = _ridden(served, memory, now, gpg)
    memory = replace(memory, openpgp=memory.openpgp or verified)
    return _timely(news, program, memory, now, notes)


def _timely(news: Signed, program: Program, memory: Memory, now: int, notes: list[str]) -> Outcome:
    if news.serial < memory.serial or news.serial < memory.floor:
        raise RefusalError("rollback", memory)
    if news.serial == memory.serial and news.label != memory.label:
        proof = ("motd", news.serial, memory.label, news.label)
        raise RefusalError("equivocation", memory.seen(proof))
    passed = max(now, program.built, memory.floor, memory.issued)
    if passed >= news.expires:
        raise RefusalError("expired", replace(memory, serial=news.serial, label=news.label))
    if passed >= memory.keys_expire:
        raise RefusalError("keys-expired", memory)
    steers = memory.steering or program.steering
    sends = steers.sends if steers else (0, program.server)
    if news.sends != sends:
        notes.append("steering: differs")
    after = replace(
        memory,
        serial=news.serial,
        label=news.label,
        accepted=news.serial,
        issued=news.issued,
        expires=news.expires,
    )
    return Outcome(None, after, memory.accepted != news.serial, sends, tuple(notes))


def _ridden(served: Served, memory: Memory, now: int, gpg: bool) -> tuple[Memory, list[str]]:
    """What rides along holds or is passed over."""
    notes = []
    for kind, role in (("steering", "root"), ("release", "release")):
        rider: Signed | None = getattr(served, kind)
        if rider is None:
            continue
        try:
            memory = _rider(kind, role, rider, memory, now, gpg)
        except RefusalError as refused:
            notes.append(f"{kind}: {refused.reason}")
            memory = refused.memory or memory
    return memory, notes


def _rider(kind: str, role: str, rider: Signed, memory: Memory, now: int, gpg: bool) -> Memory:
    known: Signed | None = getattr(memory, kind)
    assert memory.keys is not None
    if rider.kind != kind:
        raise RefusalError("wrong-payload-type")
    require_enough(rider, memory.keys, role, "signature-threshold")
    if known is not None and rider.label == known.label:
        return memory
    if rider.epoch != memory.epoch:
        raise RefusalError("wrong-epoch")
    if rider.issued > now + DAY:
        raise RefusalError("future")
    if rider.serial > rider.issued:
        raise RefusalError("fast-forward")
    if known is not None and rider.serial < known.serial:
        raise RefusalError("rollback")
    sticky = memory.openpgp
    verified = require_openpgp(rider, memory.keys, role, now=now, sticky=sticky, gpg=gpg)
    if known is not None and rider.serial == known.serial:
        proof = (kind, rider.serial, known.label, rider.label)
        raise RefusalError("equivocation", memory.seen(proof))
    changed = replace(memory, openpgp=memory.openpgp or verified)
    return (
        replace(changed, steering=rider) if kind == "steering" else replace(changed, release=rider)
    )
