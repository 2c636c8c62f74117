"""The text of an error report that the intake's key opens: for which release it is, and a box that
the release's own key opens. Pure.

Whoever holds the intake's keys alone sees product, channel and release, and a box of one length:
neither how much a report says nor whether it asks for a deletion.

Inside of the box, 12,000 bytes::

    the head      strict JSON on one line, which says of what kind it is
    line feed
    the rest      bytes, as the kind has them
    80 00 00 …    to the end (ISO/IEC 7816-4)
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mars.errors import WireError
from mars.wire import members as m
from mars.wire import strictjson
from mars.wire.motd import name
from mars.wire.product import is_release
from mars.wire.sealed import BOX_BYTES, LARGE, Opener, boxed, room, unboxed

TYPE = "report"
INNER = 12_000
"""Bytes in the box."""
MAX_HEAD = 2_048
"""Bytes."""
_MEMBERS = ("type", "product", "channel", "release", "box")
_END = b"\x80"


Unpack = Callable[[str], bytes]
"""Reads base64; raises ``ValueError`` for what is none."""


def strict_base64(text: str) -> bytes:
    """Exactly one text for each value. Raises ``ValueError``."""
    return binascii.a2b_base64(text, strict_mode=True)


@dataclass(frozen=True)
class Destination:
    """Where a report goes. A signature binds all of it."""

    product: str
    channel: str
    release: str
    key: bytes
    """X25519 public key of the release (``Catalogue.reports``), 32 bytes."""
    server: str
    """Host of the intake."""


@dataclass(frozen=True)
class Outer:
    """What the intake's key opens."""

    product: str
    channel: str
    release: str
    box: bytes

    @classmethod
    def sealed(cls, inner: bytes, to: Destination, seed: bytes) -> Outer:
        """``inner`` as made by ``joined``; ``seed``: 32 random bytes, for this one alone. Raises
        ``WireError`` (``bad-key``)."""
        return cls(to.product, to.channel, to.release, boxed(inner, to.key, seed))

    @classmethod
    def decode(cls, text: bytes, unpack: Unpack = strict_base64) -> Outer:
        """``unpack`` reads base64.

        Raises ``WireError`` as ``strictjson.parse``, ``other-type`` for what is no error report,
        ``extra-member``, ``bad-payload``.
        """
        members = m.table(strictjson.parse(text, room(LARGE)), "the report")
        if members.get("type") != TYPE:
            raise WireError("other-type", "This is no error report.")
        m.only(members, _MEMBERS, "The outside of a report")
        release = m.text(members, "release", 20)
        if not is_release(release):
            raise m.bad("release must be like 0.5.2")
        return cls(
            name(members, "product"), name(members, "channel"), release, _box(members, unpack)
        )

    def encode(self) -> bytes:
        """Strict JSON, to be sealed to the intake (``LARGE``)."""
        box = base64.b64encode(self.box).decode("ascii")
        return strictjson.write({"type": TYPE, **vars(self), "box": box})

    def opened(self, key: Opener) -> bytes:
        """What is inside. Raises ``WireError`` (``not-opened``)."""
        inner = unboxed(self.box, key)
        if inner is None:
            raise WireError("not-opened", "The release's key does not open it.")
        return inner


def joined(head: Mapping[str, object], rest: bytes = b"") -> bytes:
    """The inside, filled up. Raises ``WireError`` (``too-large``)."""
    inner = strictjson.write(head) + b"\n" + rest + _END
    if len(inner) > INNER:
        raise WireError("too-large", "A report of this length cannot be sealed; say less.")
    return inner.ljust(INNER, b"\0")


def parted(inner: bytes) -> tuple[dict[str, Any], bytes]:
    """Head and rest. Raises ``WireError`` as ``strictjson.parse``, ``bad-payload``."""
    line, end = inner.find(b"\n"), inner.rfind(_END)
    if not 0 <= line < end or inner[end + 1 :] != bytes(len(inner) - end - 1):
        raise m.bad("it has no head, or no end")
    head = m.table(strictjson.parse(inner[:line], MAX_HEAD), "the head")
    return head, inner[line + 1 : end]


def framed(*parts: bytes) -> bytes:
    """Each part after its length in 2 bytes, big-endian: what is hashed or signed as one."""
    return b"".join(len(part).to_bytes(2, "big") + part for part in parts)


def _box(members: Mapping[str, Any], unpack: Unpack) -> bytes:
    text = m.text(members, "box", room(LARGE))
    try:
        box = unpack(text)
    except ValueError:
        box = b""
    if len(box) != INNER + BOX_BYTES:
        raise m.bad("box must be a sealed box in base64")
    return box
