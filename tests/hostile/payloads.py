"""What the tests of payloads share: a payload with anything in it, and a client that judges it."""

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
from mars.wire import motd as motds

NOW = EXAMPLE_NOW
PUBLISHER = Publisher(seeds=[b"b" * 32])
ROOT = PUBLISHER.trust()


def judge(payload: bytes) -> Accepted:
    """A signed document with this payload, as a new installation sees it."""
    data = envelope.encode(PUBLISHER.envelope(payload))
    return verify(data, ROOT, TrustState.initial(), NOW, MemoryOpenPGP())


def reason(payload: bytes) -> str:
    with pytest.raises(MarsError) as caught:
        judge(payload)
    assert isinstance(caught.value, TrustError | WireError)
    return caught.value.reason


def members(**changes: Any) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(motds.encode(PUBLISHER.motd()))
    return {**plain, **changes}


def payload(**changes: Any) -> bytes:
    return json.dumps(members(**changes)).encode()


def message(**changes: Any) -> dict[str, Any]:
    return {"id": "m", "title": {"en": "Title"}, **changes}
