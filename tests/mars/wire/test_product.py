"""product.toml, the allow-lists made from it, and the request that they lead to."""

from __future__ import annotations

import pytest

from mars.errors import ConfigError
from mars.wire.product import Policy, Product, parse_product
from mars.wire.query import AllowList, encode
from mars.wire.request import request_bytes, target
from mars.wire.url import is_onion_host, is_onion_server
from mars.wire.variables import NAMES, OTHER, python_value

ONION = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion"
GOOD = f"""
product = "examplemail"
channel = "stable"
releases = ["0.5.1", "0.5.2"]
platforms = ["linux", "windows", "macos"]
languages = ["en", "is"]
servers = ["http://{ONION}"]
links = ["https://example.org/", "http://{ONION}/news/"]
[statistics]
releases = ["0.5.2"]
[reports]
releases = ["0.5.1"]
[policy]
threshold = 2
openpgp = "required"
[motd]
lifetime_days = 30
reportback_next = 604800
"""


@pytest.mark.parametrize(("root", "due"), [("", 2), ("root_threshold = 3\n", 3)])
def test_root_may_have_a_threshold_of_its_own_and_programs_sign_alone(root: str, due: int) -> None:
    text = GOOD.replace("threshold = 2\n", f"threshold = 2\n{root}")
    policy = parse_product(text.encode()).policy
    found = {role: policy.threshold_of(role) for role in ("root", "motd", "release", "status")}
    assert found == {"root": due, "motd": 2, "release": 2, "status": 1}


def test_product_is_read() -> None:
    assert parse_product(GOOD.encode()) == Product(
        product="examplemail",
        channel="stable",
        releases=("0.5.1", "0.5.2"),
        platforms=("linux", "windows", "macos"),
        languages=("en", "is"),
        servers=(f"http://{ONION}",),
        policy=Policy(threshold=2, openpgp="required"),
        lifetime_days=30,
        reportback_next=604_800,
        links=("https://example.org/", f"http://{ONION}/news/"),
        statistics_releases=("0.5.2",),
        reports_releases=("0.5.1",),
    )


def test_product_needs_little() -> None:
    product = parse_product(b'product = "a"\nchannel = "b"\n')
    assert product.policy == Policy(1, "when-available")
    assert product.lifetime_days == 45
    assert product.crowd == 0


@pytest.mark.parametrize("crowd", [0, 100, 1000, 1_000_000_000])
def test_a_crowd_is_none_or_a_power_of_ten(crowd: int) -> None:
    assert parse_product(f"crowd = {crowd}\n{GOOD}".encode()).crowd == crowd


@pytest.mark.parametrize(
    "wrong", ["1", "10", "150", "-100", "true", '"100"', "1e2", "2000", "10000000000"]
)
def test_any_other_crowd_is_refused(wrong: str) -> None:
    with pytest.raises(ConfigError, match="crowd must be"):
        parse_product(f"crowd = {wrong}\n{GOOD}".encode())


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("product =", "produkt =", "produkt"),
        ('"examplemail"', '"Example Mail"', "product"),
        ('"examplemail"', "1", "product"),
        ('"0.5.2"', '"v0.5.2"', "v0.5.2"),
        ('"0.5.2"', '"0.5.1"', "twice"),
        ('"0.5.2"', "0.5", "texts"),
        ('["en", "is"]', '"en"', "texts"),
        ('"is"', '"is_IS"', "is_IS"),
        ('"macos"', '"amiga"', "amiga"),
        (f"http://{ONION}", "https://example.org", "https://example.org"),
        ("https://example.org/", "https://example.org", "beginnings of URLs"),
        ("https://example.org/", "https://example.org/?", "https://example.org/?"),
        ("https://example.org/", "https://example.org/a/../", "https://example.org/a/../"),
        ("https://example.org/", "http://example.org/", "http://example.org/"),
        ('[statistics]\nreleases = ["0.5.2"]', '[statistics]\nreleases = ["next"]', "next"),
        ('releases = ["0.5.1"]\n[policy]', 'versions = ["0.5.1"]\n[policy]', "versions"),
        ("threshold = 2", "threshold = 0", "policy.threshold"),
        ("threshold = 2", "threshold = true", "threshold"),
        ("threshold = 2", "root_threshold = 8", "policy.root_threshold"),
        ("threshold = 2", "treshold = 2", "treshold"),
        ('"required"', '"always"', "openpgp"),
        ("lifetime_days = 30", "lifetime_days = 61", "lifetime_days"),
        ("[policy]", "[[policy]]", "policy"),
        ("[policy]", "[policy", "TOML"),
    ],
)
def test_a_mistake_is_named_with_its_place(old: str, new: str, said: str) -> None:
    assert old in GOOD
    with pytest.raises(ConfigError) as caught:
        parse_product(GOOD.replace(old, new).encode(), "motd/product.toml")
    assert caught.value.reason == "product-invalid"
    assert caught.value.message.startswith("motd/product.toml: ")
    assert said in caught.value.message or said.partition(".")[2] in caught.value.message


