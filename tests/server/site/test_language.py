"""Every text of the interface exists in every language, and numbers look as people write them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir

import mars_server.site
from mars.wire.variables import VARIABLES, Variable
from mars_server.site.language import LANGUAGES, NAMES, SOURCE, folded, language
from mars_server.site.pages.render import TITLES
from mars_server.tables.floor import NO_DATA, floor, shares

FOLDER = Path(mars_server.site.__file__).parent
TRANSLATED = [code for code in LANGUAGES if code != SOURCE]
PLACE = re.compile(r"%\([a-z]+\)s|%%")


def texts() -> set[str]:
    """All texts in code and templates."""
    found = extract_from_dir(
        str(FOLDER),
        method_map=[("**.py", "python"), ("**/templates/**.html", "jinja2.ext:babel_extract")],
        options_map={"**/templates/**.html": {"newstyle_gettext": "true"}},
        keywords={"_": None, "gettext": None, "N_": None},
    )
    declared = {text for one in VARIABLES for text in (one.title, one.meaning, *_names(one))}
    return declared | {str(message) for _, _, message, _, _ in found}


def _names(variable: Variable) -> set[str]:
    """Those of its values; a name such as Linux is one in every language."""
    named = [*variable.names.items(), *variable.folded_names.items()]
    return {name for value, name in named if name.casefold() != value}


@pytest.mark.parametrize("code", TRANSLATED)
def test_the_catalogue_holds_every_text_and_no_other(code: str) -> None:
    assert set(language(code).texts) == texts()


@pytest.mark.parametrize("code", TRANSLATED)
def test_translations_keep_their_placeholders(code: str) -> None:
    for source, translation in language(code).texts.items():
        assert translation
        assert sorted(PLACE.findall(source)) == sorted(PLACE.findall(translation)), source


def test_numbers_and_days_are_written_as_in_the_language() -> None:
    english, german = language("en"), language("de")
    assert english.count(floor(12_345)) == "12,340"
    assert german.count(floor(12_345)) == "12.340"
    assert german.count(NO_DATA) == "keine Daten"
    assert german.count(floor(9)) == english.count(floor(9)) == "<10"
    assert [german.percent(each) for each in shares([floor(10), floor(9999), floor(3)])] == [
        "<1\xa0%",
        "100\xa0%",
        "–",
    ]
    assert english.days("2026-W01") == "29 Dec 2025 – 4 Jan 2026"
    assert german.days("2026-W12") == "16. März – 22. März 2026"


def test_values_have_names() -> None:
    assert language("de").name("lang", "is") == "Isländisch (is)"
    assert language("en").name("cc", "IS") == "Iceland (IS)"
    assert language("en").name("v", "0.5.2") == "0.5.2"
    assert language("de").name("os", "other") == "andere"
    assert set(NAMES) <= set(TITLES)
    assert language("en").name("ia", "10") == "4–31 days"
    assert language("en").name("ia", folded("10")) == "up to a month"
    assert language("de").name("ia", folded("100")) == "länger"


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(KeyError):
        language("../de")
