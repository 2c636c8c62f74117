"""Languages, versions, updates: what a person gets to see of one document."""

from __future__ import annotations

import pytest

from mars.testing.publisher import EXAMPLE_NOW, Publisher
from mars.wire.motd import Message, Target
from mars.wire.targeting import (
    SECURITY_UPDATE,
    UNKNOWN,
    UP_TO_DATE,
    UPDATE,
    clean,
    is_newer,
    matches,
    preferences,
    select,
    translate,
    update_status,
    version_matches,
)

NOW = EXAMPLE_NOW
PUBLISHER = Publisher(seeds=[b"t" * 32])


@pytest.mark.parametrize(
    ("languages", "due"),
    [
        (["is_IS", "en"], ["is-is", "is", "en"]),
        (["is_IS.UTF-8@euro"], ["is-is", "is"]),
        (["pt-BR", "pt_PT", "pt"], ["pt-br", "pt", "pt-pt"]),
        ([], []),
        ([""], []),
        (["C"], ["c"]),
        (["zh-Hant-TW"], ["zh-hant-tw", "zh-hant", "zh-tw", "zh-hk", "zh"]),
        (["zh_HK.UTF-8"], ["zh-hk", "zh-hant", "zh-tw", "zh"]),
        (["zh-Hans-CN"], ["zh-hans-cn", "zh-hans", "zh"]),
        (["sr_RS.UTF-8@latin"], ["sr-latn-rs", "sr-latn", "sr"]),
    ],
)
def test_preferences_fall_back_to_the_primary_subtag(languages: list[str], due: list[str]) -> None:
    assert preferences(languages) == due


@pytest.mark.parametrize(
    ("languages", "due"),
    [
        (["is_IS"], ("is", "Halló")),
        (["pt_BR"], ("pt_BR", "Oi")),
        (["pt_PT"], ("en", "Hello")),
        (["tlh", "is"], ("is", "Halló")),
        (["tlh"], ("en", "Hello")),
        ([], ("en", "Hello")),
    ],
)
def test_translation_is_the_most_wanted_one(languages: list[str], due: tuple[str, str]) -> None:
    texts = {"is": "Halló", "en": "Hello", "pt_BR": "Oi"}
    assert translate(texts, preferences(languages)) == due


@pytest.mark.parametrize(
    ("language", "texts", "due"),
    [
        ("zh-Hant-TW", ("zh", "en"), "en"),
        ("zh-Hant-TW", ("zh", "zh-Hant", "en"), "zh-Hant"),
        ("zh_TW", ("zh_CN", "zh_TW", "en"), "zh_TW"),
        ("zh_TW", ("zh", "zh-Hant", "en"), "zh-Hant"),
        ("zh_HK", ("zh", "zh_TW", "en"), "zh_TW"),
        ("zh_CN", ("zh", "zh-Hant", "en"), "zh"),
        ("zh-Hans-SG", ("zh-Hans", "zh-Hant", "en"), "zh-Hans"),
        ("sr_RS@latin", ("sr", "en"), "en"),
        ("sr-Latn-RS", ("sr", "sr-Latn", "en"), "sr-Latn"),
        ("sr_RS", ("sr", "sr-Latn", "en"), "sr"),
        ("sr-Cyrl-RS", ("sr", "en"), "sr"),
        ("ca_ES@valencia", ("ca", "en"), "ca"),
    ],
)
def test_a_reader_of_one_script_is_not_shown_another(
    language: str, texts: tuple[str, ...], due: str
) -> None:
    assert translate({name: name for name in texts}, preferences([language]))[0] == due


def test_a_message_for_a_language_is_for_all_its_scripts() -> None:
    target = Target(languages=("zh",))
    assert matches(target, "1.0", "linux", preferences(["zh-Hant-TW"]))


def test_without_english_the_first_text_is_shown_and_without_any_nothing() -> None:
    assert translate({"is": "Halló", "de": "Hallo"}, ["fr"]) == ("is", "Halló")
    assert translate({}, ["fr"]) == ("", "")


def test_two_spellings_of_one_language_give_the_first() -> None:
    assert translate({"pt_BR": "first", "pt-br": "second"}, ["pt-br"]) == ("pt_BR", "first")


