"""HOSTILE B: what may stand in a payload, and what becomes of it on the screen."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mars.errors import MarsError, TrustError, WireError
from mars.reading import unseen
from mars.testing.openpgp import MemoryOpenPGP
from mars.testing.publisher import EXAMPLE_NOW, Publisher
from mars.trust import TrustState, verify
from mars.trust.rules import Accepted
from mars.wire import envelope, strictjson
from mars.wire import motd as motds
from mars.wire.envelope import MAX_ENVELOPE, MAX_PAYLOAD
from mars.wire.motd import Message, Motd, Target
from mars.wire.targeting import UNKNOWN, UP_TO_DATE, clean, link, select, update_status
from mars.wire.times import DAY

NOW = EXAMPLE_NOW
PUBLISHER = Publisher(seeds=[b"b" * 32])
ROOT = PUBLISHER.trust()
ONION = "http://mars" + "a" * 52 + ".onion"


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


def literal(member: str, text: str) -> bytes:
    """The payload with ``text`` as the value of ``member``, whatever it is."""
    return payload(**{member: "@@"}).replace(b'"@@"', text.encode())


def shown(
    motd: Motd, version: str = "0.5.2", platform: str = "linux", lang: str = "en"
) -> list[str]:
    return [item.id for item in select(motd, version, platform, [lang], NOW)]


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
    assert clean(motd.news, newlines=True) == "ab\nc"


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


@pytest.mark.parametrize(
    "text",
    ["<script>alert(1)</script>", "%s%n", "{0.__class__}", "{{7*7}}", "$(id)", "`id`", "\\x1b[2J"],
)
def test_b13_texts_are_data(text: str) -> None:
    motd = judge(payload(messages=[message(title={"en": text}, text={"en": text})])).motd
    (item,) = select(motd, "1.0", "linux", ["en"], NOW)
    assert (item.title, item.text) == (text, text)


def test_b13_terminal_escapes_lose_their_escape_character() -> None:
    motd = judge(payload(messages=[message(title={"en": "\x1b[31mred\x9b2J"})])).motd
    assert select(motd, "1.0", "linux", ["en"], NOW)[0].title == "[31mred2J"


GOOD_LINKS = (
    "https://example.org",
    "https://example.org/",
    "https://www.example.org:8443/a/b?c=d&e=%20#f",
    "https://example.org?x=1",
    "http://" + "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion/news",
    "https://" + "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion/",
)
BAD_LINKS = (
    "",
    "javascript:alert(1)",
    "file:///etc/passwd",
    "data:text/html,x",
    "//example.org/",
    "https://user@example.org/",
    "https://user:pass@example.org/",
    "https://exаmple.org/",
    "https://xn--exmple-4nf.org/",
    "https://example.org/\r\nX: y",
    "https://example.org/a b",
    "https://example.org/\u202e",
    'https://example.org/"onclick="x',
    "https://example.org/<x>",
    "https://example.org\\@evil.org/",
    "http://example.org/",
    "http://" + "a" * 56 + ".onion/",
    ONION,
    "HTTPS://example.org/",
    "https://localhost/",
    "https://127.0.0.1/",
    "https://[::1]/",
    "https://example.org:/",
    "https://-example.org/",
    "https://example.org./",
    " https://example.org/",
    "https://example.org/" + "a" * 2000,
    "ftp://example.org/",
)


@pytest.mark.parametrize("url", GOOD_LINKS)
def test_b14_safe_links_are_offered(url: str) -> None:
    motd = judge(payload(messages=[message(url=url)])).motd
    assert select(motd, "1.0", "linux", ["en"], NOW)[0].url == url


@pytest.mark.parametrize("url", BAD_LINKS)
def test_b14_message_with_an_unsafe_link_is_shown_without_it(url: str) -> None:
    assert link(url) == ""
    motd = judge(payload(messages=[message(url=url)])).motd
    assert select(motd, "1.0", "linux", ["en"], NOW)[0].url == ""


@pytest.mark.parametrize(
    "newest", ["", "9999999.0", "1.0; rm -rf", "1" * 10_000, "1", "v2.0", "2.0-1", "٢.0", "2.0\n"]
)
def test_b15_newest_version_outside_the_grammar_gives_no_notice(newest: str) -> None:
    motd = judge(payload(newest_version=newest)).motd
    assert update_status(motd, "1.0", "linux", ["en"], NOW) == UNKNOWN


@pytest.mark.parametrize("installed", ["0.5.2", "0.5.3", "0.10.0", "1.0", "0.5.2.post1"])
def test_b15_lower_or_equal_version_is_no_update(installed: str) -> None:
    motd = judge(payload(newest_version="0.5.2")).motd
    assert update_status(motd, installed, "linux", ["en"], NOW) == UP_TO_DATE


@pytest.mark.parametrize(
    "specifier",
    [
        *(
            ">=1.0,,<",
            "~=1",
            "",
            ",",
            ">=",
            "1.0",
            "=>1.0",
            ">=1.0;",
            "(a+)+$",
            "===1.0",
            ">=1 or x",
        ),
        *(",".join([">=0.1"] * 9), ",".join([">=0.1"] * 500), ">=" + "1." * 100, "==1.*.*"),
    ],
)
def test_b16_garbage_specifier_matches_nobody_and_the_rest_stands(specifier: str) -> None:
    target = {"versions": specifier}
    motd = judge(payload(messages=[message(id="a", target=target), message(id="b")])).motd
    assert shown(motd) == ["b"]


def test_b16_eight_clauses_are_read() -> None:
    motd = judge(payload(messages=[message(target={"versions": ",".join([">=0.1"] * 8)})])).motd
    assert shown(motd) == ["m"]


def test_b17_unknown_key_in_target_matches_nobody() -> None:
    targets = ({"color": "red"}, {"platforms": ["linux"], "cpu": ["arm64"]})
    for target in targets:
        motd = judge(payload(messages=[message(id="a", target=target), message(id="b")])).motd
        assert shown(motd) == ["b"]


def test_b17_a_target_that_was_not_understood_is_not_written_again() -> None:
    motd = judge(payload(messages=[message(target={"color": "red"})])).motd
    with pytest.raises(WireError) as caught:
        motds.encode(motd)
    assert caught.value.reason == "bad-payload"


def test_b18_targets_are_evaluated_here_on_bytes_that_are_the_same_for_all() -> None:
    targets = [
        Target(platforms=("windows",)),
        Target(versions=">=0.1,<0.5"),
        Target(languages=("is",)),
        Target(platforms=("linux",), versions="==0.5.*", languages=("en", "de")),
        None,
    ]
    items = tuple(
        Message(id=str(n), title={"en": "x"}, target=target) for n, target in enumerate(targets)
    )
    data = motds.encode(PUBLISHER.motd(messages=items))
    motd = judge(data).motd
    assert shown(motd, "0.5.2", "linux", "en") == ["3", "4"]
    assert shown(motd, "0.4", "windows", "is_IS") == ["0", "1", "2", "4"]
    assert shown(motd, "dev", "other", "fr") == ["4"]


def test_b19_two_messages_with_one_id_are_rejected() -> None:
    assert reason(payload(messages=[message(), message()])) == "duplicate-message"


def test_b20_a_message_is_shown_again_only_when_its_revision_grew() -> None:
    def reading(revision: int) -> Motd:
        return judge(payload(messages=[message(revision=revision)])).motd

    def left(revision: int, seen: dict[str, int]) -> int:
        items = tuple(select(reading(revision), "1.0", "linux", ["en"], NOW))
        return len(unseen(items, seen))

    assert left(1, {}) == 1
    assert left(1, {"m": 1}) == 0
    assert left(2, {"m": 1}) == 1
    assert left(1, {"m": 2}) == 0
    assert left(1, {"other": 9}) == 1


def test_dates_of_a_message_are_a_half_open_interval() -> None:
    item = Message(id="m", title={"en": "x"}, not_before=NOW, not_after=NOW + DAY)
    motd = judge(motds.encode(PUBLISHER.motd(messages=(item,)))).motd
    at = [
        len(select(motd, "1.0", "linux", ["en"], NOW + offset)) for offset in (-1, 0, DAY - 1, DAY)
    ]
    assert at == [0, 1, 1, 0]
