"""Properties that hold for every input, sought by hypothesis."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mars.errors import MarsError, StateError, TrustError, WireError
from mars.testing.memory import MemoryKey, MemoryOpenPGP
from mars.testing.publisher import EXAMPLE_NOW, Publisher
from mars.trust import Equivocation, TrustState, accept, start, verify
from mars.trust.state import KINDS
from mars.wire import envelope, links, strictjson, targeting, times
from mars.wire import motd as motds
from mars.wire.envelope import Envelope, Signature
from mars.wire.keys import MAX_CROWD, KeysDocument, KeySet, TrustRoot
from mars.wire.motd import Message, Motd, Target
from mars.wire.product import PLATFORMS
from mars.wire.release import Download, Release
from mars.wire.steering import Steering

EXAMPLES = settings(max_examples=150, deadline=None)

ONION = "http://2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion"
SEEDS = [bytes([n]) * 32 for n in range(1, 8)]
PUBLISHER = Publisher(seeds=SEEDS[:3], threshold=2, openpgp=[MemoryKey(b"o" * 32)])
ROOT = PUBLISHER.trust()
MOVED = replace(PUBLISHER, chain=[])
MOVED.rotate(seeds=SEEDS[3:5], threshold=2)
DOCUMENT, MOVED_DOCUMENT = PUBLISHER.document(), MOVED.document()

texts = st.text(st.characters(codec="utf-8"), max_size=30)
names = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
moments = st.integers(0, times.LAST)
digests = st.binary(min_size=32, max_size=32).map(bytes.hex)
wholes = st.integers(0, strictjson.MAX_INTEGER)
languages = st.sampled_from(["en", "is", "pt_BR", "de", "zh-Hant"])
translations = st.dictionaries(languages, texts, max_size=3)
few = st.none() | st.lists(texts, max_size=3).map(tuple)
targets = st.builds(Target, few, st.none() | texts, few)
messages = st.builds(
    Message,
    id=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True),
    title=st.dictionaries(languages, texts, min_size=1, max_size=3),
    text=translations,
    revision=wholes,
    kind=st.sampled_from(motds.KINDS),
    severity=st.sampled_from(motds.SEVERITIES),
    not_before=st.none() | moments,
    not_after=st.none() | moments,
    target=st.none() | targets,
    url=texts,
)
documents = st.builds(
    Motd,
    product=names,
    channel=names,
    epoch=st.integers(1, strictjson.MAX_INTEGER),
    serial=st.integers(1, strictjson.MAX_INTEGER),
    issued=moments,
    expires=moments,
    reportback_next=wholes,
    reportback_server=texts,
    news=texts,
    newest_version=texts,
    messages=st.lists(messages, max_size=3, unique_by=lambda item: item.id).map(tuple),
)


def _key_set(count: int, threshold: int, policy: str) -> KeySet:
    signer = Publisher(
        seeds=SEEDS[:count], threshold=threshold, openpgp=[MemoryKey(b"o" * 32)], policy=policy
    )
    return signer.key_set()


key_sets = st.integers(1, 7).flatmap(
    lambda count: st.builds(
        _key_set,
        st.just(count),
        st.integers(1, count),
        st.sampled_from(["required", "when-available", "off"]),
    )
)
keys_documents = st.builds(
    KeysDocument, names, names, st.integers(1, 99), moments, moments, key_sets
)
roots = st.builds(
    TrustRoot,
    names,
    names,
    st.integers(1, 99),
    key_sets,
    gen=st.integers(1, strictjson.MAX_INTEGER),
    minimum_serial=moments,
    built=moments,
    crowd=st.integers(0, MAX_CROWD),
)
intakes = st.dictionaries(
    st.from_regex(r"20[0-9]{2}-W(0[1-9]|[1-4][0-9])", fullmatch=True),
    st.binary(min_size=32, max_size=32).map(bytes.hex),
    max_size=3,
)
steerings = st.builds(
    Steering,
    names,
    names,
    st.integers(1, 99),
    serial=st.integers(1, strictjson.MAX_INTEGER),
    issued=moments,
    servers=st.sampled_from([(), (ONION,), (ONION, ONION.replace("http", "https"))]),
    reportback_next=wholes,
    registry=st.just("") | st.binary(min_size=32, max_size=32).map(bytes.hex),
    intake=intakes,
    links=st.sampled_from([(), ("https://example.org/",), ("https://a.example/b", ONION + "/")]),
)
releases = st.builds(
    Release,
    names,
    names,
    st.integers(1, 99),
    serial=st.integers(1, strictjson.MAX_INTEGER),
    issued=moments,
    release=st.sampled_from(["0.5", "1.2.3"]),
    minimum_version=st.sampled_from(["", "0.4"]),
    notes=translations,
    downloads=st.lists(
        st.builds(
            Download,
            st.sampled_from(PLATFORMS),
            st.just("https://example.org/a.zip"),
            wholes,
            digests,
            st.sampled_from(["", "https://example.org/"]),
        ),
        max_size=3,
    ).map(tuple),
)
signatures = st.builds(Signature, texts, st.binary(max_size=100))
plain_envelopes = st.builds(
    Envelope,
    texts,
    st.binary(max_size=200),
    st.lists(signatures, min_size=1, max_size=4).map(tuple),
)
envelopes = st.builds(
    replace,
    plain_envelopes,
    x_keys=st.lists(plain_envelopes, max_size=3).map(tuple),
    x_steering=st.none() | plain_envelopes,
    x_release=st.none() | plain_envelopes,
)


def _state(root: TrustRoot, steers: bool, offers: bool, **members: Any) -> TrustState:
    state = start(root, TrustState.initial())
    if steers:
        said = Steering(root.product, root.channel, root.epoch, 1, 1, (ONION,))
        state = replace(state, steering=said)
    if offers:
        state = replace(state, release=Release(root.product, root.channel, root.epoch, 1, 1, "0.5"))
    return replace(state, **members)


states = st.just(TrustState.initial()) | st.builds(
    _state,
    roots,
    st.booleans(),
    st.booleans(),
    keys_expire=moments,
    floor=moments,
    serial=moments,
    digest=digests,
    accepted=moments,
    issued=moments,
    expires=moments,
    openpgp=st.booleans(),
    evidence=st.lists(
        st.builds(Equivocation, st.sampled_from(KINDS), moments, digests, digests), max_size=3
    ).map(tuple),
)
json_values = st.recursive(
    st.none() | st.booleans() | wholes | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@EXAMPLES
@given(documents)
def test_motd_is_read_as_written(motd: Motd) -> None:
    written = motds.encode(motd)
    if len(written) <= envelope.MAX_PAYLOAD:
        assert motds.decode(written) == motd
        assert motds.encode(motds.decode(written)) == written


@EXAMPLES
@given(keys_documents)
def test_keys_document_is_read_as_written(document: KeysDocument) -> None:
    written = document.encode()
    assert KeysDocument.decode(written) == document
    assert KeysDocument.decode(written).encode() == written


@EXAMPLES
@given(roots)
def test_trust_root_is_read_as_written(root: TrustRoot) -> None:
    assert TrustRoot.decode(root.encode()) == root


@EXAMPLES
@given(steerings)
def test_steering_is_read_as_written(steering: Steering) -> None:
    assert Steering.decode(steering.encode()) == steering


@EXAMPLES
@given(releases)
def test_release_is_read_as_written(release: Release) -> None:
    assert Release.decode(release.encode()) == release


@EXAMPLES
@given(st.lists(plain_envelopes, min_size=1, max_size=4).map(tuple))
def test_chain_is_read_as_written(steps: tuple[Envelope, ...]) -> None:
    assert envelope.decode_chain(envelope.encode_chain(steps)) == steps


@EXAMPLES
@given(envelopes)
def test_envelope_is_read_as_written(value: Envelope) -> None:
    written = envelope.encode(value)
    assert envelope.decode(written) == value
    assert envelope.encode(envelope.decode(written)) == written


@EXAMPLES
@given(states)
def test_state_is_read_as_written(state: TrustState) -> None:
    assert TrustState.decode(state.encode()) == state


@EXAMPLES
@given(json_values)
def test_strict_json_reads_what_it_writes(value: object) -> None:
    written = strictjson.write(value)
    try:
        assert strictjson.parse(written, 10**6) == value
    except WireError as error:
        assert error.reason == "too-deep"


def refuses_or_reads(data: bytes) -> None:
    """Every reader returns a value or raises its own error, whatever ``data`` is."""
    for read in (envelope.decode, motds.decode, KeysDocument.decode, TrustRoot.decode):
        with contextlib.suppress(WireError):
            read(data)
    with contextlib.suppress(StateError):
        TrustState.decode(data)
    try:
        accept(data, {}, EXAMPLE_NOW, ROOT, TrustState.initial())
    except (WireError, TrustError):
        pass
    else:
        pytest.fail("nothing unsigned is accepted")


@EXAMPLES
@given(st.binary(max_size=300))
def test_arbitrary_bytes_raise_only_our_own_errors(data: bytes) -> None:
    refuses_or_reads(data)


@EXAMPLES
@given(json_values)
def test_arbitrary_json_raises_only_our_own_errors(value: object) -> None:
    refuses_or_reads(json.dumps(value).encode())


@EXAMPLES
@given(
    st.sampled_from([motds.encode(PUBLISHER.motd()), MOVED.chain[0].payload, ROOT.encode()]),
    st.data(),
)
def test_a_document_with_one_member_replaced_raises_only_our_own_errors(
    data: bytes, draw: st.DataObject
) -> None:
    members: dict[str, Any] = json.loads(data)
    members[draw.draw(st.sampled_from(sorted(members)))] = draw.draw(json_values)
    refuses_or_reads(json.dumps(members).encode())


@settings(max_examples=600, deadline=None)
@given(st.sampled_from([DOCUMENT, MOVED_DOCUMENT]), st.data())
def test_a_flipped_bit_is_refused_or_changes_nothing(data: bytes, draw: st.DataObject) -> None:
    # A bit of a keyid, of white space or of a member's name that is not read may flip; then
    # everything that the client learns is still what was signed.
    bit = draw.draw(st.integers(0, len(data) * 8 - 1))
    flipped = bytearray(data)
    flipped[bit // 8] ^= 1 << bit % 8
    gpg, new = MemoryOpenPGP(), TrustState.initial()
    try:
        accepted = verify(bytes(flipped), ROOT, new, EXAMPLE_NOW, gpg)
    except MarsError as error:
        assert isinstance(error, WireError | TrustError)
    else:
        assert accepted == verify(data, ROOT, new, EXAMPLE_NOW, gpg)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(-70, 70), st.booleans(), st.integers(0, 200)), min_size=1, max_size=12
    )
)
def test_no_sequence_of_documents_leads_back(events: list[tuple[int, bool, int]]) -> None:
    """Whatever is served, however the clock errs: no serial falls, nothing stale is shown."""
    state, highest = TrustState.initial(), 0
    publisher = Publisher(seeds=SEEDS[:1])
    root = publisher.trust()
    for days, twin, clock in events:
        issued = EXAMPLE_NOW + days * times.DAY
        now = EXAMPLE_NOW + (clock - 100) * times.DAY
        document = publisher.document(issued, news="twin" if twin else "")
        try:
            accepted = verify(document, root, state, now, MemoryOpenPGP())
        except MarsError as error:
            state = getattr(error, "state", state)
        else:
            state = accepted.state
            assert accepted.motd.serial >= highest
            assert now < accepted.motd.expires
            assert accepted.motd.issued <= now + times.DAY
        assert state.serial >= highest
        assert state.accepted <= state.serial
        highest = state.serial


@EXAMPLES
@given(st.text(max_size=60))
def test_cleaned_text_holds_nothing_invisible(text: str) -> None:
    cleaned = targeting.clean(text, newlines=True)
    assert targeting.clean(cleaned, newlines=True) == cleaned
    assert not set(cleaned) & set("\0\x1b\r\x85\u2028\u202e\u2066\u200b\ufeff")
    assert targeting.clean(text) == cleaned.replace("\n", "")


@EXAMPLES
@given(st.text(max_size=60) | st.from_regex(r"https?://[ -~]{0,40}"))
def test_an_offered_link_is_plain_ascii_without_userinfo(url: str) -> None:
    link = links.link(url)
    assert link in ("", url)
    if link:
        assert link.isascii()
        assert link.isprintable()
        host = link.partition("://")[2].partition("/")[0].partition("?")[0].partition("#")[0]
        assert "@" not in host
        assert not set(link) & set(' "<>\\^`{|}')


@EXAMPLES
@given(st.text(max_size=80), st.text(max_size=20))
def test_targeting_never_raises(specifier: str, version: str) -> None:
    targeting.version_matches(specifier, version)
    targeting.is_newer(specifier, version)
    targeting.preferences([specifier, version])
