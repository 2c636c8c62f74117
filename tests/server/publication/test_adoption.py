"""What was published is taken over by a new database, and nothing else is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import update

from mars.errors import ConfigError, StateError, WireError
from mars.testing.publisher import Publisher
from mars_server.counting.tally import Tally
from mars_server.publication.compose import Rules
from mars_server.publication.document import encode
from mars_server.publication.ledger import adopt, close_weeks, documents
from mars_server.publication.publish import publish as publish_to
from mars_server.publication.weeks import days
from mars_server.storage.ledger import store
from mars_server.storage.reading import all_weeks
from mars_server.storage.schema import weeks as closed
from tests.server.publication import kit


def test_a_lost_database_takes_over_what_was_published(
    tmp_path: Path, publish: kit.Publish
) -> None:
    site = tmp_path / "site"
    publish(kit.database(tmp_path, kit.usual_weeks(5)), site, kit.RULES, kit.LATER)
    before = kit.tree(site)
    (tmp_path / "new").mkdir()
    engine = kit.database(tmp_path / "new")
    with pytest.raises(StateError) as refusal:
        publish(engine, site, kit.RULES, kit.LATER)
    assert refusal.value.reason == "published-unknown"
    publish(engine, site, kit.RULES, kit.LATER, adopt=True)
    assert kit.tree(site) == before
    kit.count(engine, kit.week(5), kit.USUAL)
    weeks = publish(engine, site, kit.RULES, kit.LATER).weeks
    assert weeks[-1].count("lang", "de") is not None, "a listed value stays listed"
    after = kit.tree(site)
    assert {name: after[name] for name in before if "W0" in name and "data/" in name} == {
        name: content for name, content in before.items() if "W0" in name and "data/" in name
    }


def test_hits_that_come_late_for_an_adopted_week_are_dropped_and_told(tmp_path: Path) -> None:
    """A second machine that takes over what the first one published, then counts more logs."""
    for name in "ab":
        (tmp_path / name).mkdir()
    old = {week.week: encode(week) for week in kit.published(tmp_path / "a", kit.usual_weeks(2))}
    engine = kit.database(tmp_path / "b")
    assert adopt(engine, kit.RULES, old, kit.LATER) == [kit.week(0), kit.week(1)]
    tally = Tally()
    tally.cells[days(kit.week(0))[2], "level", "plain"] = 25
    tally.cells[days(kit.week(1))[2], "level", "plain"] = 16
    tally.cells[days(kit.week(2))[2], "level", "plain"] = 700
    with engine.begin() as connection:
        assert store(connection, tally) == 41
    late = {week.week: (week.hits, week.late) for week in all_weeks(engine)}
    assert late == {kit.week(0): (0, 25), kit.week(1): (0, 16), kit.week(2): (700, 0)}
    weeks = close_weeks(engine, kit.RULES, kit.LATER)
    assert [encode(week) for week in weeks[:2]] == list(old.values())
    assert (weeks[2].hits.value, weeks[2].late.value) == (700, 40)
    kit.count(engine, kit.week(3), kit.USUAL)
    assert close_weeks(engine, kit.RULES, kit.LATER)[-1].late.value == "<10", "told once"


def test_late_hits_are_told_once_though_an_older_week_was_taken_over(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
    old = encode(kit.published(tmp_path / "a", kit.usual_weeks(1))[0])
    engine = kit.database(tmp_path / "b", {kit.week(n): kit.USUAL for n in (1, 2)})
    adopt(engine, kit.RULES, {kit.week(0): old}, kit.LATER)
    close_weeks(engine, kit.RULES, kit.LATER)
    with engine.begin() as connection:
        connection.execute(update(closed).where(closed.c.week == kit.week(0)).values(late=37))
    kit.count(engine, kit.week(3), kit.USUAL)
    close_weeks(engine, kit.RULES, kit.LATER)
    with engine.begin() as connection:  # the newest week knows less than an older one
        connection.exec_driver_sql(
            f"UPDATE publications SET late_seen = 0 WHERE week = '{kit.week(3)}'"
        )
        connection.exec_driver_sql(
            f"UPDATE publications SET late_seen = 37 WHERE week = '{kit.week(2)}'"
        )
    kit.count(engine, kit.week(4), kit.USUAL)
    assert close_weeks(engine, kit.RULES, kit.LATER)[-1].late.value == "<10"


def test_a_forged_week_is_not_taken_over(tmp_path: Path) -> None:
    weeks = kit.published(tmp_path, kit.usual_weeks(1))
    forged = encode(weeks[0]).replace(b'"hits": 1000', b'"hits": 1003')
    (tmp_path / "new").mkdir()
    with pytest.raises(WireError):
        adopt(kit.database(tmp_path / "new"), kit.RULES, {kit.week(0): forged}, kit.LATER)


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
    good, other = (encode(week) for week in kit.published(tmp_path / "a", kit.usual_weeks(2)))
    engine = kit.database(tmp_path / "b")
    foreign = good.replace(*change) if change[0] else good
    with pytest.raises(ConfigError) as refusal:
        adopt(engine, kit.RULES, {name: foreign, "2025-W50": other}, kit.LATER)
    assert refusal.value.reason == "not-adopted"
    assert close_weeks(engine, kit.RULES, kit.LATER) == []


def test_another_products_database_is_refused(tmp_path: Path) -> None:
    engine = kit.database(tmp_path, kit.usual_weeks(1))
    with engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO meta VALUES ('product', 'other')")
        connection.exec_driver_sql("INSERT INTO meta VALUES ('channel', 'stable')")
    with pytest.raises(ConfigError) as refusal:
        close_weeks(engine, kit.RULES, kit.LATER)
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