@pytest.mark.parametrize(
    ("specifier", "version", "due"),
    [
        (">=0.1,<0.1.3", "0.1.2", True),
        (">=0.1,<0.1.3", "0.1.3", False),
        (">=0.1, <0.1.3", "0.1", True),
        ("==0.5.*", "0.5.9", True),
        ("~=0.5.1", "0.5.9", True),
        ("~=0.5.1", "0.6", False),
        ("!=0.5", "0.5.0", False),
        ("<0.10", "0.9", True),
        (">=1.0", "1.1.dev5+g0123abc", True),
        (">=0.1", "dev", False),
        (">=0.1", "", False),
        (">=0.1", "9" * 5000, False),
        ("<1.2", "1.2rc1", True),
        ("<1.2rc1", "1.2rc1", False),
        ("<1.2", "1.2+debian1", False),
        (">1.2", "1.2+debian1", False),
        (">1.2", "1.2.post1", True),
        ("<1.2", "1.1-SNAPSHOT", False),
    ],
)
def test_versions_compare_as_in_pep_440(specifier: str, version: str, due: bool) -> None:
    assert version_matches(specifier, version) is due


@pytest.mark.parametrize(
    ("specifier", "told", "hidden"),
    [
        (
            "<1.2",
            "1.1 1.2rc1 1.2.dev3 1.2.0-beta.1 1.1-SNAPSHOT 1.2-SNAPSHOT v1.1 1.1~beta2 1.1+deb1 "
            "1.1.x-nightly dev custom r1234 20261129123456-git " + "9" * 5000,
            "1.2 1.2.0 1.2+deb1 1.2.post1 1.3.dev1 1.3rc1 1.3-SNAPSHOT 1.2.1~x 2026.1a",
        ),
        ("<2026.1", "2026.1a 2025.12b 2026.1-x", "2026.1 2026.2a"),
        (">=1.2,<1.3", "1.2rc1 1.2-SNAPSHOT 1.2.5~x 1.3rc1", "1.1 1.1-SNAPSHOT 1.1.9rc1 1.3"),
        ("==1.2", "1.2 1.2rc1 1.2~x 1.2+deb1", "1.1 1.2.post1 1.3~x"),
        ("==1.2.3.*", "1.2.3.1 1.2.3rc1 1.2.x-nightly dev", "1.2.4 1.1-x"),
        ("!=1.2.*", "1.1-SNAPSHOT 1.3 dev", "1.2rc1 1.2~x"),
        (">1.2", "1.2.post1 1.2.1-x 1.2-1.x", "1.2 1.2+deb1 1.1-x 1.2rc1"),
        ("<=1.1", "1.1-SNAPSHOT 1.1rc1", "1.2rc1 1.1.post1"),
        ("<1.2,,", "", "1.1 1.1-SNAPSHOT dev"),
        ("==1.*.*", "", "1.1 dev"),
    ],
)
def test_security_news_reach_what_cannot_be_told_to_be_outside(
    specifier: str, told: str, hidden: str
) -> None:
    message = Message(id="m", title={"en": "x"}, kind="security", target=Target(versions=specifier))
    motd = PUBLISHER.motd(messages=(message,))
    for version in told.split():
        assert select(motd, version, "linux", ["en"], NOW), version
    for version in hidden.split():
        assert not select(motd, version, "linux", ["en"], NOW), version


@pytest.mark.parametrize(
    ("newest", "version", "due"),
    [
        ("0.5.2", "0.5.1", True),
        ("0.10.0", "0.9.9", True),
        ("0.5.2", "0.5.2", False),
        ("0.5.2", "0.5.2.dev3", True),
        ("0.5.2", "0.6", False),
        ("0.5.2", "custom build", None),
        ("0.5.2", "9" * 5000, None),
        ("1.2", "1.2rc1", True),
        ("1.2", "1.2+debian1", False),
        ("1.2", "1.1-SNAPSHOT", True),
        ("1.2", "1.3-SNAPSHOT", False),
        ("1.2", "1.2-SNAPSHOT", None),
        ("", "0.5", None),
    ],
)
def test_real_version_ordering(newest: str, version: str, due: bool | None) -> None:
    assert is_newer(newest, version) is due


def test_update_status_says_which_update() -> None:
    fix = Message(id="fix", title={"en": "x"}, kind="security", target=Target(versions="<0.5.2"))
    motd = PUBLISHER.motd(newest_version="0.6", messages=(fix,))
    status = [update_status(motd, v, "linux", ["en"], NOW) for v in ("0.5.1", "0.5.2", "0.6", "x")]
    assert status == [SECURITY_UPDATE, UPDATE, UP_TO_DATE, UNKNOWN]


def test_language_of_a_message_without_text() -> None:
    motd = PUBLISHER.motd(messages=(Message(id="m", title={"is": "Titill"}),))
    (shown,) = select(motd, "1.0", "linux", ["is_IS"], NOW)
    assert (shown.title, shown.text, shown.language, shown.url) == ("Titill", "", "is", "")


def test_printable_text_is_left_alone() -> None:
    assert clean("Útgáfa 0.5.2 er komin — 新しい") == "Útgáfa 0.5.2 er komin — 新しい"
    assert clean("no\u00a0break") == "no\u00a0break"
