"""Each reason for which a client refuses a status document."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mars.errors import TrustError
from mars.trust import TrustState
from mars.trust.answers import accept_status
from mars.wire import ed25519, envelope
from mars.wire.envelope import MOTD_TYPE, STATUS_TYPE, Envelope, Signature, pae
from mars.wire.keys import ROLES, KeySet, Role, TrustRoot, keyid
from mars.wire.reports.status import Status
from mars.wire.times import DAY

NOW = 1_795_000_000
SEED = b"s" * 32
PUBLIC = ed25519.public_key(SEED)
KEYS = {name: Role({}) for name in ROLES} | {"status": Role({keyid(PUBLIC): PUBLIC.hex()})}
ROOT = TrustRoot("examplemail", "stable", 1, KeySet(KEYS, policy="off"))
SAID = Status("examplemail", "stable", 1, NOW, NOW, NOW + 45 * DAY)


def signed(said: Status, seed: bytes = SEED, kind: str = STATUS_TYPE) -> bytes:
    payload = said.encode()
    name = keyid(ed25519.public_key(seed))
    mark = Signature(name, ed25519.sign(seed, pae(kind, payload)))
    return envelope.encode(Envelope(kind, payload, (mark,)))


def reason(data: bytes, now: int = NOW, state: TrustState | None = None, **seen: object) -> str:
    with pytest.raises(TrustError) as error:
        accept_status(data, ROOT, state or TrustState.initial(), now, **seen)  # type: ignore[arg-type]
    return error.value.reason


def test_one_that_holds_is_accepted_again() -> None:
    found = accept_status(signed(SAID), ROOT, TrustState.initial(), NOW)
    assert found.status == SAID
    seen = (SAID.serial, found.digest)
    assert accept_status(signed(SAID), ROOT, TrustState.initial(), NOW, *seen) == found


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"product": "other"}, "wrong-product"),
        ({"channel": "beta"}, "wrong-channel"),
        ({"epoch": 2}, "wrong-epoch"),
        ({"serial": NOW + 3 * DAY, "issued": NOW + 3 * DAY}, "future"),
        ({"serial": NOW + 1}, "fast-forward"),
        ({"expires": NOW + 61 * DAY}, "bad-lifetime"),
    ],
)
def test_what_it_says_of_itself_must_fit(changed: dict[str, object], told: str) -> None:
    assert reason(signed(replace(SAID, **changed))) == told  # type: ignore[arg-type]


def test_kind_and_key_must_fit() -> None:
    assert reason(signed(SAID, kind=MOTD_TYPE)) == "wrong-payload-type"
    assert reason(signed(SAID, b"t" * 32)) == "signature-threshold"


def test_it_ends_with_its_time_and_with_that_of_the_keys() -> None:
    assert reason(signed(SAID), SAID.expires) == "expired"
    state = accept_keys_until(NOW + DAY)
    assert reason(signed(SAID), NOW + DAY, state) == "keys-expired"


def accept_keys_until(end: int) -> TrustState:
    return TrustState(
        product=ROOT.product,
        channel=ROOT.channel,
        gen=ROOT.gen,
        epoch=ROOT.epoch,
        keys=ROOT.keys,
        keys_expire=end,
        hashes={ROOT.epoch: ROOT.digest},
    )


def test_an_older_one_and_a_twin_are_refused() -> None:
    assert reason(signed(SAID), serial=NOW + 1) == "rollback"
    assert reason(signed(SAID), serial=NOW, digest="another") == "equivocation"