def test_product_must_be_utf8() -> None:
    with pytest.raises(ConfigError, match="UTF-8"):
        parse_product(b'product = "\xff"')


ALLOWED = AllowList.of(parse_product(GOOD.encode()))


@pytest.mark.parametrize(
    ("query", "due"),
    [
        ("v=0.5.2&os=linux&ia=100", {"v": "0.5.2", "os": "linux", "ia": "100"}),
        ("ia=1&v=dev&os=other", {"v": "dev", "os": "other", "ia": "1"}),
        ("v=0.5.3&os=amiga&ia=2", {"v": OTHER, "os": OTHER, "ia": OTHER}),
        ("lang=is&py=3.11&cc=IS", {"lang": "is", "py": "3.11", "cc": "IS"}),
        ("lang=fr&py=2.7&cc=is", {"lang": OTHER, "py": OTHER, "cc": OTHER}),
        ("v=0.5.2&v=0.5.2", {"v": OTHER}),
        ("v", {"v": OTHER}),
        ("x=1&=2&&", {}),
        ("", {}),
    ],
)
def test_query_is_read_by_the_allow_list(query: str, due: dict[str, str]) -> None:
    assert ALLOWED.read(query) == due
    assert list(ALLOWED.read(query)) == [name for name in NAMES if name in due]


def test_canonical_query_is_what_the_log_holds() -> None:
    assert ALLOWED.canonical("") == ""
    assert ALLOWED.canonical("ia=10&v=0.5.2") == "?v=0.5.2&ia=10"
    assert ALLOWED.canonical("name=jane") == "?other"
    assert encode({"os": "linux", "v": "1.0"}) == "v=1.0&os=linux"


def test_unknown_variable_admits_nothing() -> None:
    assert not ALLOWED.admits("name", "jane")


@pytest.mark.parametrize("text", ["3.0", "3.9", "3.99"])
def test_python_versions(text: str) -> None:
    assert python_value(text) == text


@pytest.mark.parametrize("text", ["3", "3.00", "3.01", "3.100", "4.0", "3.1 ", "3.١"])
def test_other_python_versions(text: str) -> None:
    assert python_value(text) is None


def test_onion_addresses_need_their_checksum() -> None:
    assert is_onion_host(ONION)
    assert is_onion_server(f"https://{ONION}")
    for wrong in (ONION.replace("2g", "3g"), ONION.upper(), ONION[1:], "example.org", ""):
        assert not is_onion_host(wrong)
        assert not is_onion_server(f"http://{wrong}")
    assert not is_onion_server(f"ftp://{ONION}")


def test_request_bytes_name_nobody() -> None:
    assert target("") == "/motd/motd.json"
    assert request_bytes("h", "v=1.0") == (
        b"GET /motd/motd.json?v=1.0 HTTP/1.1\r\nHost: h\r\nUser-Agent: mars/1\r\n"
        b"Accept: */*\r\nAccept-Encoding: identity\r\nConnection: close\r\n\r\n"
    )
