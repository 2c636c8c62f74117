"""A crowd report, which nobody reads before ten installations have met the same fault. Pure.

Each sends a *share*: a point (x, P(x)) of a polynomial P of degree nine over the scalars of
edwards25519 (A. Shamir, "How to share a secret", 1979), which is the same for all who met the
fault, since it is made of the fault's signature, and a text that a key made of P(0) encrypts.
Commitments to the coefficients (P. Feldman, "A practical scheme for non-interactive verifiable
secret sharing", 1987) show that a share fits, and are what shares are gathered by. Ten shares give
P(0), nine give nothing.

This is STAR (A. Davidson et al., 2022) without its server of randomness, in whose place Argon2id
makes guessing slow: whoever knows or guesses the frames of a fault can open its reports.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, reduce
from hashlib import blake2b
from math import prod
from typing import Any

from mars.errors import WireError, cannot_judge
from mars.wire import members as m
from mars.wire.passphrase import derived
from mars.wire.reports.fault import MAX_BODY, Fault
from mars.wire.reports.outer import framed, joined

try:
    import nacl.bindings as sodium
    import nacl.exceptions
except (ImportError, OSError) as error:
    raise cannot_judge(error) from error

KIND = "crowd"
"""What ``kind`` says."""
NEEDED = 10
"""Installations."""
NONCE_BYTES = sodium.crypto_secretbox_NONCEBYTES
ENCRYPTED = MAX_BODY + sodium.crypto_secretbox_MACBYTES
"""Bytes: bodies are filled up with spaces, since their lengths would tell which guess is right."""
ORDER = 2**252 + 27742317777372353535851937790883648493
"""Of the group (RFC 8032, section 5.1); scalars lie below it."""
_SIZE = 32
"""Bytes of a scalar, little-endian, and of a point."""
_MEMORY = 64 * 1024 * 1024
"""Bytes, and ..."""
_PASSES = 3
"""... passes of Argon2id: some 0.1 s of a core."""
_PURPOSE = b"MARS crowd"
_HEAD = ("kind", "x", "y", "commitments", "nonce")


@dataclass(frozen=True)
class Share:
    """What one installation tells of a fault."""

    x: int
    """1 to ``ORDER`` - 1; an installation has one for each fault, and always the same."""
    y: int
    commitments: bytes
    """``NEEDED`` points, that to P(0) first."""
    nonce: bytes
    encrypted: bytes
    """A secret box of ``Fault.body``, of ``ENCRYPTED`` bytes."""

    @classmethod
    def read(cls, head: Mapping[str, Any], rest: bytes) -> Share:
        """From the inside of a report.

        Raises ``WireError``: ``extra-member``, ``bad-payload``, ``bad-share`` for one that does not
        fit its commitments.
        """
        m.only(head, _HEAD, "The head of a crowd report")
        if len(rest) != ENCRYPTED:
            raise m.bad(f"the secret box must have {ENCRYPTED} bytes")
        found = cls(
            _scalar(head, "x"),
            _scalar(head, "y"),
            m.octets(head, "commitments", NEEDED * _SIZE),
            m.octets(head, "nonce", NONCE_BYTES),
            rest,
        )
        if not found.fits():
            raise WireError("bad-share", "The share does not fit its commitments.")
        return found

    def inner(self) -> bytes:
        """The inside of a report."""
        numbers = (_octets(self.x), _octets(self.y), self.commitments, self.nonce)
        said = (KIND, *(each.hex() for each in numbers))
        return joined(dict(zip(_HEAD, said, strict=True)), self.encrypted)

    @property
    def tag(self) -> str:
        """By which shares of one fault are gathered: the BLAKE2b-256 of the commitments, hex."""
        return _tag(self.commitments).hex()

    def fits(self) -> bool:
        """Whether y·B is what the commitments say of x; some 1 ms."""
        inside = all(0 < each < ORDER for each in (self.x, self.y))
        if not (inside and _are_points(self.commitments)):
            return False
        try:
            return _value(self.commitments, self.x) == _commitment(self.y)
        except nacl.exceptions.RuntimeError:  # the neutral point, which libsodium does not give
            return False


@dataclass(frozen=True)
class Dealer:
    """Makes shares of one fault; on each installation that meets it the polynomial is the same."""

    fault: Fault = field(repr=False)
    coefficients: tuple[int, ...] = field(repr=False)
    commitments: bytes

    @classmethod
    def of(cls, fault: Fault, product: str, release: str) -> Dealer:
        """Takes some 0.1 s of a core and 64 MiB: in a thread of its own. Raises ``StateError``
        (``no-memory``)."""
        salt = blake2b(framed(product.encode(), release.encode()), digest_size=16).digest()
        seed = derived(_SIZE, fault.signature, salt, _PASSES, _MEMORY)
        coefficients = _coefficients(_number(blake2b(seed)), fault, product, release)
        return cls(fault, coefficients, b"".join(map(_commitment, coefficients)))

    def share(self, secret: bytes, nonce: bytes) -> Share:
        """The share of the installation that has ``secret``, 32 bytes that never leave it and stay
        the same. ``nonce``: 24 random bytes, for this report alone."""
        hashed = blake2b(_tag(self.commitments), key=secret, person=_PURPOSE)
        x = 1 + _number(hashed, ORDER - 1)
        y = reduce(lambda total, each: (total * x + each) % ORDER, reversed(self.coefficients), 0)
        text = self.fault.body.ljust(MAX_BODY)
        box = sodium.crypto_secretbox(text, nonce, _key(self.coefficients[0]))
        return Share(x, y, self.commitments, nonce, box)


def recover(shares: Sequence[Share], product: str, release: str) -> Fault | None:
    """The fault that ``shares`` of one tag are of; None while fewer than ``NEEDED`` installations
    are among them.

    Those that do not fit, repeat an installation or hold another text than what they are gathered
    by are passed over; of the faults that differ in lines alone the most frequent is given. Raises
    ``ValueError`` for shares of different tags.
    """
    if len({each.commitments for each in shares}) > 1:
        raise ValueError("shares of different faults")
    fitting: dict[int, Share] = {}
    for each in shares:
        if len(fitting) < NEEDED and each.x not in fitting and each.fits():
            fitting[each.x] = each
    if len(fitting) < NEEDED:
        return None
    first = _at_zero({each.x: each.y for each in fitting.values()})
    opened = (_opened(each, first, product, release) for each in shares)
    found = Counter(each for each in opened if each is not None).most_common(1)
    return found[0][0] if found else None


def _opened(share: Share, first: int, product: str, release: str) -> Fault | None:
    """The fault that a share tells of, if it is the one that the polynomial was made of."""
    try:
        body = sodium.crypto_secretbox_open(share.encrypted, share.nonce, _key(first))
        fault = Fault.decode(body.rstrip(b" "))
    except (nacl.exceptions.CryptoError, ValueError, WireError):
        return None
    second = _coefficients(first, fault, product, release)[1]
    return fault if _commitment(second) == share.commitments[_SIZE : 2 * _SIZE] else None


def _coefficients(first: int, fault: Fault, product: str, release: str) -> tuple[int, ...]:
    """All of them follow from the first and from what the fault is, so that whoever has recovered
    the first can tell whether a text is what it should be, without Argon2id."""
    said = framed(product.encode(), release.encode(), fault.signature)
    hashes = (blake2b(said, key=_octets(first), salt=bytes([at])) for at in range(1, NEEDED))
    return first, *map(_number, hashes)


def _at_zero(points: Mapping[int, int]) -> int:
    """P(0) by Lagrange."""
    total = 0
    for x, y in points.items():
        others = [each for each in points if each != x]
        below = prod(each - x for each in others)
        total += y * prod(others) * pow(below, -1, ORDER)
    return total % ORDER


def _value(commitments: bytes, x: int) -> bytes:
    """P(x)·B, by Horner."""
    *others, total = (commitments[at : at + _SIZE] for at in range(0, len(commitments), _SIZE))
    for each in reversed(others):
        product = sodium.crypto_scalarmult_ed25519_noclamp(_octets(x), total)
        total = sodium.crypto_core_ed25519_add(product, each)
    return total


@lru_cache(maxsize=1024)
def _are_points(commitments: bytes) -> bool:
    """Whether each is a canonical point of the prime-order group; remembered, since all shares of a
    fault have the same."""
    points = (commitments[at : at + _SIZE] for at in range(0, len(commitments), _SIZE))
    return all(map(sodium.crypto_core_ed25519_is_valid_point, points))


def _commitment(scalar: int) -> bytes:
    return sodium.crypto_scalarmult_ed25519_base_noclamp(_octets(scalar))


def _tag(commitments: bytes) -> bytes:
    return blake2b(commitments, digest_size=32).digest()


def _key(first: int) -> bytes:
    """Of the secret boxes."""
    return blake2b(_octets(first), digest_size=sodium.crypto_secretbox_KEYBYTES).digest()


def _number(hashed: blake2b, below: int = ORDER) -> int:
    """512 bits reduced, so that each is as likely."""
    return int.from_bytes(hashed.digest(), "little") % below


def _octets(scalar: int) -> bytes:
    return scalar.to_bytes(_SIZE, "little")


def _scalar(head: Mapping[str, Any], name: str) -> int:
    return int.from_bytes(m.octets(head, name, _SIZE), "little")
