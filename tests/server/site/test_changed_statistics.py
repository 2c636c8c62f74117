"""An entry that is declared anew with other values: what was published before stays as it was, and
the pages tell of the new values alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from mars.wire.registry import TYPES
from mars_server.site.charts.answers import is_drawn
from mars_server.site.declared import Declared, statistics
from mars_server.site.language import LANGUAGES, language
from mars_server.site.pages.answers import finding
from mars_server.storage import open_database
from mars_server.tables.statistics import Counts
from mars_server.tables.statistics_week import StatisticsWeek
from tests.server.counting.commands import run_json
from tests.server.publication import kit, reports_kit
from tests.server.site import answers_kit
from tests.server.site.answers_kit import CATALOGUE, ENCRYPTED, PROTOCOL, WEEKS, page, site

FORMS: Mapping[str, tuple[str, Mapping[str, int]]] = {
    "bool": ("", {"true": 80, "false": 60}),
    "enum": ('values = ["left", "right", "other"]', {"left": 70, "right": 50, "other": 20}),
    "fewer": ('values = ["left", "right"]', {"left": 40, "right": 90}),
    "bucket": ("bounds = [1, 10]", {"0": 30, "1-9": 40, "10+": 50}),
    "coarse": ("bounds = [5]", {"0-4": 70, "5+": 60}),
    "version": ("", {"2.4": 71, "2.2": 55}),
}
"""Declarations of each type, and what is counted of them."""
NAMED = {
    "bool": "yes",
    "enum": "left",
    "fewer": "right",
    "bucket": "10 or more",
    "coarse": "5 or more",
}
"""By form a value as people read it."""
PAIRS = [(old, new) for old, new in product(FORMS, repeat=2)]
KINDS = {"fewer": "enum", "coarse": "bucket"}


def declared(which: int) -> str:
    """All pairs, each in its first or its second form."""
    head = reports_kit.METRICS_TOML.partition("\n")[2].partition("\n")[2].partition("type =")[0]
    parts = []
    for pair in PAIRS:
        form = pair[which]
        parts.append(f"[mail.{pair[0]}_to_{pair[1]}]\n{head}expires = 2031-01-01\n")
        parts.append(f'type = "{KINDS.get(form, form)}"\n{FORMS[form][0]}\n')
    return "".join(parts)


def counted(which: int) -> Counts:
    return {f"mail/{a}_to_{b}": {"0.5.2": FORMS[(a, b)[which]][1]} for a, b in PAIRS}


def test_publish_goes_on_after_a_change_from_any_type_to_any(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert {KINDS.get(form, form) for form in FORMS} == set(TYPES)
    (tmp_path / "product.toml").write_text(kit.PRODUCT_TOML)
    url, out = f"sqlite:///{tmp_path}/counts.db", tmp_path / "site"
    engine = open_database(url)
    base = ("--product", str(tmp_path / "product.toml"), "--db", url, "--out", str(out))
    options = ("--chart-cache", str(kit.chart_cache(tmp_path_factory)))
    runs = ((0, range(1), "01-14"), (1, range(1, 2), "01-21"), (1, range(2, 4), "02-04"))
    for which, weeks, day in runs:
        (tmp_path / "metrics.toml").write_text(declared(which))
        for n in weeks:
            reports_kit.count(engine, kit.week(n), counted(which))
        told = run_json("publish", *base, *options, "--now", f"2026-{day}T00:00:00Z")
        assert told["new_statistics_weeks"] == len(weeks)
    text = (out / "statistics/mail/index.html").read_text()
    for old, new in PAIRS:
        section = text.partition(f'id="{old}_to_{new}"')[2].partition("</section>")[0]
        changed = old != new
        assert ("had other values" in section) == changed, (old, new)
        if new in NAMED:
            assert f"{NAMED[new]}</th>" in section, (old, new)


@pytest.mark.parametrize("code", LANGUAGES)
@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("value", ["true", "a", "3.11", "1-9", "10+", "other", "+", "-", "²+", ""])
def test_a_value_that_no_report_of_a_type_says_is_shown_as_it_is(
    code: str, kind: str, value: str
) -> None:
    """A document is shown for ever, whatever stands in it."""
    told = language(code).answer(kind, value)
    assert told or not value
    if kind == "bucket" and not re.match(r"[0-9]+([-+]|$)", value) and value != "other":
        assert told == value


def changed_weeks() -> list[StatisticsWeek]:
    """Six weeks in which the protocol was asked for with these values, and then yes or no."""
    weeks = answers_kit.weekly(WEEKS[:6])
    asked = replace(ENCRYPTED, key="protocol", rate=0.25, epsilon=0.0)
    return [
        *weeks[:3],
        *(
            replace(
                week,
                entries=tuple(
                    answers_kit.entry(asked, each.period, {"false": 90, "true": 200 + 9 * n})
                    if each.name == PROTOCOL.name
                    else each
                    for each in week.entries
                ),
            )
            for n, week in enumerate(weeks[3:])
        ),
    ]


def the_entry(weeks: list[StatisticsWeek]) -> Declared:
    found = statistics(None, weeks, []).entry("examplemail", "protocol")
    assert found is not None
    return found


def test_history_chart_and_sentences_begin_anew() -> None:
    entry = the_entry(changed_weeks())
    assert [period.name for period in entry.periods] == WEEKS[3:6]
    assert entry.changed == WEEKS[2]
    assert "imap" not in finding(entry, language("en"))
    assert is_drawn(entry)
    text = page(site(changed_weeks(), None), "statistics/examplemail/index.html")
    assert f"Until {WEEKS[2]} it had other values." in text
    section = text.partition('id="protocol"')[2].partition("</section>")[0]
    assert "imap" not in section
    assert f'row">{WEEKS[2]}<' not in section


def test_a_change_of_texts_or_rate_changes_no_question() -> None:
    weeks = answers_kit.weekly(WEEKS[:4])
    said = replace(CATALOGUE, metrics=(replace(PROTOCOL, label="Other words", rate=0.5),))
    found = statistics(said, weeks, []).entry("examplemail", "protocol")
    assert found is not None
    assert (len(found.periods), found.changed) == (4, "")


def test_before_the_new_values_are_published_the_files_are_still_named() -> None:
    catalogue = replace(CATALOGUE, metrics=(replace(PROTOCOL, values=("imap", "other")),))
    weeks = answers_kit.weekly(WEEKS[:4])
    found = statistics(catalogue, weeks, []).entry("examplemail", "protocol")
    assert found is not None
    assert (found.periods, found.changed, found.waiting) == ((), WEEKS[3], "")
    text = page(site(weeks, catalogue), "statistics/examplemail/index.html")
    assert "Nothing is published of this yet. Until" not in text
    assert f"Until {WEEKS[3]} it had other values." in text
    assert "figures.csv" in text
