"""What was published is taken over by a new database, and nothing else is."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import update

from mars.errors import ConfigError, StateError, WireError
from mars.testing.publisher import Publisher
from mars_server.common.calendar import days
from mars_server.counting.tally import Tally
from mars_server.publication.closing import close_weeks
from mars_server.publication.index import INDEX
from mars_server.publication.restore import adopt
from mars_server.site.publish import publish as publish_to
from mars_server.storage.ledger import store
from mars_server.storage.publication import StoredWeeks
from mars_server.storage.reading import all_weeks
from mars_server.storage.schema import weeks as closed
from mars_server.tables import signed_documents
from mars_server.tables.compose import FloorRules
from mars_server.tables.week import encode
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
    weeks = kit.published(tmp_path / "a", kit.usual_weeks(2))
    old = {f"{week.week}.json": encode(week) for week in weeks}
    engine = kit.database(tmp_path / "b")
    data = kit.data_folder(tmp_path, old)
    assert adopt(engine, kit.RULES, data, kit.LATER) == [
        kit.week(0),
        kit.week(1),
    ]
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
    data = kit.data_folder(tmp_path, {f"{kit.week(0)}.json": old})
    adopt(engine, kit.RULES, data, kit.LATER)
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


@pytest.mark.parametrize(
    "change", [(b'"hits": 1000', b'"hits": 1003'), (b'"from": 3.0', b'"from": NaN')]
)
def test_a_forged_week_is_not_taken_over(tmp_path: Path, change: tuple[bytes, bytes]) -> None:
    weeks = kit.published(tmp_path, kit.usual_weeks(1))
    forged = encode(weeks[0]).replace(*change)
    (tmp_path / "new").mkdir()
    data = kit.data_folder(tmp_path, {f"{kit.week(0)}.json": forged})
    with pytest.raises(WireError, match=f"data/{kit.week(0)}.json"):
        adopt(kit.database(tmp_path / "new"), kit.RULES, data, kit.LATER)


@pytest.mark.parametrize(
    ("name", "change", "why"),
    [
        ("2026-W09", (b"", b""), "holds the week"),
        ("2026-W99", (b"", b""), "holds the week"),
        (kit.FIRST, (b'"examplemail"', b'"other"'), "belongs to"),
        (kit.FIRST, (b'"stable"', b'"beta"'), "belongs to"),
        (kit.FIRST, (b'"flags": []', b'"flags": [\n  "hacked"\n ]'), "flags"),
        (kit.FIRST, (b'"installations": ', b'"installations": 9'), "estimate"),
        (kit.FIRST, (b'"hits": 1000', b'"hits": 99990'), "estimate"),
        (kit.FIRST, (b'"hits": 1000', b'"hits": null'), "estimate"),
        (kit.FIRST, (b'"count": 310', b'"count": 9310'), "add up"),
        (kit.FIRST, (b'"count": 600', b'"count": 500'), "add up"),
    ],
)
def test_a_foreign_week_is_not_taken_over(
    tmp_path: Path, name: str, change: tuple[bytes, bytes], why: str
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    good, other = (encode(week) for week in kit.published(tmp_path / "a", kit.usual_weeks(2)))
    engine = kit.database(tmp_path / "b")
    foreign = good.replace(*change) if change[0] else good
    data = kit.data_folder(tmp_path, {f"{name}.json": foreign, f"{kit.week(1)}.json": other})
    with pytest.raises(ConfigError, match=why) as refusal:
        adopt(engine, kit.RULES, data, kit.LATER)
    assert refusal.value.reason == "not-adopted"
    assert f"data/{name}.json" in refusal.value.message
    assert close_weeks(engine, kit.RULES, kit.LATER) == []


KEY = b"k" * 32


def test_only_what_the_index_names_is_taken_over(tmp_path: Path, publish: kit.Publish) -> None:
    """Figures that could be: the folder's own index tells, and the operator's key tells of that."""
    site, data = tmp_path / "site", tmp_path / "site/data"
    publish(kit.database(tmp_path, kit.usual_weeks(2)), site, kit.RULES, kit.LATER, signing_key=KEY)
    before = kit.tree(site)
    (tmp_path / "new").mkdir()
    engine = kit.database(tmp_path / "new")

    def refused(**options: bytes) -> str:
        with pytest.raises(ConfigError) as refusal:
            publish(engine, site, kit.RULES, kit.LATER, adopt=True, **options)
        assert refusal.value.reason == "not-adopted"
        assert kit.kept(engine, StoredWeeks.published) == {}
        return refusal.value.message

    first, index = data / f"{kit.week(0)}.json", data / INDEX
    document = first.read_bytes()
    forged = document.replace(b'"count": 310', b'"count": 300')
    first.write_bytes(forged)
    assert f"{first.name} is not the file that the index names" in refused()
    first.unlink()
    assert f"{first.name}, which the index names, is missing" in refused()
    first.write_bytes(forged)
    true, false = (hashlib.sha256(text).hexdigest().encode() for text in (document, forged))
    index.write_bytes(index.read_bytes().replace(true, false))
    assert "no index.json that this --sign-key has signed" in refused(signing_key=KEY)
    index.unlink()
    assert "has no index.json" in refused()
    for path in (first, index):
        path.write_bytes(before[path.relative_to(site).as_posix()])
    assert "this --sign-key" in refused(signing_key=b"another key of thirty-two bytes.")
    publish(engine, site, kit.RULES, kit.LATER, adopt=True, signing_key=KEY)
    assert kit.tree(site) == before


def test_no_signed_document_is_forgotten(tmp_path: Path, publish: kit.Publish) -> None:
    """Neither by a new database that takes the weeks over, nor by an older backup."""
    publisher = Publisher()
    rules = FloorRules(
        replace(kit.PRODUCT, product=publisher.product, channel=publisher.motd(kit.LATER).channel)
    )
    documents = [publisher.document(kit.LATER + n) for n in (0, 60)]
    site, backup = tmp_path / "site", tmp_path / "backup"
    for folder in (backup, tmp_path / "new"):
        folder.mkdir()
    engine = kit.database(tmp_path, kit.usual_weeks(1))
    publish(engine, site, rules, kit.LATER, motd=documents[0])
    engine.dispose()
    shutil.copy(tmp_path / "counts.db", backup)
    publish(engine, site, rules, kit.LATER, motd=documents[1])
    before = kit.tree(site)
    for folder in (backup, tmp_path / "new"):
        older = kit.database(folder)
        with pytest.raises(StateError) as refusal:
            publish(older, site, rules, kit.LATER)
        assert refusal.value.reason in ("documents-unknown", "published-unknown")
        assert kit.tree(site) == before
        publish(older, site, rules, kit.LATER, adopt=True)
        assert kit.tree(site) == before


def test_a_document_that_is_named_again_needs_no_adoption(
    tmp_path: Path, publish: kit.Publish
) -> None:
    publisher = Publisher()
    document = publisher.document(kit.LATER)
    rules = FloorRules(
        replace(kit.PRODUCT, product=publisher.product, channel=publisher.motd(kit.LATER).channel)
    )
    for name in "ab":
        (tmp_path / name).mkdir()
    publish(kit.database(tmp_path / "a"), tmp_path / "site", rules, kit.LATER, motd=document)
    before = kit.tree(tmp_path / "site")
    publish(kit.database(tmp_path / "b"), tmp_path / "site", rules, kit.LATER, motd=document)
    assert kit.tree(tmp_path / "site") == before


@pytest.mark.parametrize(
    "change", [("sha256", "x"), ("serial", 2**60), ("serial", -1), ("reportback_next", 2**40)]
)
def test_a_foreign_document_is_not_taken_over(tmp_path: Path, change: tuple[str, object]) -> None:
    entry = {"sha256": "0" * 64, "payload_sha256": "1" * 64, "serial": 1, "reportback_next": 0}
    table = {"product": kit.PRODUCT.product, "channel": kit.PRODUCT.channel}
    good = {**table, "documents": [entry]}
    engine = kit.database(tmp_path)
    forged = (
        {**good, "product": "other"},
        {**good, "documents": [{**entry, change[0]: change[1]}]},
    )
    for n, text in enumerate(forged):
        data = kit.data_folder(
            tmp_path / str(n), {signed_documents.FILE: json.dumps(text).encode()}
        )
        with pytest.raises(ConfigError) as refusal:
            adopt(engine, kit.RULES, data, kit.LATER)
        assert refusal.value.reason == "not-adopted"
    assert kit.kept(engine, StoredWeeks.served) == []
    data = kit.data_folder(tmp_path / "good", {signed_documents.FILE: json.dumps(good).encode()})
    adopt(engine, kit.RULES, data, kit.LATER)
    assert [each.serial for each in kit.kept(engine, StoredWeeks.served)] == [1]


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
        publish_to(
            engine,
            tmp_path / "site",
            FloorRules(product),
            kit.LATER,
            motd=document,
            adopt=True,
        )
    assert refusal.value.reason == "other-product"
    assert kit.kept(engine, StoredWeeks.served) == []
    assert not (tmp_path / "site").exists()
