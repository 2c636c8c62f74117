"""A direct report, which triage reads at once, and the request to delete it. Pure.

Each report has a signing key of its own, made of a lasting secret of the installation and a nonce:
nobody but the installation can tell that two keys are of one, and it can make the key again to
delete what it sent. The GUID is a hash of key and nonce: the same report sent twice has the same.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from mars.errors import WireError
from mars.wire import ed25519, strictjson
from mars.wire import members as m
from mars.wire.product import PLATFORMS
from mars.wire.reports.fault import MAX_BODY, Fault
from mars.wire.reports.outer import Destination, framed, joined
from mars.wire.variables import OTHER

REPORT, DELETION = "direct", "deletion"
"""What ``kind`` says."""
NONCE_BYTES = 24
GUID_BYTES = 20
PREFIX_BYTES = 8
"""Of a GUID, by which it is found in the status document."""
MAX_MESSAGE = 2_000
"""Bytes of a message in UTF-8, as JSON writes it, without its quotation marks."""
MAX_SERVER = 100
"""Characters."""
SYSTEMS = (*PLATFORMS, OTHER)
_MAX_CONTENT = MAX_BODY + MAX_MESSAGE + 64
_HEAD = ("kind", "server", "key", "nonce", "signature")
_CONTENT = ("types", "frames", "platform", "message")
_PURPOSE = b"MARS direct"
_GUID = re.compile(r"[a-z2-7]{32}", re.ASCII)
_DOMAINS = {REPORT: b"MARS error report 1", DELETION: b"MARS error report deletion 1"}


@dataclass(frozen=True)
class Content:
    """What a person at triage reads."""

    fault: Fault
    platform: str
    """One of ``SYSTEMS``."""
    message: str = ""
    """By the user's own hand; clean it before display."""

    def encode(self) -> bytes:
        """Strict JSON. Raises ``WireError`` as ``require_short``."""
        said: dict[str, object] = {**self.fault.members, "platform": self.platform}
        if self.message:
            require_short(self.message)
            said["message"] = self.message
        return strictjson.write(said)

    @classmethod
    def decode(cls, data: bytes) -> Content:
        """Raises ``WireError`` as ``Fault.decode``."""
        return _content(data)


@lru_cache(maxsize=1024)
def _content(data: bytes) -> Content:
    """Remembered, since many reports of one fault say the same."""
    members = m.table(strictjson.parse(data, _MAX_CONTENT), "a direct report")
    m.only(members, _CONTENT, "A direct report")
    platform = m.text(members, "platform", 20)
    if platform not in SYSTEMS:
        raise m.bad(f"platform must be one of {', '.join(SYSTEMS)}")
    return Content(Fault.read(members), platform, m.text(members, "message", MAX_MESSAGE, ""))


@dataclass(frozen=True)
class Direct:
    """A report whose signature holds."""

    guid: str
    content: Content


@dataclass(frozen=True)
class Deletion:
    """Whoever sent the report of this GUID asks for its deletion; the signature holds."""

    guid: str


@dataclass(frozen=True)
class Identity:
    """The signing key of one report alone."""

    seed: bytes = field(repr=False)
    nonce: bytes

    @classmethod
    def of(cls, secret: bytes, nonce: bytes) -> Identity:
        """``secret``: 32 bytes that never leave the installation; ``nonce``: 24 random bytes, for
        this report alone, which must be kept for its deletion."""
        hashed = blake2b(nonce, key=secret, person=_PURPOSE, digest_size=ed25519.SEED_BYTES)
        return cls(hashed.digest(), nonce)

    @property
    def key(self) -> bytes:
        """The public key."""
        return ed25519.public_key(self.seed)

    @property
    def guid(self) -> str:
        return guid_of(self.key, self.nonce)

    def report(self, content: Content, to: Destination) -> bytes:
        """The inside of a report. Raises ``WireError`` as ``Content.encode``."""
        return self._signed(REPORT, to, content.encode())

    def deletion(self, to: Destination) -> bytes:
        """The inside of the request to delete the report, of whatever release ``to`` is."""
        return self._signed(DELETION, to, b"")

    def _signed(self, kind: str, to: Destination, rest: bytes) -> bytes:
        signature = ed25519.sign(self.seed, _bound(kind, to, self.guid, rest))
        said = (kind, to.server, self.key.hex(), self.nonce.hex(), signature.hex())
        return joined(dict(zip(_HEAD, said, strict=True)), rest)


def guid_of(key: bytes, nonce: bytes) -> str:
    """32 characters of ``a-z`` and ``2-7``: the BLAKE2b-160 of both in base32."""
    digest = blake2b(key + nonce, digest_size=GUID_BYTES).digest()
    return base64.b32encode(digest).decode("ascii").lower()


def prefix_of(guid: str) -> bytes | None:
    """The first 8 bytes; None of what is no GUID."""
    if not _GUID.fullmatch(guid):
        return None
    return base64.b32decode(guid.upper())[:PREFIX_BYTES]


def read(kind: str, head: Mapping[str, Any], rest: bytes, to: Destination) -> Direct | Deletion:
    """What an inside of this ``kind`` says. ``to`` is as the recipient knows itself, with the
    server that the head names (``server_of``).

    Raises ``WireError``: ``extra-member``, ``bad-signature`` where anything of it differs from what
    was signed, and as ``Content.decode``.
    """
    m.only(head, _HEAD, "The head of such a report")
    key, nonce = m.octets(head, "key", ed25519.PUBLIC_BYTES), m.octets(head, "nonce", NONCE_BYTES)
    signature, guid = m.octets(head, "signature", ed25519.SIGNATURE_BYTES), guid_of(key, nonce)
    if not ed25519.verify(key, signature, _bound(kind, to, guid, rest)):
        raise WireError("bad-signature", "It is not what was signed for this recipient.")
    if kind == REPORT:
        return Direct(guid, Content.decode(rest))
    if rest:
        raise m.bad("a deletion says nothing more")
    return Deletion(guid)


def server_of(head: Mapping[str, Any]) -> str:
    """The host that an inside is for. Raises ``WireError`` (``bad-payload``)."""
    return m.text(head, "server", MAX_SERVER)


def _bound(kind: str, to: Destination, guid: str, rest: bytes) -> bytes:
    """What is signed."""
    release = (to.product.encode(), to.channel.encode(), to.release.encode(), to.key)
    digest = blake2b(rest, digest_size=32).digest()
    return framed(_DOMAINS[kind], *release, to.server.encode(), guid.encode(), digest)


def require_short(message: str) -> None:
    """Raises ``WireError`` for a message: ``too-large``, ``bad-text`` where it holds half of a
    surrogate pair."""
    try:
        length = len(strictjson.write(message)) - 2
    except UnicodeEncodeError:
        told = "The message is no text in UTF-8 (it holds half of a surrogate pair); write it anew."
        raise WireError("bad-text", told) from None
    if length > MAX_MESSAGE:
        raise WireError("too-large", f"A message has at most {MAX_MESSAGE} bytes; make it shorter.")
