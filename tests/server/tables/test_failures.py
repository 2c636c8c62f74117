"""What is published of error events: figures that hold the truth, under the rules of statistics."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from mars.errors import WireError
from mars.wire.catalogue import Catalogue
from mars.wire.events import FAILED_SHARE, SHARES, Domain
from mars_server.tables.compose import FloorRules
from mars_server.tables.failing import failing, of_release, spared
from mars_server.tables.floor import floor
from mars_server.tables.noise import CELLS_PER_REPORT, Noise
from mars_server.tables.shares import Sampling
from mars_server.tables.statistics import Known, Reports, compose, step
from mars_server.tables.statistics_files import series_csv, series_json, week_csv
from mars_server.tables.statistics_week import (
    Entry,
    Release,
    Share,
    StatisticsWeek,
    Terms,
    Value,
    decode,
    encode,
)
from tests.server.tables import failed
from tests.server.tables.failed import DOMAIN, PRODUCT, RELEASES, WEEKS
from tests.server.tables.reports_attack import BOOL
from tests.server.tables.test_statistics_noise import NOISE, Recorder, Watched

METHOD = Path(__file__).parents[3] / "docs/method.md"
POOL = 8
"""Machines of each kind; the bench has more."""
CAUSE = next(each for each in DOMAIN.entries if each.key == "damaged")
SHARE = next(each for each in DOMAIN.entries if each.key == FAILED_SHARE)
DIMENSION = next(each for each in DOMAIN.entries if each.key == "key_missing.device")


def counted(entry: str, values: dict[str, int], release: str = "0.5.2") -> Reports:
    return Reports({entry: {release: values}})


def of(weeks: list[StatisticsWeek], name: str) -> list[Entry]:
    return [entry for week in weeks if (entry := week.entry(name)) is not None]


# --- Numbers that are right ---


@pytest.mark.parametrize("noise", [None, Noise(bytes(32), 3.0)], ids=["plain", "noisy"])
def test_the_published_shares_hold_the_truth(noise: Noise | None) -> None:
    """A slice; ``make bench ARGS=shares`` runs all of it. Each row: in how many weeks, of
    populations with known rates of failure."""
    found = failed.measured(4, weeks=9, pool=POOL, noise=noise)
    buckets = {each.bucket for each in found}
    assert {f"failed_share: {value}" for value in SHARES} < buckets
    assert failed.MET in buckets
    for each in found:
        assert each.fine, each


def test_the_page_tells_how_it_was_measured() -> None:
    table = METHOD.read_text("utf-8").split("<!-- failures: ")[1].split("<!-- end of failures")[0]
    rows = re.findall(r"^\| [0-9,]+ \| .* \| ([0-9.]+) % \|.*\|$", table, re.MULTILINE)
    assert len(rows) == 21
    assert all(float(each) >= 95 for each in rows)


def test_intervals_that_are_too_narrow_would_be_seen() -> None:
    found = failed.measured(2, weeks=9, pool=POOL, narrowed=0.4)
    assert not all(each.fine for each in found)


@pytest.mark.parametrize("entry", DOMAIN.entries, ids=lambda entry: entry.key)
def test_every_entry_knows_what_tells_of_no_failure(entry: object) -> None:
    one = next(each for each in DOMAIN.entries if each is entry)
    assert set(spared(one)) < set(one.values_known)
    assert spared(BOOL) == ()


def share_of(zero: int, others: int) -> Share | None:
    total = floor(zero + others)
    values = [floor(zero), floor(others), *[floor(0)] * 3]
    shares = Sampling(CAUSE.rate).shares(values, total)
    rows = zip(CAUSE.values_known, values, shares, strict=True)
    return failing(CAUSE, [Value(*each) for each in rows], total)


def test_who_met_a_failure_is_what_none_leaves() -> None:
    found = share_of(900, 100)
    assert found is not None
    assert (found.percent, found.low < 10 < found.high) == (10, True)
    hidden = share_of(201, 4)
    assert hidden is not None
    assert (hidden.percent, hidden.low) == (None, 0), "it may be that nobody did"
    assert share_of(4, 3) is None, "nothing to divide by"
    all_of_them = share_of(0, 500)
    assert all_of_them is not None
    assert (all_of_them.percent, all_of_them.high) == (99, 100)


def test_shares_of_a_release_are_those_of_its_published_numbers() -> None:
    rows = tuple(Value(value, floor(20 * n)) for n, value in enumerate(CAUSE.values_known))
    release = Release("0.5.2", floor(200), rows)
    told = of_release(CAUSE, 1, 0.0, release)
    shares = Sampling(CAUSE.rate, 1, 0.0, 5).shares([row.count for row in rows], release.total)
    assert [row.share for row in told] == shares
    noisy = of_release(CAUSE, 1, 20.0, release)
    assert noisy[2].share and told[2].share and noisy[2].share.high > told[2].share.high
    assert of_release(CAUSE, 1, 0.0, Release("0.5.2", floor(3))) == []


# --- Periods: what fails is to be seen, and soon ---


def weekly(entry: str, values: dict[str, int], weeks: int = 27) -> list[Entry]:
    made = dict.fromkeys(WEEKS[:weeks], counted(entry, values))
    return of(failed.published(made, DOMAIN), entry)


@pytest.mark.parametrize(
    ("entry", "values", "weeks"),
    [
        (CAUSE.name, {"0": 300, "1": 20, "2-9": 15}, 1),
        (CAUSE.name, {"0": 300, "1": 6, "2-9": 3}, 4),
        (CAUSE.name, {"0": 300}, 4),
        (SHARE.name, {"none": 300, "few": 90, "more": 35}, 1),
        (SHARE.name, {"none": 300, "few": 90, "more": 9}, 4),
        (DIMENSION.name, {"none": 300, "own": 40}, 1),
        (DIMENSION.name, {"none": 300, "own": 9}, 4),
    ],
)
def test_a_period_is_as_short_as_shows_what_failed_and_four_weeks_at_most(
    entry: str, values: dict[str, int], weeks: int
) -> None:
    """Judged without the reports that tell of no failure, which most are."""
    last = weekly(entry, values)[-1]
    assert last.period.every == weeks
    assert last.values
    counts = {row.value: row.count for row in last.values if row.value in values}
    assert counts == {value: floor(n * last.period.weeks) for value, n in values.items()}


def test_everything_published_follows_from_the_floors() -> None:
    """Two truths with the same floors give the same documents, periods included, so that a hidden
    count decides nothing."""
    sites = []
    for extra in (0, 3):
        made = {}
        for n, week in enumerate(WEEKS):
            values = {"0": 300, "1": 30 + 10 * (n % 4), "2-9": 3 + (extra if n % 2 else 0)}
            shares = {"none": 50, "more": 40, "below_10": 2 + extra}
            cells = {CAUSE.name: {"0.5.2": values}, SHARE.name: {"0.5.2": shares}}
            made[week] = Reports(cells)
        documents = failed.published(made, DOMAIN)
        assert all(entry.period.weeks == 1 for entry in of(documents, CAUSE.name))
        sites.append([encode(week) for week in documents])
    assert sites[0] == sites[1]
    assert len(set(sites[0])) == len(WEEKS)


# --- The document ---


def one_week(domains: tuple[Domain, ...] = (DOMAIN,)) -> StatisticsWeek:
    catalogue = Catalogue(PRODUCT.product, PRODUCT.channel, RELEASES, (BOOL,), domains=domains)
    reports = Reports(
        {
            CAUSE.name: {"0.5.2": {"0": 200, "2-9": 41}},
            "decryption/cancelled": {"0.5.2": {"0": 70, "1": 30}},
            BOOL.name: {"0.5.2": {"true": 77}},
        }
    )
    known = Known(FloorRules(PRODUCT), catalogue, {WEEKS[0]: reports})
    return compose(WEEKS[0], {}, [], 3, known)


def test_a_document_says_what_is_an_error_event() -> None:
    data = encode(one_week())
    table = json.loads(data)
    assert table["format"] == "mars-statistics/2"
    entries = {f"{each['project']}/{each['key']}": each for each in table["entries"]}
    assert list(entries) == sorted(entries)
    assert entries.keys() == {BOOL.name, *(each.name for each in DOMAIN.entries)}
    assert "purpose" not in entries[BOOL.name]
    for name in (CAUSE.name, SHARE.name, "decryption/late", DIMENSION.name):
        assert (entries[name]["purpose"], entries[name]["expected"]) == ("events", False)
    assert entries["decryption/cancelled"]["expected"] is True
    assert table["domains"] == [
        {
            "domain": "decryption",
            "description": "Decrypting a mail that somebody sent.",
            "grace": 60,
            "late": 86400,
        }
    ]
    assert decode(data) == one_week()
    assert decode(data).domains == (Terms.of(DOMAIN),)


def test_a_week_without_domains_is_written_as_ever() -> None:
    """What was published once must be read and written the same for ever."""
    data = encode(one_week(domains=()))
    table = json.loads(data)
    assert (table["format"], "domains" in table) == ("mars-statistics/1", False)
    assert decode(data) == one_week(domains=())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (rb'"format": "mars-statistics/2"', b'"format": "mars-statistics/1"'),
        (rb'"purpose": "events"', b'"purpose": "reports"'),
        (rb'"expected": true', b'"expected": 1'),
        (rb'"grace": 60', b'"grace": 60.0'),
        (rb',\n "domains": \[[^]]*\]', b""),
        (rb'"total": 240', b'"total": 241'),
    ],
)
def test_nothing_can_be_changed_in_it(old: bytes, new: bytes) -> None:
    data = encode(one_week())
    changed = re.sub(old, new, data, count=1)
    assert changed != data
    with pytest.raises(WireError):
        decode(changed)


def test_downloads_hold_the_same_figures() -> None:
    week = one_week()
    csv = week_csv(week).decode()
    assert f"{WEEKS[0]},2026-06-29,1,decryption,damaged,,2-9,40," in csv
    assert f"{WEEKS[0]},2026-06-29,1,any,pane,,true,70," in csv
    series = series_csv("events", "decryption", [week]).decode()
    assert "decryption,damaged,,0,200" in series and "pane" not in series
    table = json.loads(series_json("events", "decryption", [week]))
    assert (table["format"], table["project"]) == ("mars-events-series/1", "decryption")
    names = [each["key"] for each in table["weeks"][0]["entries"]]
    assert sorted(names) == sorted(each.key for each in DOMAIN.entries)
    assert json.loads(series_json("statistics", "decryption", [week]))["weeks"] == []


# --- One budget of noise for both purposes ---


@pytest.mark.parametrize("release", ["0.5.1", "0.5.2", "other"])
@pytest.mark.parametrize("name", [CAUSE.name, SHARE.name, DIMENSION.name, BOOL.name])
def test_a_report_of_either_purpose_adds_to_no_more_cells_than_the_noise_is_shared_among(
    name: str, release: str
) -> None:
    seen = []
    metrics = {each.name: each for each in (*DOMAIN.entries, BOOL)}
    catalogue = Catalogue(PRODUCT.product, PRODUCT.channel, RELEASES, (BOOL,), domains=(DOMAIN,))
    for more in (0, 1):
        rules = Recorder(PRODUCT, NOISE)
        counts = {
            each.name: {one: dict.fromkeys(each.values_known, 9000) for one in (*RELEASES, "other")}
            for each in metrics.values()
        }
        counts[name][release][metrics[name].values_known[0]] += more
        known = Watched(rules, catalogue, {WEEKS[0]: Reports(counts)})
        compose(WEEKS[0], {}, [], 0, known)
        step(WEEKS[0], {}, known)
        seen.append(rules.seen)
    touched = [cell for cell, number in seen[1].items() if seen[0][cell] != number]
    assert 0 < len(touched) <= CELLS_PER_REPORT


def test_a_new_cause_ends_the_periods_of_its_domain() -> None:
    """The rate of all its entries is another then."""
    more = replace(DOMAIN, names=(*DOMAIN.names, failed.cause("expired_key", "It is too old.")))
    assert more.entries[0].rate < DOMAIN.entries[0].rate
    made = dict.fromkeys(WEEKS[:6], counted(CAUSE.name, {"0": 300, "1": 40}))
    first = failed.published(made, DOMAIN)
    catalogue = Catalogue(PRODUCT.product, PRODUCT.channel, RELEASES, domains=(more,))
    every = {**made, **dict.fromkeys(WEEKS[6:10], counted(CAUSE.name, {"0": 300, "1": 40}))}
    known = Known(FloorRules(PRODUCT), catalogue, every)
    done = list(first)
    for week in WEEKS[6:10]:
        done.append(compose(week, {}, done, 0, known))
    assert [entry.total.missing for entry in of(done, CAUSE.name)[5:9]] == [
        False,
        True,
        True,
        False,
    ]
