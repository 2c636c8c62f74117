"""The status document: the same for all, each finds its own, and the number of reports in tens."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mars.errors import WireError
from mars.wire import envelope as envelopes
from mars.wire.envelope import MAX_SIGNATURES, STATUS_TYPE, Envelope, Signature
from mars.wire.reports.direct import prefix_of
from mars.wire.reports.fault import Fault
from mars.wire.reports.rules import Rule
from mars.wire.reports.status import (
    MAX_ANSWERS,
    MAX_DOCUMENT,
    MAX_FAULTS,
    MAX_PREFIXES,
    MAX_STATUS,
    Answer,
    Known,
    Status,
    padded,
)
from mars.wire.times import DAY
from tests.mars.wire.reports.kit import FAULT, IDENTITY, SEED

ISSUED = 1795219200
ANSWERS = (
    Answer("open"),
    Answer("resolved", 3, "The archive is opened.", "A file was missing.", "Update.", "0.5.3"),
    Answer("deleted"),
)
PREFIXES = {bytes([n]) * 8: n % 3 for n in range(7)} | {prefix_of(IDENTITY.guid) or b"": 1}
STATUS = Status(
    "examplemail",
    "stable",
    1,
    ISSUED,
    ISSUED,
    ISSUED + 45 * DAY,
    ANSWERS,
    PREFIXES,
    (
        Known(Rule.parse("examplemail.store:load and not KeyError"), 0),
        Known(Rule.parse("examplemail.store:load"), 1, "<0.5.3"),
    ),
)


def test_it_is_read_as_it_was_written() -> None:
    payload = STATUS.encode()
    assert Status.decode(payload) == STATUS and Status.decode(payload).encode() == payload
    assert Status.decode(replace(STATUS, answers=(), prefixes={}, faults=()).encode()).answers == ()


def test_whoever_sent_a_report_finds_its_answer() -> None:
    found = Status.decode(STATUS.encode())
    assert found.answer(IDENTITY.guid) == ANSWERS[1]
    assert found.answer("b" * 32) is None and found.answer("") is None


def test_help_is_found_by_rule_and_version() -> None:
    assert STATUS.known(FAULT, "0.5.2") == ANSWERS[1]
    assert STATUS.known(FAULT, "0.5.3") is None
    assert STATUS.known(FAULT, "dev") is None
    assert STATUS.known(replace(FAULT, types=("E",)), "dev") == ANSWERS[0]
    assert STATUS.known(Fault(("E",)), "0.5.2") is None


@given(st.sets(st.binary(min_size=8, max_size=8), max_size=25))
def test_j08_the_number_of_prefixes_is_a_multiple_of_ten(prefixes: set[bytes]) -> None:
    real = dict.fromkeys(prefixes, 1)
    found = padded(real, SEED)
    assert len(found) % 10 == 0 and len(found) - len(real) < 10
    assert {each: found[each] for each in real} == real and set(found.values()) <= {1}


def test_j08_those_that_are_added_stay() -> None:
    """Documents beside each other would tell them apart, if they were drawn anew."""
    more = {b"\xff" * 8: 0}
    first, second = padded(PREFIXES, SEED), padded(PREFIXES | more, SEED)
    added = first.keys() - PREFIXES.keys()
    assert len(added) == 2 and len(second.keys() & added) == 1
    assert padded(PREFIXES, bytes(32)).keys() & added == set()
    met = dict.fromkeys(second.keys() & added, 0) | PREFIXES
    assert len(padded(met, SEED)) == 10, "one that a report has is not added"


def test_j08_they_have_answers_as_others_have() -> None:
    real = {n.to_bytes(8, "big"): int(n < 3) for n in range(4001)}
    found = padded(real, SEED)
    assert [found[each] for each in found.keys() - real.keys()] == [0] * 9


def signed(payload: bytes) -> bytes:
    signatures = tuple(Signature("0" * 16, bytes(64)) for _ in range(MAX_SIGNATURES))
    return envelopes.encode(Envelope(STATUS_TYPE, payload, signatures))


def test_ten_thousand_reports_fit_with_their_texts() -> None:
    prefixes = {(n * 2**50).to_bytes(8, "big"): n % 50 for n in range(MAX_PREFIXES)}
    texts = tuple(replace(ANSWERS[1], rule=n + 1, how="é" * 150, fix="x" * 200) for n in range(50))
    full = replace(STATUS, answers=texts, prefixes=prefixes)
    payload = full.encode()
    document = signed(payload)
    assert len(document) <= MAX_DOCUMENT == 250_000
    read = envelopes.decode(document, MAX_DOCUMENT, MAX_STATUS)
    assert Status.decode(read.payload) == full
    assert len(signed(bytes(MAX_STATUS))) <= MAX_DOCUMENT
    with pytest.raises(WireError) as caught:
        envelopes.decode(signed(payload))
    assert caught.value.reason == "too-large"
    with pytest.raises(WireError) as caught:
        envelopes.decode(signed(bytes(MAX_STATUS + 1)), MAX_DOCUMENT, MAX_STATUS)
    assert caught.value.reason == "too-large"
    with pytest.raises(WireError) as caught:
        replace(full, answers=texts * 3).encode()
    assert caught.value.reason == "too-large"
    with pytest.raises(WireError) as caught:
        replace(STATUS, answers=(replace(ANSWERS[0], summary="x" * 201), *ANSWERS)).encode()
    assert caught.value.reason == "bad-payload"


def packed(*records: bytes) -> dict[str, str]:
    return {"prefixes": base64.b64encode(b"".join(records)).decode()}


ONE, TWO = b"\x01" * 8 + b"\0\0", b"\x02" * 8 + b"\0\x01"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"type": "motd"}, "wrong-kind"),
        ({"version": 2}, "newer-format"),
        ({"serial": 0}, "bad-payload"),
        ({"expires": "never"}, "bad-payload"),
        ({"prefixes": "*"}, "bad-payload"),
        ({"prefixes": 5}, "bad-payload"),
        (packed(ONE[:9]), "bad-payload"),
        (packed(TWO, ONE), "bad-payload"),
        (packed(ONE, ONE), "bad-payload"),
        (packed(ONE, ONE[:9] + b"\x01"), "bad-payload"),
        (packed(ONE[:8] + b"\0\x03"), "bad-payload"),
        (packed(bytes(10 * (MAX_PREFIXES + 1))), "bad-payload"),
        ({"answers": {}}, "bad-payload"),
        ({"answers": [5]}, "bad-payload"),
        ({"answers": [{"state": "open"}] * (MAX_ANSWERS + 1)}, "bad-payload"),
        ({"answers": [{"state": "new"}] * 3}, "bad-payload"),
        ({"answers": [{}] * 3}, "bad-payload"),
        ({"answers": [{"state": "open", "rule": "3"}] * 3}, "bad-payload"),
        ({"answers": [{"state": "open", "summary": "x" * 201}] * 3}, "bad-payload"),
        ({"answers": [{"state": "open", "how": "x" * 2001}] * 3}, "bad-payload"),
        ({"answers": [{"state": "open", "release": "next"}] * 3}, "bad-payload"),
        ({"faults": [{"match": "E", "answer": 3}]}, "bad-payload"),
        ({"faults": [{"match": "E"}]}, "bad-payload"),
        ({"faults": [{"match": "E and", "answer": 0}]}, "rule-invalid"),
        ({"faults": [{"match": "E", "answer": 0, "releases": 5}]}, "bad-payload"),
        ({"faults": [{"match": "E", "answer": 0}] * (MAX_FAULTS + 1)}, "bad-payload"),
    ],
)
def test_it_is_read_strictly(change: dict[str, object], reason: str) -> None:
    with pytest.raises(WireError) as caught:
        Status.decode(json.dumps({**json.loads(STATUS.encode()), **change}).encode())
    assert caught.value.reason == reason


def test_members_of_a_later_format_are_passed_over() -> None:
    said = json.loads(STATUS.encode()) | {"unknown": 1}
    assert Status.decode(json.dumps(said).encode()) == STATUS
