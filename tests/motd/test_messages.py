"""Messages as people write them: every problem names its file and line."""

from __future__ import annotations

import tomllib
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mars.wire.motd import Motd, decode, encode
from mars.wire.product import Product
from mars_motd.messages import Draft, duplicates, parse_message
from mars_motd.template import message_toml, product_toml
from mars_motd.toml_files import line_of

PRODUCT = Product(
    product="examplemail",
    channel="stable",
    releases=("0.1.0", "0.2.0"),
    platforms=("linux", "windows"),
    languages=("en", "is", "pt"),
    links=("https://example.org/",),
)

GOOD = """\
# A comment first.
revision = 2
kind = "security"
severity = "critical"
not_before = 2026-11-21T00:00:00Z
not_after = "2026-12-21T00:00:00Z"
url = "https://example.org/news"

[target]
platforms = ["windows"]
versions = ">=0.1,<0.1.3"
languages = ["is", "en"]

[title]
en = "Title"
is = "Titill"

[text]
en = \"\"\"
First line.
url = "not an entry"
Second line.
\"\"\"
is = "Texti"
"""


def draft(text: str, name: str = "2026-11-a") -> Draft:
    return parse_message(text.encode(), f"messages/{name}.toml", name, PRODUCT)


def problems(old: str, new: str) -> list[str]:
    assert old in GOOD
    return [str(problem) for problem in draft(GOOD.replace(old, new, 1)).problems]


def test_a_good_file_is_read_completely() -> None:
    found = draft(GOOD)
    assert found.problems == ()
    message = found.message
    assert message is not None
    assert message.id == "2026-11-a"
    assert message.revision == 2
    assert (message.not_before, message.not_after) == (1_795_219_200, 1_797_811_200)
    assert message.target is not None
    assert message.target.versions == ">=0.1,<0.1.3"
    assert message.text["en"] == 'First line.\nurl = "not an entry"\nSecond line.'
    motd = Motd("examplemail", "stable", 1, 1, 1, 2, messages=(message,))
    assert decode(encode(motd)) == motd


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("revision = 2", "revision = 0", 2, "revision must be"),
        ("revision = 2", "revision = true", 2, "revision must be"),
        ('kind = "security"', 'kind = "advert"', 3, "kind must be one of"),
        ('severity = "critical"', "severity = 1", 4, "severity must be one of"),
        ("2026-11-21T00:00:00Z", "2026-11-21", 5, "final Z"),
        ("2026-11-21T00:00:00Z", "2026-11-21T00:00:00", 5, "final Z"),
        ("2026-12-21T00:00:00Z", "2026-11-01T00:00:00Z", 6, "later than not_before"),
        ("2026-12-21T00:00:00Z", "tomorrow", 6, "not_after must be a time"),
        ("https://example.org/news", "http://example.org/news", 7, "url must be"),
        ("https://example.org/news", "javascript:alert(1)", 7, "url must be"),
        ("https://example.org/news", "https://a@example.org/", 7, "url must be"),
        ('"windows"', '"beos"', 10, "'beos' is not in platforms"),
        ("platforms =", "platform =", 10, "unknown entry target.platform"),
        ('platforms = ["windows"]', "platforms = []", 10, "one entry or more"),
        (">=0.1,<0.1.3", ">=0.1,,<0.1.3", 11, "empty clause"),
        (">=0.1,<0.1.3", "0.1", 11, "no version clause"),
        (">=0.1,<0.1.3", "===0.1", 11, "no version clause"),
        (">=0.1,<0.1.3", ",".join([">=0.1"] * 9), 11, "9 clauses; 8 are allowed"),
        ('["is", "en"]', '["xx"]', 12, "'xx' is not in languages"),
        ('en = "Title"', 'xx = "Title"', 15, "'xx' is not in languages"),
        ('en = "Title"', 'pt = "Title"', 14, "title has no 'en'"),
        ('en = "Title"', f'en = "{"x" * 201}"', 15, "201 characters; 200 are allowed"),
        ('en = "Title"', "en = 1", 15, "title.en must be a text"),
        ('en = "Title"', 'en = "a\\u202eb"', 15, "U+202E"),
        ('is = "Texti"', f'is = "{"x" * 4001}"', 24, "4001 characters; 4000 are allowed"),
        ('is = "Texti"', 'is = "a\\u001bb"', 24, "U+001B"),
        ("# A comment first.", "colour = 1", 1, "unknown entry colour"),
        ("# A comment first.", 'id = "no spaces allowed"', 1, "id must be 1-64"),
        ("[title]", "[title", 14, "is not TOML"),
        ("# A comment first.", 'text = "a"', 18, "is not TOML"),
    ],
)
def test_each_problem_names_file_and_line(old: str, new: str, line: int, says: str) -> None:
    found = problems(old, new)
    assert any(
        text.startswith(f"messages/2026-11-a.toml:{line}: ") and says in text for text in found
    ), found


