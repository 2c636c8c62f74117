"""What may stand in a payload."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mars.channels.reading import Reading
from mars.core.state import App
from mars.errors import WireError
from mars.testing.memory import machine
from mars.wire import envelope, strictjson
from mars.wire.envelope import MAX_ENVELOPE, MAX_PAYLOAD
from mars.wire.targeting import select
from tests.hostile.payloads import NOW, judge, members, message, payload, reason


def literal(member: str, text: str) -> bytes:
    """The payload with ``text`` as the value of ``member``, whatever it is."""
    return payload(**{member: "@@"}).replace(b'"@@"', text.encode())


GOOD = payload()


@pytest.mark.parametrize(
    "data",
    [
        GOOD.replace(b"Hello", b"Hall\xf3"),
        GOOD.replace(b"Hello", b"\xc0\xaf"),
        GOOD.replace(b"Hello", b"\xed\xa0\x80"),
        GOOD.decode().encode("utf-16"),
        GOOD.decode().encode("utf-16-le"),
        GOOD.decode().encode("utf-32"),
        GOOD.decode().encode("utf-32-be"),
        b"\xef\xbb\xbf" + GOOD,
    ],
    ids=["latin-1", "overlong", "surrogate", "utf-16", "utf-16-le", "utf-32", "utf-32-be", "bom"],
)
def test_b01_only_utf8_without_bom(data: bytes) -> None:
    assert reason(data) in {"not-utf8", "not-json"}


@pytest.mark.parametrize(
    "data",
    [
        GOOD.replace(b'"news":', b'"serial": 1, "news":'),
        payload(messages=[message()]).replace(b'"en":', b'"en": "x", "en":'),
        payload(later={"a": 1}).replace(b'"a": 1', b'"a": 1, "a": 1'),
        GOOD.replace(b'"news":', b'"seri\\u0061l": 1, "news":'),
    ],
    ids=["top", "deep", "in an unknown member", "escaped"],
)
def test_b02_duplicate_members_are_rejected(data: bytes) -> None:
    assert reason(data) == "duplicate-member"


@pytest.mark.parametrize(
    "number", ["NaN", "Infinity", "-Infinity", "1e400", "1.0", "1E2", "-0", "-1", "0.0", "1e-1"]
)
@pytest.mark.parametrize("member", ["reportback_next", "later"])
def test_b03_only_whole_numbers_exist(number: str, member: str) -> None:
    assert reason(literal(member, number)) == "bad-number"


@pytest.mark.parametrize("number", ["1" * 20, "9007199254740992", "9" * 16, "1" * 30_000])
def test_b04_large_integers_are_rejected(number: str) -> None:
    assert reason(literal("reportback_next", number)) == "bad-number"


def test_b04_a_million_digits_cost_nothing() -> None:
    with pytest.raises(WireError) as caught:
        strictjson.parse(b"1" * 10**6, 10**7)
    assert caught.value.reason == "bad-number"


def test_b04_the_largest_integer_is_read() -> None:
    assert judge(literal("reportback_next", "9007199254740991")).motd.reportback_next == 2**53 - 1


@pytest.mark.parametrize("member", ["serial", "epoch", "version", "reportback_next"])
def test_b05_true_is_no_integer(member: str) -> None:
    assert reason(payload(**{member: True})) == "bad-payload"
    assert reason(payload(messages=[message(revision=True)])) == "bad-payload"


@pytest.mark.parametrize("depth", [9, 100, 16_000])
@pytest.mark.parametrize("pair", ["[]", "{}"])
def test_b06_deep_nesting_is_rejected(depth: int, pair: str) -> None:
    opening = "[" * depth if pair == "[]" else '{"a":' * min(depth, 5_000)
    assert reason(literal("later", opening)) == "too-deep"


def test_b06_a_hundred_thousand_levels_exhaust_no_stack() -> None:
    for data in (b"[" * 100_000, b'{"a":' * 100_000, b'["\\"", ' * 100_000):
        with pytest.raises(WireError) as caught:
            strictjson.parse(data, 10**7)
        assert caught.value.reason == "too-deep"


def test_b06_brackets_in_texts_do_not_nest() -> None:
    text = '[{"' * 50 + "\\"
    assert judge(payload(news=text)).motd.news == text


@pytest.mark.parametrize("escape", [r"\ud800", r"\uDFFF", r"x\udc00y", r"\ud800A"])
def test_b07_lone_surrogate_is_rejected(escape: str) -> None:
    assert reason(literal("news", f'"{escape}"')) == "bad-text"
    assert reason(literal("later", f'{{"{escape}": 1}}')) == "bad-text"


def test_b07_surrogate_pairs_and_escaped_backslashes_are_fine() -> None:
    assert judge(literal("news", r'"\ud83d\ude00"')).motd.news == "\U0001f600"
    assert judge(literal("news", r'"\\ud800"')).motd.news == "\\ud800"


@pytest.mark.parametrize(
    "code",
    [
        *(0x00, 0x07, 0x08, 0x09, 0x0D, 0x1B, 0x7F, 0x85, 0x9B, 0xAD, 0x61C),
        *(0x200B, 0x200C, 0x200D, 0x200E, 0x200F, 0x2028, 0x2029, 0x2060, 0xFEFF, 0xE000, 0xE0041),
        *range(0x202A, 0x202F),
        *range(0x2066, 0x206A),
    ],
    ids=hex,
)
def test_b07_invisible_characters_are_stripped_before_display(code: int) -> None:
    text = f"a{chr(code)}b\nc"
    motd = judge(payload(news=text, messages=[message(title={"en": text}, text={"en": text})])).motd
    (item,) = select(motd, "1.0", "linux", ["en"], NOW)
    assert item.title == "abc"
    assert item.text == "ab\nc"
    reading = Reading.of(motd, App("examplemail", "1.0", ""), machine(), NOW, None)
    assert reading.news == "ab\nc"
    assert (reading.messages[0].title, reading.messages[0].text) == ("abc", "ab\nc")


@pytest.mark.parametrize(
    "data",
    [
        GOOD + b" {}",
        GOOD + b"\0",
        GOOD[:-1] + b",}",
        GOOD[:-1] + b"/* x */}",
        GOOD[:-1] + b"// x\n}",
        GOOD.replace(b'"', b"'"),
        payload(messages=[]).replace(b"[]", b"[1,]"),
        GOOD.replace(b"Hello", b"He\tllo"),
        b"",
        b" ",
    ],
)
def test_b08_only_one_json_value_without_extras(data: bytes) -> None:
    assert reason(data) == "not-json"


@pytest.mark.parametrize("data", [b"[]", b'"x"', b"null", b"1", b"true"])
def test_b09_top_level_must_be_an_object(data: bytes) -> None:
    assert reason(data) == "bad-payload"
    with pytest.raises(WireError) as caught:
        envelope.decode(data)
    assert caught.value.reason == "bad-envelope"


REQUIRED = ("product", "channel", "epoch", "serial", "issued", "expires", "version")


@pytest.mark.parametrize("member", REQUIRED)
def test_b10_missing_member_is_rejected(member: str) -> None:
    plain = members()
    del plain[member]
    assert reason(json.dumps(plain).encode()) == "bad-payload"


@pytest.mark.parametrize(
    ("member", "value"),
    [(name, value) for name in members() if name != "type" for value in (None, [1], {"a": 1})]
    + [(name, "x") for name in ("epoch", "serial", "issued", "expires", "version", "messages")]
    + [(name, 1) for name in ("product", "channel", "issued", "news", "newest_version")]
    + [("product", "UPPER"), ("serial", 0), ("channel", ""), ("issued", "2026-02-30T00:00:00Z")]
    + [("issued", "2026-11-21"), ("issued", "2026-11-21T00:00:00+00:00"), ("messages", ["x"])],
)
def test_b10_wrong_type_is_rejected(member: str, value: object) -> None:
    assert reason(payload(**{member: value})) == "bad-payload"


@pytest.mark.parametrize(
    "changes",
    [
        {"id": ""},
        {"id": "a b"},
        {"id": "x" * 65},
        {"id": 1},
        {"title": {}},
        {"title": "Title"},
        {"title": {"en": 1}},
        {"title": {"en": "x" * 201}},
        {"title": {"e": "x"}},
        {"title": {f"a{c}{d}": "x" for c in "abcdefghi" for d in "abcdefgh"}},
        {"text": ["x"]},
        {"text": {"en": "x" * 4001}},
        {"text": {"../x": "x"}},
        {"revision": "1"},
        {"kind": "advert"},
        {"kind": None},
        {"severity": "fatal"},
        {"severity": ["info"]},
        {"not_before": 1},
        {"not_after": "soon"},
        {"not_after": None},
        {"target": "all"},
        {"target": {"platforms": "linux"}},
        {"target": {"platforms": [1]}},
        {"target": {"versions": [">=1"]}},
        {"target": {"languages": ["x" * 65]}},
        {"target": {"languages": ["en"] * 65}},
        {"url": 1},
    ],
)
def test_b10_wrong_type_in_a_message_is_rejected(changes: dict[str, Any]) -> None:
    assert reason(payload(messages=[message(**changes)])) == "bad-payload"


def test_b11_unknown_members_are_ignored_and_newer_formats_named() -> None:
    assert judge(payload(later={"a": [None]}, messages=[message(later=1)])).news
    assert reason(payload(version=2)) == "newer-format"
    assert reason(payload(version=0)) == "newer-format"


def test_b12_sizes_are_bounded() -> None:
    with pytest.raises(WireError) as caught:
        envelope.decode(b" " * (MAX_ENVELOPE + 1))
    assert caught.value.reason == "too-large"
    assert reason(payload(later="x" * MAX_PAYLOAD)) == "too-large"
    assert reason(payload(messages=[message(id=f"m{n}") for n in range(33)])) == "bad-payload"
    assert reason(payload(news="x" * 4001)) == "bad-payload"
    assert judge(payload(news="x" * 4000)).news
    assert (
        len(judge(payload(messages=[message(id=f"m{n}") for n in range(32)])).motd.messages) == 32
    )


def test_b12_a_payload_of_just_the_limit_is_read() -> None:
    fill = MAX_PAYLOAD - len(payload(later=""))
    assert judge(payload(later="x" * fill)).news
    assert reason(payload(later="x" * (fill + 1))) == "too-large"


@pytest.mark.parametrize("thousand", [1_000])
def test_b12_a_thousand_messages_are_rejected(thousand: int) -> None:
    many = [{"id": str(n)} for n in range(thousand)]
    assert reason(payload(messages=many)) == "bad-payload"


def test_b19_two_messages_with_one_id_are_rejected() -> None:
    assert reason(payload(messages=[message(), message()])) == "duplicate-message"
