"""What the tests of envelopes share: a publisher, its documents, a client that judges."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mars.errors import MarsError, TrustError, WireError
from mars.testing.memory import MemoryOpenPGP
from mars.testing.publisher import EXAMPLE_NOW, Publisher
from mars.trust import TrustState, verify
from mars.trust.rules import Accepted
from mars.wire import envelope
from mars.wire.envelope import Envelope
from mars.wire.keys import TrustRoot

NOW = EXAMPLE_NOW
SEEDS = [bytes([n]) * 32 for n in (1, 2, 3)]


def plain(**changes: Any) -> Publisher:
    """One Ed25519 key, no OpenPGP."""
    return Publisher(**{"seeds": SEEDS[:1], **changes})


def judge(
    data: bytes | Envelope, root: TrustRoot, state: TrustState | None = None, now: int = NOW
) -> Accepted:
    raw = data if isinstance(data, bytes) else envelope.encode(data)
    return verify(raw, root, state or TrustState.initial(), now, MemoryOpenPGP())


def reason(data: bytes | Envelope, root: TrustRoot, state: TrustState | None = None) -> str:
    with pytest.raises(MarsError) as caught:
        judge(data, root, state)
    assert isinstance(caught.value, TrustError | WireError)
    return caught.value.reason


def opened(publisher: Publisher) -> Envelope:
    return envelope.decode(publisher.document())


def edited(publisher: Publisher, **members: Any) -> bytes:
    """The signed document as JSON, with members of the envelope replaced."""
    return json.dumps({**json.loads(publisher.document()), **members}).encode()