def test_bytes_that_are_not_utf8_are_found_by_line() -> None:
    bad = parse_message(b'kind = "news"\n[title]\nen = "\xff"\n', "a.toml", "a", PRODUCT)
    assert [str(problem) for problem in bad.problems] == ["a.toml:3: is not UTF-8"]


def test_warnings_do_not_keep_a_message_back() -> None:
    found = draft(GOOD.replace(">=0.1,<0.1.3", ">=9").replace('is = "Texti"\n', ""))
    assert found.message is not None
    assert [problem.warning for problem in found.problems] == [True, True]
    assert "warning: " in str(found.problems[0])


@pytest.mark.parametrize(
    ("versions", "says"),
    [
        ("<0.2.0", "<0.2.0 is shown to pre-releases of 0.2.0 too"),
        ("<=0.1.0", "<=0.1.0 does not reach pre-releases of the version with the fix"),
        ("==0.1.*", "==0.1.* does not reach"),
        ("~=0.1.0", "~=0.1.0 does not reach"),
        ("<0.2.0rc1", None),
        ("<0.1.3", None),
        (">=0.1", None),
    ],
)
def test_who_writes_of_a_security_hole_is_told_of_release_candidates(
    versions: str, says: str | None
) -> None:
    text = GOOD.replace(">=0.1,<0.1.3", versions)
    found = draft(text)
    assert found.message is not None
    assert [(says or "") in problem.text and problem.warning for problem in found.problems] == (
        [True] if says else []
    )
    assert draft(text.replace('"security"', '"update"')).problems == ()


def test_b19_two_files_with_one_id_are_found() -> None:
    same = 'id = "x"\n[title]\nen = "T"\n'
    drafts = [("a.toml", draft(same)), ("b.toml", draft(same)), ("c.toml", draft("x"))]
    assert [str(problem) for problem in duplicates(drafts)] == [
        "b.toml:1: has the id 'x' of a.toml"
    ]


def test_lines_are_found_behind_multi_line_texts() -> None:
    names = ("url", "text.en", "text.is", "target.colour", "colour")
    assert [line_of(GOOD, name) for name in names] == [7, 19, 24, 9, 1]
    text = "[a.'b']\n\"c\" = 1\nd.e = '''\nf = 1\n'''\ng=2"
    names = ("a.b", "a.b.c", "a.b.d.e", "a.b.f", "a.b.g")
    assert [line_of(text, name) for name in names] == [1, 2, 3, 1, 6]


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_no_bytes_make_the_reader_raise(data: bytes) -> None:
    found = parse_message(data, "a.toml", "a", PRODUCT)
    assert found.problems or found.message


@given(
    title=st.text(min_size=1, max_size=40),
    text=st.text(max_size=80),
    url=st.text(max_size=30),
    versions=st.text(max_size=20),
)
@settings(max_examples=200, deadline=None)
def test_whatever_options_say_the_template_is_toml_that_says_the_same(
    title: str, text: str, url: str, versions: str
) -> None:
    if any("\ud800" <= c <= "\udfff" for c in title + text + url + versions):
        return
    table = tomllib.loads(message_toml(title, text, url=url, versions=versions))
    assert table["title"]["en"] == title
    assert table["text"]["en"].rstrip("\n") == text.strip("\n").rstrip("\n")
    assert table.get("url", "") == url
    assert table.get("target", {}).get("versions", "") == versions


def test_the_example_product_has_no_problem() -> None:
    from mars_motd import registry
    from mars_motd.folder import Folder

    root = Path(__file__).parents[2] / "motd"
    folder = Folder.at(root)
    content = folder.content()
    assert content.problems == ()
    assert registry.read(folder, date(2026, 12, 1)).problems == ()
    assert {message.kind for message in content.messages} == {"news", "update", "security"}
    assert product_toml("examplemail", "stable").splitlines()[1] == 'product = "examplemail"'
