"""What becomes of a payload on the screen."""

from __future__ import annotations

import pytest

from mars.channels.reading import unseen
from mars.errors import WireError
from mars.wire import motd as motds
from mars.wire.links import is_prefix, link, within
from mars.wire.motd import Message, Motd, Target
from mars.wire.targeting import UNKNOWN, UP_TO_DATE, select, update_status
from mars.wire.times import DAY
from tests.hostile.payloads import NOW, PUBLISHER, judge, message, payload


def shown(
    motd: Motd, version: str = "0.5.2", platform: str = "linux", lang: str = "en"
) -> list[str]:
    return [item.id for item in select(motd, version, platform, [lang], NOW)]


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
    "http://mars" + "a" * 52 + ".onion",
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
    marked = "?" in url or "#" in url
    assert link(url) == url
    (offered,) = select(motd, "1.0", "linux", ["en"], NOW, [url])
    assert offered.url == ("" if marked else url)
    (without,) = select(motd, "1.0", "linux", ["en"], NOW)
    assert without.url == ""


@pytest.mark.parametrize("url", BAD_LINKS)
def test_b14_message_with_an_unsafe_link_is_shown_without_it(url: str) -> None:
    assert link(url) == ""
    assert not is_prefix(url)
    motd = judge(payload(messages=[message(url=url)])).motd
    prefixes = [url, "https://example.org/", "https://"]
    assert select(motd, "1.0", "linux", ["en"], NOW, prefixes)[0].url == ""


PREFIX = "https://example.org/mail/"


@pytest.mark.parametrize(
    "url",
    [
        *("https://example.org", "https://example.org/", "https://example.org/mail"),
        *("https://example.com/mail/x", "https://evil.example.org/mail/x"),
        *("https://example.org.evil.example/mail/", "https://example.org:8443/mail/"),
        *(PREFIX + "?u=1", PREFIX + "x#u1", PREFIX + "x?", PREFIX + "#"),
        *(PREFIX + "../evil", PREFIX + "x/..", PREFIX + "./x", PREFIX + "%2e%2E/evil"),
        *(PREFIX + ".%2e/evil", PREFIX + "x/%2E", "http://example.org/mail/x"),
    ],
)
def test_b14_a_link_that_leads_elsewhere_or_carries_a_mark_is_left_out(url: str) -> None:
    assert within(url, [PREFIX]) == ""
    assert within(PREFIX + "2026/..x/a..b", [PREFIX])


@pytest.mark.parametrize(
    ("prefix", "fits"),
    [
        ("https://example.org/", True),
        ("https://example.org/mail", True),
        ("https://example.org", False),
        ("https://", False),
        ("https://example.org/?a", False),
        ("https://example.org/#a", False),
        ("https://example.org/a/../", False),
        ("http://example.org/", False),
        ("http://2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion/", True),
        ("http://2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion", False),
    ],
)
def test_b14_a_prefix_names_a_host_whole(prefix: str, fits: bool) -> None:
    assert is_prefix(prefix) is fits


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
