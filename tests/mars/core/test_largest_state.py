"""Whatever is signed in its form can be remembered, all of it together."""

from __future__ import annotations

import json

from mars.channels.memory import SEEN_LIMIT, Memory, is_damaged
from mars.consent import Decision
from mars.core import state as states
from mars.core.state import LIMIT, SHARE, SHARES, State
from mars.testing.memory import MemoryKey
from mars.testing.publisher import EXAMPLE_NOW, Publisher
from mars.trust import Equivocation, TrustState
from mars.trust.state import MAX_EVIDENCE, MAX_HASHES
from mars.wire import motd as motds
from mars.wire.envelope import MAX_ENVELOPE, MAX_PAYLOAD
from mars.wire.keys import MAX_KEYS, KeysDocument, KeySet, TrustRoot
from mars.wire.release import MAX_RELEASE, Release
from mars.wire.steering import MAX_LINKS, MAX_STEERING, MAX_WEEKS, Steering
from mars.wire.times import LAST

WIDE = "\u00e9"
"""Two bytes as they are signed, six in the state's ASCII: no other character grows so much."""
DIGEST = "ab" * 32
PUBLISHER = Publisher(
    "p" * 40,
    "c" * 40,
    seeds=[bytes([n]) * 32 for n in range(MAX_KEYS)],
    openpgp=[MemoryKey(bytes([n]) * 32) for n in range(4)],
)
ONIONS = [f"http://{'a' * 51}m2dqd.onion"] * 8


def filled(keys: KeySet, room: int) -> KeySet:
    """With that many bytes more in its armoured blocks."""
    first, *others = keys.openpgp
    block = keys.openpgp[first] + WIDE * (room // 2)
    return KeySet(keys.roles, {first: block, **{name: keys.openpgp[name] for name in others}})


def largest_keys() -> KeySet:
    """As many bytes as a keys document may have."""
    keys = PUBLISHER.key_set()

    def document(some: KeySet) -> bytes:
        said = (PUBLISHER.product, PUBLISHER.channel, 256, EXAMPLE_NOW, EXAMPLE_NOW, some)
        return KeysDocument(*said).encode()

    made = document(filled(keys, MAX_PAYLOAD - len(document(keys))))
    assert MAX_PAYLOAD - 2 <= len(made) <= MAX_PAYLOAD
    return KeysDocument.decode(made).keys


def largest_steering() -> Steering:
    """Each of its members at its limit."""
    weeks = {f"2{n // 10:03}-W{n % 10 + 10}": DIGEST for n in range(MAX_WEEKS)}
    links = tuple(f"https://example.org/{n:0>179}/" for n in range(MAX_LINKS))
    said = (PUBLISHER.product, PUBLISHER.channel, 256, LAST, LAST, tuple(ONIONS))
    made = Steering(*said, 2**53 - 1, DIGEST, weeks, links).encode()
    assert len(made) <= MAX_STEERING
    return Steering.decode(made)


def largest_release() -> Release:
    """As many bytes as it may have."""
    said = (PUBLISHER.product, PUBLISHER.channel, 256, LAST, LAST, "9999.9999.9999")
    bare = len(Release(*said, notes=dict.fromkeys(("de", "en", "is"), "")).encode())
    each, left = divmod((MAX_RELEASE - bare) // 2, 3)
    notes = {"de": WIDE * each, "en": WIDE * each, "is": WIDE * (each + left)}
    made = Release(*said, notes=notes).encode()
    assert MAX_RELEASE - 2 <= len(made) <= MAX_RELEASE
    return Release.decode(made)


def largest_document() -> bytes:
    """A MOTD of as many bytes as a payload may have."""
    base = PUBLISHER.motd(epoch=256, messages=(), reportback_server="")
    room = MAX_PAYLOAD - len(motds.encode(base))
    made = motds.encode(
        PUBLISHER.motd(epoch=256, messages=(), reportback_server=WIDE * (room // 2))
    )
    assert MAX_PAYLOAD - 2 <= len(made) <= MAX_PAYLOAD
    return made


def largest() -> Memory:
    """All that a publisher can have an installation remember."""
    keys, ours = largest_keys(), (PUBLISHER.product, PUBLISHER.channel, 256)
    digest = keys.digest(*ours)
    trust = TrustState(
        *ours[:2],
        gen=2**53 - 1,
        epoch=256,
        hashes=dict.fromkeys(range(257 - MAX_HASHES, 256), DIGEST) | {256: digest},
        keys=keys,
        keys_expire=LAST,
        floor=LAST,
        serial=EXAMPLE_NOW,
        digest=DIGEST,
        accepted=EXAMPLE_NOW,
        issued=LAST,
        expires=LAST,
        openpgp=True,
        steering=largest_steering(),
        release=largest_release(),
        evidence=tuple(Equivocation("steering", n, DIGEST, DIGEST) for n in range(MAX_EVIDENCE)),
    )
    known = Memory(document=largest_document().decode(), heard=LAST, chained=LAST).holding(trust)
    return known.saw({f"{n:0>64}": 2**53 - 1 for n in range(SEEN_LIMIT)})


def test_the_largest_of_each_kind_is_read_back_with_all_that_others_keep() -> None:
    known = largest()
    state = known.into(State(decision=Decision.of("tracked", EXAMPLE_NOW)))
    for n in range(SHARES // SHARE):
        state = state.keeping(f"other{n}", {"x": WIDE * ((SHARE - 20) // 6)})
    data = states.encode(state)
    assert 0.4 * LIMIT < len(data) < LIMIT - 64 * 1024, "and room is left for what the core keeps"
    found = states.decode(data)
    assert found is not None
    assert Memory.of(found) == known
    assert not is_damaged(found)
    held = Memory.of(found).trust_state()
    assert (held.steering, held.release) == (largest_steering(), largest_release())
    motd = Memory.of(found).motd()
    assert motd is not None
    assert motds.encode(motd) == largest_document()


def test_the_keys_of_the_largest_trust_file_can_be_kept() -> None:
    root = PUBLISHER.trust(x_steering=None)
    root = TrustRoot.decode(
        PUBLISHER.trust(
            keys=filled(root.keys, MAX_ENVELOPE - len(root.encode())), x_steering=None
        ).encode()
    )
    digest = root.digest
    trust = TrustState(
        root.product, root.channel, 1, root.epoch, {root.epoch: digest}, root.keys, LAST
    )
    state = Memory().holding(trust).into(State())
    assert len(json.dumps(state.members["trust"])) > MAX_ENVELOPE
    found = states.decode(states.encode(state))
    assert found is not None
    assert Memory.of(found).trust_state() == trust
