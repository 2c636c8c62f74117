"""What else could tell that two error reports are of one installation: their keys, numbers and
points, and whether it asks for answers.

The attacker has learned, from pairs of which it was told the truth, what it is worth that a byte of
two reports is equal, and how many bits differ; then it says of two reports, one of this
installation and one of another, which goes with a third. A guess is right in half of the cases.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from mars.testing.memory import SeededChance
from mars.wire.reports.crowd import Dealer, Share
from mars.wire.reports.direct import Content, Identity
from mars.wire.reports.fault import Fault
from mars.wire.reports.outer import Destination, parted
from mars.wire.times import WEEK
from testbed.reports.attack import Answers, Floats, learned
from testbed.reports.habits import Span
from testbed.reports.people import BEGIN
from testbed.reports.reporter import CLIENT, STATUS, Act, Reporter, Rules

Make = Callable[[bytes, int, SeededChance], bytes]
"""What of the second or first report (1, 0) of an installation with that secret can be compared."""
TO = Destination("examplemail", "stable", "0.5.1", bytes(32), "server.onion")
SECRET_BYTES, NONCE_BYTES = 32, 24
FAULT = Fault(("ValueError",), ("<other>", "examplemail.store:load+3"))
FIELDS = ("key", "nonce", "signature")
FAULTS = 2
AFTER = 8 * WEEK
"""In which the look-ups of one installation are counted."""


def direct(secret: bytes, number: int, chance: SeededChance) -> bytes:  # noqa: ARG001
    """Key, nonce, signature and GUID of a direct report."""
    return _compared(Identity.of(secret, chance.token(NONCE_BYTES)))


def deletion(secret: bytes, number: int, chance: SeededChance) -> bytes:
    """The same of a direct report, and of the request to delete another one."""
    identity = Identity.of(secret, chance.token(NONCE_BYTES))
    return _compared(identity, identity.deletion(TO)) if number else _compared(identity)


def one_key(secret: bytes, number: int, chance: SeededChance) -> bytes:  # noqa: ARG001
    """The same, were there one key for all reports of an installation."""
    lasting = Identity.of(secret, bytes(NONCE_BYTES))
    return _compared(Identity(lasting.seed, chance.token(NONCE_BYTES)))


def _compared(identity: Identity, inner: bytes = b"") -> bytes:
    head, _ = parted(inner or identity.report(Content(FAULT, "linux"), TO))
    return b"".join(bytes.fromhex(head[name]) for name in FIELDS) + identity.guid.encode()


def crowd(secret: bytes, number: int, chance: SeededChance) -> bytes:
    """Point and nonce of a crowd report, of one fault and another, or another release."""
    share = _dealer(number, chance.choice(range(FAULTS))).share(secret, chance.token(NONCE_BYTES))
    return _point(share, share.x)


def one_point(secret: bytes, number: int, chance: SeededChance) -> bytes:
    """The same, were an installation the same point for all faults."""
    share = _dealer(number, chance.choice(range(FAULTS))).share(secret, chance.token(NONCE_BYTES))
    return _point(share, int.from_bytes(blake2b(key=secret, digest_size=31).digest(), "little"))


def _point(share: Share, x: int) -> bytes:
    return b"".join(each.to_bytes(32, "little") for each in (x, share.y)) + share.nonce


@cache
def _dealer(number: int, which: int) -> Dealer:
    """The first report is of one of two faults, the second of the same ones in the next release, so
    that ``which`` may be equal."""
    fault = Fault(("ValueError",), (f"examplemail.store:load_{which}+3",))
    return Dealer.of(fault, "examplemail", f"0.5.{number + 1}")


def told_apart(make: Make, number: int, seed: int = 0) -> Answers:
    """By who was taught with as many others."""
    lessons, asked = (_differences(make, number, seed + at) for at in (1_000, 0))
    score = asked @ learned(lessons)
    right = np.where(np.abs(score) < 1e-9, 0.5, score > 0)
    return Answers(float(right.mean()), number)


def _differences(make: Make, number: int, seed: int) -> Floats:
    chance = SeededChance(seed)
    secrets = [chance.token(SECRET_BYTES) for _ in range(number)]
    first, second = (
        np.array([list(make(secret, at, chance)) for secret in secrets], dtype=np.uint8)
        for at in (0, 1)
    )
    return _alike(first, second) - _alike(first, np.roll(second, 1, axis=0))


def _alike(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> Floats:
    """For each pair which bytes are equal, and how many bits differ."""
    bits = np.unpackbits(first ^ second, axis=1).sum(1, keepdims=True)
    return np.concatenate([(first == second).astype(float), bits / 8], 1)


# --- look-ups of answers ------------------------------------------------------------------------


def look_ups(number: int, *, reports: bool, rules: Rules = CLIENT) -> list[int]:
    """How many of each installation come in eight weeks, in whose first a report goes, or none."""
    return [
        _look_ups(reports, rules, SeededChance(seed + 5_000 * reports)) for seed in range(number)
    ]


def _look_ups(reports: bool, rules: Rules, chance: SeededChance) -> int:
    begin = BEGIN + WEEK
    acts = (Act(begin, "fault"),) if reports else ()
    client = Reporter({}, BEGIN, chance, acts=acts, rules=rules)
    sent = client.run([Span(BEGIN, begin + AFTER)])
    return sum(one.what == STATUS and one.when >= begin for one in sent)


def looked_up(number: int, rules: Rules = CLIENT) -> Answers:
    """Of one with a report and one without, the one with: by who counts how often each asks."""
    both = [look_ups(number, reports=reports, rules=rules) for reports in (True, False)]
    return ranked(*both)


def ranked(ours: Sequence[int], others: Sequence[int]) -> Answers:
    """How often the greater of two is ours, equal ones by half."""
    first, second = np.array(ours)[:, None], np.array(others)[None, :]
    right = float(np.mean((first > second) + (first == second) / 2))
    return Answers(right, min(len(ours), len(others)))
