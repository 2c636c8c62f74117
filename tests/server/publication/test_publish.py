"""``mars-server publish``: what it writes, and that it never writes it differently again."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, insert, update

from mars.errors import ConfigError, StateError, WireError
from mars.testing.publisher import Publisher
from mars.wire.times import parse_time
from mars_server.charts.published import listing
from mars_server.counting.tally import Tally
from mars_server.publication.compose import Rules
from mars_server.publication.document import decode, encode
from mars_server.publication.folder import read_weeks, week_files
from mars_server.publication.index import is_signed
from mars_server.publication.ledger import adopt, close_weeks, documents, waiting
from mars_server.publication.publish import Outcome
from mars_server.publication.publish import publish as publish_to
from mars_server.publication.served import describe
from mars_server.publication.weeks import days
from mars_server.storage import open_database
from mars_server.storage.ledger import store
from mars_server.storage.reading import all_weeks
from mars_server.storage.schema import sources
from mars_server.storage.schema import weeks as closed
from tests.server.publication import kit
from tests.server.publication.kit import Counted

SERVER = str(Path(sys.executable).with_name("mars-server"))
Publish = Callable[..., Outcome]
RULES = Rules(kit.PRODUCT)
USUAL = Counted(
    plain=407,
    tables={
        "v": {"0.1.0": 9, "0.5.1": 311, "0.5.2": 280},
        "os": {"linux": 199, "windows": 301, "macos": 98, "other": 2},
        "ia": {"1": 30, "10": 90, "100": 320, "1000": 160},
        "lang": {"en": 120, "de": 55, "is": 9},
        "py": {"3.11": 44, "3.99": 3},
        "cc": {"DE": 60, "IS": 12},
    },
    pairs={("0.5.1", "linux"): 105, ("0.5.1", "windows"): 206, ("0.5.2", "linux"): 94},
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return kit.chart_cache(tmp_path_factory)


@pytest.fixture(scope="module")
def publish(cache: Path) -> Publish:
    """``publish`` with one chart cache for all tests here, since many draw the same charts."""

    def to(engine: Engine, out: Path, rules: Rules, now: int, **options: Any) -> Outcome:
        return publish_to(engine, out, rules, now, chart_cache=cache, **options)

    return to


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SERVER, "publish", *arguments], capture_output=True, text=True, timeout=120
    )


def usual_weeks(number: int) -> dict[str, Counted]:
    return {kit.week(n): USUAL for n in range(number)}


def test_the_command_writes_pages_and_floored_figures(tmp_path: Path, cache: Path) -> None:
    kit.database(tmp_path, usual_weeks(5)).dispose()
    (tmp_path / "product.toml").write_text(kit.PRODUCT_TOML)
    arguments = (
        *("--db", f"sqlite:///{tmp_path}/counts.db", "--out", str(tmp_path / "site")),
        *("--product", str(tmp_path / "product.toml"), "--now", "2026-02-11T00:00:00Z"),
        *("--chart-cache", str(cache)),
    )
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "5 weeks published" in done.stdout
    site = tmp_path / "site"
    kit.assert_floored(site)
    week = json.loads((site / "data/2026-W06.json").read_bytes())
    assert week["hits"] == 1000
    table = {row["value"]: row["count"] for row in week["tables"]["v"]}
    assert table == {
        "0.1.0": "<10",
        "0.5.1": 310,
        "0.5.2": 280,
        "dev": "<10",
        "other": "<10",
        "none": 400,
    }
    assert "<script" not in (site / "index.html").read_text()
    before = kit.tree(site)
    again = run(*arguments, "--json")
    assert json.loads(again.stdout)["files_written"] == 0
    assert kit.tree(site) == before


def test_usage_errors_and_refusals_have_their_codes(tmp_path: Path) -> None:
    (tmp_path / "product.toml").write_text("product = 1")
    assert run("--out", str(tmp_path)).returncode == 2
    base = ("--db", f"sqlite:///{tmp_path}/c.db", "--out", str(tmp_path / "o"))
    assert run(*base, "--product", str(tmp_path / "product.toml"), "--now", "today").returncode == 2
    refused = run(*base, "--product", str(tmp_path / "product.toml"))
    assert refused.returncode == 1
    assert "product-invalid" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_an_empty_database_still_gives_a_site(tmp_path: Path, publish: Publish) -> None:
    outcome = publish(kit.database(tmp_path), tmp_path / "site", RULES, kit.LATER)
    assert outcome.weeks == []
    assert "Nothing is published yet" in (tmp_path / "site/index.html").read_text()
    assert "Nothing is published yet" in (tmp_path / "site/v/index.html").read_text()


def test_weeks_published_one_by_one_equal_weeks_published_at_once(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    at_once = kit.published(tmp_path / "a", usual_weeks(6))
    engine = kit.database(tmp_path / "b")
    for n in range(6):
        kit.count(engine, kit.week(n), USUAL)
        close_weeks(engine, RULES, kit.LATER)
    assert close_weeks(engine, RULES, kit.LATER) == at_once


def test_a_second_run_draws_no_chart_that_stands_in_the_folder(
    tmp_path: Path, publish: Publish
) -> None:
    """Without any cache: the site is the cache, by content. What is damaged is drawn again."""
    engine = kit.database(tmp_path, usual_weeks(2))
    site = tmp_path / "site"
    publish(engine, site, RULES, kit.LATER)
    before = kit.tree(site)
    marked = before["v/chart.svg"] + b"<!-- drawn before -->"
    for folder in ("v", "v/all", "v/last-13", "v/2026"):
        (site / folder / "chart.svg").write_bytes(marked)
    keys = {entry["folder"]: entry["key"] for entry in json.loads(before["charts.json"])["charts"]}
    (site / "charts.json").write_bytes(listing(site, keys))
    assert publish_to(engine, site, RULES, kit.LATER).written == 0
    assert (site / "v/chart.svg").read_bytes() == marked
    (site / "os/chart.png").write_bytes(before["os/chart.png"][:-1])
    for folder in keys:
        (site / folder / "chart.svg").write_bytes(before[f"{folder}/chart.svg"])
    publish(engine, site, RULES, kit.LATER)
    assert kit.tree(site) == before


def test_late_counts_change_no_published_byte(tmp_path: Path, publish: Publish) -> None:
    engine = kit.database(tmp_path, usual_weeks(3))
    site = tmp_path / "site"
    publish(engine, site, RULES, kit.LATER)
    before = kit.tree(site)
    # A counter that ignored the closed weeks, which ours does not do:
    kit.count(engine, kit.week(1), USUAL, day=3)
    publish(engine, site, RULES, kit.LATER)
    assert kit.tree(site) == before
    publish(engine, tmp_path / "elsewhere", RULES, kit.LATER)
    assert kit.tree(tmp_path / "elsewhere") == before


def test_late_lines_are_told_floored_in_the_next_week_and_once(tmp_path: Path) -> None:
    engine = kit.database(tmp_path, usual_weeks(2))
    close_weeks(engine, RULES, kit.LATER)
    with engine.begin() as connection:
        connection.execute(update(closed).where(closed.c.week == kit.week(0)).values(late=37))
    assert [week.late.value for week in close_weeks(engine, RULES, kit.LATER)] == ["<10", "<10"]
    for n in (2, 3):
        kit.count(engine, kit.week(n), USUAL)
    weeks = close_weeks(engine, RULES, kit.LATER)
    assert [week.late.value for week in weeks] == ["<10", "<10", 30, "<10"]


def test_a_week_is_closed_to_the_counter_with_its_publication(tmp_path: Path) -> None:
    engine = kit.database(tmp_path, usual_weeks(2))
    close_weeks(engine, RULES, kit.LATER)
    with engine.begin() as connection:
        rows = connection.execute(closed.select().order_by(closed.c.week)).all()
    assert [(row.week, row.published, row.late) for row in rows] == [
        (kit.week(0), kit.LATER, 0),
        (kit.week(1), kit.LATER, 0),
    ]


def test_a_gap_is_published_as_no_data_once_a_later_week_has_some(tmp_path: Path) -> None:
    engine = kit.database(tmp_path, {kit.week(0): USUAL})
    assert len(close_weeks(engine, RULES, kit.LATER)) == 1
    kit.count(engine, kit.week(2), USUAL)
    weeks = close_weeks(engine, RULES, kit.LATER)
    assert [week.hits.value for week in weeks] == [1000, None, 1000]
    assert weeks[1].estimate is None
    assert encode(weeks[1]).count(b'"hits": null') == 1


def test_a_changed_folder_is_refused(tmp_path: Path, publish: Publish) -> None:
    engine = kit.database(tmp_path, usual_weeks(2))
    site = tmp_path / "site"
    publish(engine, site, RULES, kit.LATER)
    path = site / f"data/{kit.week(0)}.json"
    path.write_bytes(path.read_bytes().replace(b"1000", b"2000"))
    before = kit.tree(site)
    kit.count(engine, kit.week(2), USUAL)
    with pytest.raises(StateError, match="never changes") as refusal:
        publish(engine, site, RULES, kit.LATER)
    assert refusal.value.reason == "published-differs"
    assert kit.tree(site) == before


def test_a_lost_database_takes_over_what_was_published(tmp_path: Path, publish: Publish) -> None:
    site = tmp_path / "site"
    publish(kit.database(tmp_path, usual_weeks(5)), site, RULES, kit.LATER)
    before = kit.tree(site)
    (tmp_path / "new").mkdir()
    engine = kit.database(tmp_path / "new")
    with pytest.raises(StateError) as refusal:
        publish(engine, site, RULES, kit.LATER)
    assert refusal.value.reason == "published-unknown"
    publish(engine, site, RULES, kit.LATER, adopt=True)
    assert kit.tree(site) == before
    kit.count(engine, kit.week(5), USUAL)
    weeks = publish(engine, site, RULES, kit.LATER).weeks
    assert weeks[-1].count("lang", "de") is not None, "a listed value stays listed"
    after = kit.tree(site)
    assert {name: after[name] for name in before if "W0" in name and "data/" in name} == {
        name: content for name, content in before.items() if "W0" in name and "data/" in name
    }


def test_hits_that_come_late_for_an_adopted_week_are_dropped_and_told(tmp_path: Path) -> None:
    """A second machine that takes over what the first one published, then counts more logs."""
    for name in "ab":
        (tmp_path / name).mkdir()
    old = {week.week: encode(week) for week in kit.published(tmp_path / "a", usual_weeks(2))}
    engine = kit.database(tmp_path / "b")
    assert adopt(engine, RULES, old, kit.LATER) == [kit.week(0), kit.week(1)]
    tally = Tally()
    tally.cells[days(kit.week(0))[2], "level", "plain"] = 25
    tally.cells[days(kit.week(1))[2], "level", "plain"] = 16
    tally.cells[days(kit.week(2))[2], "level", "plain"] = 700
    with engine.begin() as connection:
        assert store(connection, tally) == 41
    late = {week.week: (week.hits, week.late) for week in all_weeks(engine)}
    assert late == {kit.week(0): (0, 25), kit.week(1): (0, 16), kit.week(2): (700, 0)}
    weeks = close_weeks(engine, RULES, kit.LATER)
    assert [encode(week) for week in weeks[:2]] == list(old.values())
    assert (weeks[2].hits.value, weeks[2].late.value) == (700, 40)
    kit.count(engine, kit.week(3), USUAL)
    assert close_weeks(engine, RULES, kit.LATER)[-1].late.value == "<10", "told once"


def test_a_forged_week_is_not_taken_over(tmp_path: Path) -> None:
    weeks = kit.published(tmp_path, usual_weeks(1))
    forged = encode(weeks[0]).replace(b'"hits": 1000', b'"hits": 1003')
    (tmp_path / "new").mkdir()
    with pytest.raises(WireError):
        adopt(kit.database(tmp_path / "new"), RULES, {kit.week(0): forged}, kit.LATER)


def test_another_products_database_is_refused(tmp_path: Path) -> None:
    engine = kit.database(tmp_path, usual_weeks(1))
    with engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO meta VALUES ('product', 'other')")
        connection.exec_driver_sql("INSERT INTO meta VALUES ('channel', 'stable')")
    with pytest.raises(ConfigError) as refusal:
        close_weeks(engine, RULES, kit.LATER)
    assert refusal.value.reason == "other-product"
    # Nor does a signed document get into it.
    publisher = Publisher()
    document = publisher.document(kit.LATER)
    product = replace(
        kit.PRODUCT, product=publisher.product, channel=publisher.motd(kit.LATER).channel
    )
    with pytest.raises(ConfigError) as refusal:
        publish_to(engine, tmp_path / "site", Rules(product), kit.LATER, motd=document, adopt=True)
    assert refusal.value.reason == "other-product"
    assert documents(engine, None) == []
    assert not (tmp_path / "site").exists()


def test_a_document_is_its_bytes(tmp_path: Path) -> None:
    for week in kit.published(tmp_path, usual_weeks(5)):
        data = encode(week)
        assert encode(decode(data)) == data
        for n in range(0, len(data), 7):
            flipped = data[:n] + bytes([data[n] ^ 1]) + data[n + 1 :]
            try:
                assert encode(decode(flipped)) == flipped
            except WireError:
                continue


def test_a_new_release_leaves_old_weeks_alone(tmp_path: Path, publish: Publish) -> None:
    engine = kit.database(tmp_path, usual_weeks(2))
    site = tmp_path / "site"
    publish(engine, site, RULES, kit.LATER)
    old = week_files(site / "data")
    newer = Rules(replace(kit.PRODUCT, releases=(*kit.PRODUCT.releases, "0.6.0")))
    kit.count(engine, kit.week(2), USUAL)
    publish(engine, site, newer, kit.LATER)
    new = week_files(site / "data")
    assert {name: new[name] for name in old} == old
    assert read_weeks(site / "data")[-1].count("v", "0.6.0") is not None


def test_the_index_names_every_file_and_openssl_checks_it(tmp_path: Path, cache: Path) -> None:
    key = tmp_path / "operator.key"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(key)], check=True)
    key.chmod(0o600)
    (tmp_path / "product.toml").write_text(kit.PRODUCT_TOML)
    kit.database(tmp_path, usual_weeks(2)).dispose()
    arguments = (
        *("--db", f"sqlite:///{tmp_path}/counts.db", "--out", str(tmp_path / "site")),
        *("--product", str(tmp_path / "product.toml"), "--sign-key", str(key)),
        *("--now", "2026-02-11T00:00:00Z", "--chart-cache", str(cache)),
    )
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    data = tmp_path / "site/data"
    index = json.loads((data / "index.json").read_bytes())
    assert index["signed"] is True
    for entry in index["files"]:
        content = (data / entry["name"]).read_bytes()
        assert len(content) == entry["bytes"]
        assert hashlib.sha256(content).hexdigest() == entry["sha256"]
    listed = {entry["name"] for entry in index["files"]}
    assert {path.name for path in data.iterdir()} == listed | {"index.json", "index.json.sig"}
    check = [
        *("openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "operator.pem", "-rawin"),
        *("-in", "index.json", "-sigfile", "index.json.sig"),
    ]
    verified = subprocess.run(check, cwd=data, capture_output=True, text=True)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert " ".join(check) in (tmp_path / "site/downloads/index.html").read_text()
    key.chmod(0o644)
    refused = run(*arguments)
    assert refused.returncode == 1
    assert "secret-readable" in refused.stderr


def test_without_a_key_the_index_is_unsigned(tmp_path: Path, publish: Publish) -> None:
    publish(kit.database(tmp_path, usual_weeks(1)), tmp_path / "site", RULES, kit.LATER)
    assert not (tmp_path / "site/data/index.json.sig").exists()
    assert json.loads((tmp_path / "site/data/index.json").read_bytes())["signed"] is False
    assert "not signed" in (tmp_path / "site/downloads/index.html").read_text()


def test_only_whole_settled_weeks_are_published(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path}/counts.db")
    for n in range(3):
        kit.count(engine, kit.week(n), USUAL)
    now = parse_time("2026-01-20T23:59:59Z")
    assert [each.week for each in close_weeks(engine, RULES, now)] == ["2026-W02"]
    assert [each.week for each in close_weeks(engine, RULES, now + 1)] == ["2026-W02", "2026-W03"]


def test_the_hash_of_each_served_document_is_published(tmp_path: Path, publish: Publish) -> None:
    publisher = Publisher()
    product = replace(
        kit.PRODUCT, product=publisher.product, channel=publisher.motd(kit.LATER).channel
    )
    first, second = (publisher.document(kit.LATER + n) for n in (0, 60))
    engine = kit.database(tmp_path, usual_weeks(1))
    for document in (second, first, first):
        publish(engine, tmp_path / "site", Rules(product), kit.LATER, motd=document)
    table = json.loads((tmp_path / "site/data/documents.json").read_bytes())
    hashes = [hashlib.sha256(document).hexdigest() for document in (first, second)]
    assert [entry["sha256"] for entry in table["documents"]] == hashes
    page = (tmp_path / "site/downloads/index.html").read_text()
    assert page.index(hashes[1]) < page.index(hashes[0]), "newest first"
    with pytest.raises(ConfigError):
        describe(first, replace(product, channel="another"))


def test_publishing_waits_for_a_counter_and_a_counter_for_publishing(database_url: str) -> None:
    """On PostgreSQL too: a count that has begun is in the week, one that begins later is late."""
    engine = open_database(database_url)
    kit.count(engine, kit.week(0), USUAL)
    tally = Tally()
    tally.cells[days(kit.week(0))[2], "level", "plain"] = 50
    with ThreadPoolExecutor(1) as pool:
        with engine.begin() as connection:
            connection.execute(closed.select()).all()
            publishing = pool.submit(close_weeks, engine, RULES, kit.LATER)
            with pytest.raises(TimeoutError):
                publishing.result(timeout=0.5)
            assert store(connection, tally) == 0
        weeks = publishing.result(timeout=30)
    assert weeks[0].hits.value == 1050
    with engine.begin() as connection:
        assert store(connection, tally) == 50
    assert close_weeks(engine, RULES, kit.LATER) == weeks
    engine.dispose()


def counted_at(engine: Engine, time: str) -> None:
    """As if logs had been counted for the last time at ``time``."""
    row = {"ladder": "", "position": 1, "tail": "", "lines": 1, "hits": 1}
    with engine.begin() as connection:
        connection.execute(insert(sources).values(counted=parse_time(time), **row))


def test_a_week_waits_until_logs_are_counted_after_its_end(tmp_path: Path) -> None:
    engine = kit.database(tmp_path, {kit.week(0): USUAL})  # all on Monday, 5 January
    counted_at(engine, "2026-01-07T12:00:00Z")
    assert close_weeks(engine, RULES, kit.LATER) == []
    assert waiting(engine, kit.LATER) == [kit.week(0)]
    counted_at(engine, "2026-01-12T00:10:00Z")
    assert waiting(engine, parse_time("2026-01-13T23:59:59Z")) == []
    assert len(close_weeks(engine, RULES, kit.LATER)) == 1
    assert waiting(engine, kit.LATER) == []


def test_a_time_given_by_hand_decides_alone(tmp_path: Path) -> None:
    engine = kit.database(tmp_path, {kit.week(0): USUAL})
    counted_at(engine, "2026-01-07T12:00:00Z")
    assert close_weeks(engine, RULES, kit.LATER) == []
    assert len(close_weeks(engine, RULES, kit.LATER, chosen=True)) == 1


def test_hits_of_a_later_day_or_from_the_future_settle_a_week(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    later = kit.database(tmp_path / "a", usual_weeks(2))
    counted_at(later, "2026-01-12T12:00:00Z")
    assert [week.week for week in close_weeks(later, RULES, kit.LATER)] == [kit.week(0)]
    future = kit.database(tmp_path / "b", usual_weeks(2))
    counted_at(future, "2024-01-01T00:00:00Z")
    assert len(close_weeks(future, RULES, kit.LATER)) == 2


def test_late_hits_are_told_once_though_an_older_week_was_taken_over(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
    old = encode(kit.published(tmp_path / "a", usual_weeks(1))[0])
    engine = kit.database(tmp_path / "b", {kit.week(n): USUAL for n in (1, 2)})
    adopt(engine, RULES, {kit.week(0): old}, kit.LATER)
    close_weeks(engine, RULES, kit.LATER)
    with engine.begin() as connection:
        connection.execute(update(closed).where(closed.c.week == kit.week(0)).values(late=37))
    kit.count(engine, kit.week(3), USUAL)
    close_weeks(engine, RULES, kit.LATER)
    with engine.begin() as connection:  # the newest week knows less than an older one
        connection.exec_driver_sql(
            f"UPDATE publications SET late_seen = 0 WHERE week = '{kit.week(3)}'"
        )
        connection.exec_driver_sql(
            f"UPDATE publications SET late_seen = 37 WHERE week = '{kit.week(2)}'"
        )
    kit.count(engine, kit.week(4), USUAL)
    assert close_weeks(engine, RULES, kit.LATER)[-1].late.value == "<10"


def test_after_a_change_of_the_interval_the_estimate_covers_both_laws(tmp_path: Path) -> None:
    engine = kit.database(tmp_path, usual_weeks(1))
    old = close_weeks(engine, RULES, kit.LATER)[0].estimate
    steered = Rules(replace(kit.PRODUCT, reportback_next=30 * 86_400))
    for n in range(1, 9):
        kit.count(engine, kit.week(n), USUAL)
        close_weeks(engine, steered, kit.LATER)
    weeks = close_weeks(engine, steered, kit.LATER)
    new = weeks[-1].estimate
    assert old is not None and new is not None and old.high < new.low
    for week in weeks[1:6]:
        assert week.estimate is not None
        assert (week.estimate.low, week.estimate.high) == (old.low, new.high)
        assert "steered" in week.flags
    assert weeks[6].estimate == new


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("2026-W03", (b"", b"")),
        ("2026-W99", (b"", b"")),
        (kit.FIRST, (b'"examplemail"', b'"other"')),
        (kit.FIRST, (b'"stable"', b'"beta"')),
        (kit.FIRST, (b'"flags": []', b'"flags": [\n  "hacked"\n ]')),
        (kit.FIRST, (b'"installations": ', b'"installations": 9')),
        (kit.FIRST, (b'"from": 3.0', b'"from": NaN')),
    ],
)
def test_a_foreign_week_is_not_taken_over(
    tmp_path: Path, name: str, change: tuple[bytes, bytes]
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    good, other = (encode(week) for week in kit.published(tmp_path / "a", usual_weeks(2)))
    engine = kit.database(tmp_path / "b")
    foreign = good.replace(*change) if change[0] else good
    with pytest.raises(ConfigError) as refusal:
        adopt(engine, RULES, {name: foreign, "2025-W50": other}, kit.LATER)
    assert refusal.value.reason == "not-adopted"
    assert close_weeks(engine, RULES, kit.LATER) == []


def test_a_run_without_key_leaves_no_old_signature(tmp_path: Path, publish: Publish) -> None:
    engine = kit.database(tmp_path, usual_weeks(1))
    data = tmp_path / "site/data"
    publish(engine, tmp_path / "site", RULES, kit.LATER, signing_key=b"k" * 32)
    assert is_signed(data / "index.json")
    publish(engine, tmp_path / "site", RULES, kit.LATER)
    assert not (data / "index.json.sig").exists()
    assert not (data / "operator.pem").exists()
    assert not is_signed(data / "index.json")


def test_a_streak_is_remembered_though_only_the_last_weeks_are_read(tmp_path: Path) -> None:
    """Publishing week by week lists a country in the same week as publishing all at once."""
    weeks = {
        kit.week(n): Counted(plain=500, tables={"cc": {"DE": 60, "IS": 60 if n % 5 else 20}})
        for n in range(12)
        if n != 6
    }
    for name in "ab":
        (tmp_path / name).mkdir()
    engine = kit.database(tmp_path / "a")
    for name, counted in weeks.items():
        kit.count(engine, name, counted)
        close_weeks(engine, RULES, kit.LATER)
    one_by_one = close_weeks(engine, RULES, kit.LATER)
    at_once = kit.published(tmp_path / "b", weeks)
    for table in ("cc", "lang"):
        assert [week.tables[table] for week in one_by_one] == [
            week.tables[table] for week in at_once
        ]
    assert one_by_one[4].count("cc", "IS") is not None
    assert one_by_one[5].count("cc", "IS") is None


def test_what_a_killed_run_left_half_written_is_removed(tmp_path: Path, publish: Publish) -> None:
    data = tmp_path / "site/data"
    data.mkdir(parents=True)
    (data / ".new-abc").write_bytes(b"half")
    publish(kit.database(tmp_path, usual_weeks(1)), tmp_path / "site", RULES, kit.LATER)
    assert not list(data.glob(".new-*"))


def test_a_typo_in_the_database_makes_no_database(tmp_path: Path) -> None:
    (tmp_path / "product.toml").write_text(kit.PRODUCT_TOML)
    site = tmp_path / "site"
    done = run(
        *("--db", f"sqlite:///{tmp_path}/typo.db", "--out", str(site)),
        *("--product", str(tmp_path / "product.toml")),
    )
    assert done.returncode == 1
    assert "database-missing" in done.stderr
    assert not (tmp_path / "typo.db").exists()
    assert not site.exists()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:hunter2@host:port/x",
        "postgresql://me:hunter2@localhost/x?nonsense=1",
        "sqlite+nothing:///x.db",
    ],
)
def test_a_wrong_database_address_is_told_without_its_password(url: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        open_database(url)
    assert refusal.value.reason == "database-url"
    assert "hunter2" not in str(refusal.value)
