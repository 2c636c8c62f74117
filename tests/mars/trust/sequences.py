"""Random histories of a publisher, a thief and an installation, told to ``mars.trust`` and to
``tests.mars.trust.model``, which must agree on everything.

Beside that: whoever has a right pin is on the publisher's history and stays there, an older program
changes nothing, no history is left for another without a newer release, and nobody is shut out for
ever. ``search`` shortens a history that breaks one of these to the events that are needed.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from mars.errors import MarsError
from mars.testing.memory import MemoryOpenPGP
from mars.trust import Accepted, TrustState, start, verify, verify_chain
from mars.wire import envelope
from mars.wire.envelope import MAX_CHAIN_STEPS, MAX_STEPS, Envelope
from mars.wire.times import DAY
from tests.mars.trust import model
from tests.mars.trust.keyring import Node
from tests.mars.trust.parties import OURS, THEIRS, Parties, Program, names

EVENTS = {
    "wait": 8,
    "rotate": 3,
    "rotations": 0.3,
    "release": 4,
    "twin": 1,
    "install": 5,
    "downgrade": 3,
    "steer": 2,
    "offer": 1,
    "steal": 4,
    "forge": 6,
    "coup": 2,
    "serve": 14,
    "attack": 12,
    "replay": 4,
    "chain": 3,
    "launch": 4,
    "race": 2,
    "lose": 1,
    "backup": 1,
    "restore": 1,
}
"""How often each happens."""
LONGEST = 50
"""Events of one history."""
AFTER = 12
"""Events after the rescue, in which nothing more is stolen."""
HARMLESS = ("wait", "downgrade", "attack", "attack", "replay", "launch", "chain", "race")

Event = tuple[str, int]
"""What happens, and the seed of how."""


class BrokenError(AssertionError):
    """An invariant, or the agreement with the model, does not hold."""


@dataclass
class History(Parties):
    """One publisher, one thief, one installation with two copies of the program on one state."""

    seen: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.slots = [self.programs[0], self.programs[0]]
        self.state, self.memory = TrustState.initial(), model.Memory()
        self.older = self.backup = (self.state, self.memory)

    def play(self, events: Sequence[Event]) -> None:
        """Raises ``BrokenError``."""
        for name, seed in events:
            self.chance = random.Random(seed)
            getattr(self, f"_{name}")()
        self.rescue()

    # --- the installation -----------------------------------------------------------------------

    def _install(self) -> None:
        self.slots[self.chance.randrange(2)] = self.programs[-1]
        self._tell(f"release {self.programs[-1].model.gen} is installed")
        self._launch()

    def _downgrade(self) -> None:
        program = self.chance.choice(self.programs)
        self.slots[self.chance.randrange(2)] = program
        self._tell(f"release {program.model.gen} is installed over whatever is there")
        self._launch()

    def _launch(self) -> None:
        """A program starts and keeps what then holds, before anything is fetched."""
        program = self.chance.choice(self.slots)
        begun, expected = start(program.real, self.state), model.start(program.model, self.memory)
        if self.memory.keys is not None and program.model.gen <= self.memory.gen:
            _require(begun == self.state, "an older program changes nothing")
        self._keep(begun, expected, program)
        self._tell(f"release {program.model.gen} starts")

    def _attack(self) -> None:
        answer = self._forged_answer(self.memory, sloppy=self.chance.random() < 0.5)
        if answer is not None:
            self._judge(*answer)

    def _coup(self) -> None:
        self._take_all()
        answer = self._forged_answer(self.memory, sloppy=False)
        if answer is not None:
            self._judge(*answer)

    def _serve(self) -> None:
        steps = self.tip.path()[-MAX_STEPS:]
        if self.chance.random() < 0.2:
            steps = self._spoilt(steps)[-self.chance.choice([0, 1, 8]) or 99 :]
        self._judge(*self._honest_answer(steps))

    def _replay(self) -> None:
        if self.answers:
            real, served = self.chance.choice(self.answers)
            self._judge(real, served)

    def _chain(self) -> None:
        """The file of the whole chain, the publisher's or a thief's."""
        node = (
            self.tip
            if self.chance.random() < 0.6
            else self.chance.choice(self.honest + self.forged)
        )
        steps = self._spoilt(node.path())[-MAX_CHAIN_STEPS:]
        program, now, gpg = self.chance.choice(self.slots), self.now, self._gpg()
        data = envelope.encode_chain([step.real for step in steps])
        expected = model.judge_chain(
            [step.model for step in steps], program.model, self.memory, now, gpg
        )
        reason, after = None, self.state
        try:
            after = verify_chain(data, program.real, self.state, now, _openpgp(gpg))
        except MarsError as error:
            reason, after = error.reason, getattr(error, "state", self.state)
        self._agree(expected, reason, after)
        self._keep(after, expected.memory, program)

    def _race(self) -> None:
        """Another process began earlier, on an older state, and ends only now."""
        if self.answers:
            real, served = self.chance.choice(self.answers[-3:])
            program = self.chance.choice(self.slots)
            self._judge(real, served, program=program, before=self.older)

    def _lose(self) -> None:
        self.state, self.memory = TrustState.initial(), model.Memory()
        self._tell("the state is lost")

    def _backup(self) -> None:
        self.backup = self.state, self.memory

    def _restore(self) -> None:
        self.state, self.memory = self.backup
        self._tell("the state comes back from a backup")

    def _gpg(self) -> bool:
        return self.chance.random() < 0.9

    # --- what must hold -------------------------------------------------------------------------

    def _judge(
        self,
        real: Envelope,
        served: model.Served,
        *,
        program: Program | None = None,
        before: tuple[TrustState, model.Memory] | None = None,
        gpg: bool | None = None,
    ) -> str | None:
        """The reason of a refusal; the model must have the same."""
        program = program or self.chance.choice(self.slots)
        state, memory = before or (self.state, self.memory)
        gpg = self._gpg() if gpg is None else gpg
        data = envelope.encode(real)
        expected = model.judge(served, program.model, memory, self.now, gpg)
        reason: str | None = None
        accepted: Accepted | None = None
        try:
            accepted = verify(data, program.real, state, self.now, _openpgp(gpg))
        except MarsError as error:
            reason, after = error.reason, getattr(error, "state", state)
        else:
            after = accepted.state
        self.seen[reason or "accepted"] += 1
        self._tell(
            f"release {program.model.gen} judges {served.news.label} of epoch "
            f"{served.news.epoch}: {reason or 'accepted'}"
        )
        self._agree(expected, reason, after)
        if accepted is not None:
            self._agree_on(accepted, expected, served, program, memory)
        if expected.memory.evidence != memory.evidence:
            self.seen["evidence found"] += 1
        if accepted is not None and accepted.steering.servers[:1] == (THEIRS,):
            self.seen["steered by the thief"] += 1
        crashed = before is None and self.chance.random() < 0.05
        if not crashed and after.order >= self.state.order:
            self._keep(after, expected.memory, program, raced=before is not None)
        return reason

    def _agree(self, expected: model.Outcome, reason: str | None, after: TrustState) -> None:
        _require(expected.reason == reason, f"the model says {expected.reason}")
        self._same(after, expected.memory)

    def _agree_on(
        self,
        accepted: Accepted,
        expected: model.Outcome,
        served: model.Served,
        program: Program,
        memory: model.Memory,
    ) -> None:
        holds = accepted.steering
        sends = holds.reportback_next, holds.servers[0] if holds.servers else ""
        _require(accepted.news == expected.news, "the model finds it otherwise new")
        _require(sends == expected.sends, f"the model sends {expected.sends}")
        _require(accepted.notes == expected.notes, f"the model notes {expected.notes}")
        _require(accepted.motd.news == served.news.label, "what was served is what is read")

    def _same(self, state: TrustState, memory: model.Memory) -> None:
        digest = self.ring.digests
        said = {
            "gen": memory.gen,
            "epoch": memory.epoch,
            "hashes": {epoch: digest[label] for epoch, label in memory.history.items()},
            "keys_expire": memory.keys_expire,
            "floor": memory.floor,
            "serial": memory.serial,
            "digest": digest[memory.label],
            "accepted": memory.accepted,
            "issued": memory.issued,
            "expires": memory.expires,
            "openpgp": memory.openpgp,
        }
        for name, value in said.items():
            _require(getattr(state, name) == value, f"the model's {name} is {value}")
        for name in ("steering", "release"):
            real, plain = getattr(state, name), getattr(memory, name)
            there = (real.epoch, real.serial) if real else None
            _require(there == ((plain.epoch, plain.serial) if plain else None), name)
        proofs = [(one.kind, one.number, one.known, one.other) for one in state.evidence]
        known = [(k, n, digest[one], digest[other]) for k, n, one, other in memory.evidence]
        _require(proofs == known, f"the model's evidence is {memory.evidence}")

    def _keep(
        self, after: TrustState, memory: model.Memory, program: Program, *, raced: bool = False
    ) -> None:
        """Writes the state, which must be a right successor of what was there."""
        before = self.state
        self._same(after, memory)
        if after.keys is not None and after.hashes != before.hashes:
            after = TrustState.decode(after.encode())
        _require(after.order >= before.order, "the order of states falls")
        if after.gen == before.gen:
            kept = {epoch: after.hashes.get(epoch) for epoch in before.hashes}
            swapped = kept != dict(before.hashes)
            self.seen["histories swapped by a race"] += swapped
            _require(raced or not swapped, "a history is left without a newer release")
        if before.keys is not None and program.model.gen < before.gen:
            _require(after.gen == before.gen, "an older program takes over")
        self.seen["overruled by a release"] += 0 < before.gen < after.gen and any(
            after.hashes.get(epoch) != known for epoch, known in before.hashes.items()
        )
        self.older = self.state, self.memory
        self.state, self.memory = after, memory
        self._require_blameless()

    def _require_blameless(self) -> None:
        """Another history than the publisher's begins only where root was stolen, at or after
        the epoch that the newest release pins."""
        ours = {node.epoch: node.keys.label for node in self.honest}
        forks = [epoch for epoch, label in self.memory.history.items() if ours.get(epoch) != label]
        self.seen["steps on the wrong history"] += bool(forks)
        if forks:
            pins = [each for each in self.programs if each.model.gen == self.memory.gen]
            first, pin = min(forks), min(each.node.epoch for each in pins)
            _require(first > pin, "the wrong history after a right pin")
            _require(self._lost_root(self.honest[first - 2]), "a history that root did not sign")
        steers = self.memory.steering
        if steers is not None and not forks and steers.sends[1] == THEIRS:
            _require(self._lost_root(self.honest[steers.epoch - 1]), "not root steers")

    def _lost_root(self, node: Node) -> bool:
        role = node.keys.roles["root"]
        return len(role.ed25519 & set(self.stolen)) >= role.threshold

    def rescue(self) -> None:
        """The publisher rotates what was stolen, releases and pins: whatever came before, the first
        document is believed, and nothing that was stolen before leads away again."""
        self.chance = random.Random(self.seed)
        if self.chance.random() < 0.3:
            self._coup()
        self.now += 2 * DAY
        wrong = self.memory.keys is not None and any(
            self.memory.history.get(node.epoch, node.keys.label) != node.keys.label
            for node in self.honest
        )
        self.seen["histories rescued from the wrong one"] += wrong
        if names(self.tip) & set(self.stolen) or self.chance.random() < 0.5:
            self._rotate(all_new=True)
        self._steer()
        self._release()
        self.slots[0] = self.programs[-1]
        self._require_believed(self.slots[0])
        for _ in range(AFTER):
            getattr(self, f"_{self.chance.choice(HARMLESS)}")()
            self._require_honest()
        self.now += 2 * DAY
        if self.now >= self.memory.keys_expire:
            self._rotate(all_new=True)
        for program in self.slots:
            self._require_believed(program)

    def _require_believed(self, program: Program) -> None:
        answer = self._honest_answer(self.tip.path()[-MAX_STEPS:])
        self.chance = random.Random(1)  # that draws no crash
        reason = self._judge(*answer, program=program, gpg=True)
        _require(reason is None, f"shut out although the release pins right: {reason}")
        self._require_honest()

    def _require_honest(self) -> None:
        ours = {node.epoch: node.keys.label for node in self.honest}
        for epoch, label in self.memory.history.items():
            _require(ours.get(epoch) == label, "the wrong history after a right pin")
        steers = self.memory.steering
        _require(steers is None or steers.sends[1] == OURS, "the thief steers after a right pin")


def _openpgp(present: bool) -> MemoryOpenPGP:
    return MemoryOpenPGP(failure=None if present else "openpgp-absent")


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise BrokenError(what)


# --- the search ---------------------------------------------------------------------------------


def drawn(seed: int) -> list[Event]:
    """The events of the history with this number."""
    chance = random.Random(seed)
    names, weights = list(EVENTS), list(EVENTS.values())
    count = chance.randint(3, LONGEST)
    return [(name, chance.getrandbits(48)) for name in chance.choices(names, weights, k=count)]


def broken(seed: int, events: Sequence[Event]) -> tuple[str, list[str]] | None:
    """What does not hold in this history, and what happened until then."""
    history = History(seed)
    try:
        history.play(events)
    except BrokenError as error:
        return str(error), history.told
    return None


def shortened(seed: int, events: list[Event]) -> list[Event]:
    """A broken history without the events that it does not need."""
    size = len(events)
    while size:
        for place in range(len(events) - size, -1, -size):
            fewer = events[:place] + events[place + size :]
            if broken(seed, fewer):
                events = fewer
        size //= 2
    return events


def search(seeds: Sequence[int]) -> Counter[str]:
    """Plays each history; how often what was seen. Raises ``BrokenError`` with the shortest."""
    seen: Counter[str] = Counter()
    for seed in seeds:
        history, events = History(seed), drawn(seed)
        try:
            history.play(events)
        except BrokenError:
            found = broken(seed, shortened(seed, events))
            what, told = found or ("", [])
            story = "\n".join(f"  {line}" for line in told)
            raise BrokenError(f"history {seed}: {what}\n{story}") from None
        seen += history.seen
        seen["events"] += len(events)
    return seen
