"""What an operator once gave to ``publish`` and then forgets: nothing ends in silence."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from sqlalchemy import Engine, delete, insert

from mars.errors import ConfigError
from mars_server.publication.closing import partial
from mars_server.publication.folder import read_weeks
from mars_server.site.pages.address import parse
from mars_server.site.pages.events import NOTES_FILE, Note, decode_notes
from mars_server.storage import open_database
from mars_server.storage.publication import StoredWeeks
from mars_server.storage.schema import sources
from mars_server.tables.compose import FloorRules
from mars_server.tables.noise import Noise
from tests.server.counting.commands import completed
from tests.server.publication import kit

SECRET = b"a secret of thirty-two bytes ...."
NOISY = FloorRules(kit.PRODUCT, Noise(SECRET, 50.0))
QUIET = kit.Counted(plain=3)
"""So few hits, under so little noise, that no chart has to be drawn."""
TWO_WEEKS = "2026-01-25T00:00:00Z"
"""When two of three weeks are due."""


def quiet_weeks(number: int) -> dict[str, kit.Counted]:
    return {kit.week(n): QUIET for n in range(number)}


def stored(folder: Path, weeks: dict[str, kit.Counted], cache: Path) -> tuple[str, ...]:
    """Counts ``weeks``; what the command needs to publish them."""
    (folder / "product.toml").write_text(kit.PRODUCT_TOML)
    (folder / "noise-key").write_bytes(SECRET)
    (folder / "noise-key").chmod(0o600)
    kit.database(folder, weeks).dispose()
    base = ("--db", f"sqlite:///{folder}/counts.db", "--out", str(folder / "site"))
    return (*base, "--product", str(folder / "product.toml"), "--chart-cache", str(cache))


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return completed("publish", *arguments)


def test_noise_does_not_end_unasked(tmp_path: Path, publish: kit.Publish) -> None:
    engine = kit.database(tmp_path, quiet_weeks(2))
    site = tmp_path / "site"
    publish(engine, site, NOISY, kit.LATER)
    before = kit.tree(site)
    kit.count(engine, kit.week(2), QUIET)
    with pytest.raises(ConfigError, match="--without-noise") as refusal:
        publish(engine, site, kit.RULES, kit.LATER)
    assert refusal.value.reason == "noise-key-missing"
    assert kit.tree(site) == before
    assert sorted(kit.kept(engine, StoredWeeks.published)) == [kit.week(0), kit.week(1)]
    publish(engine, site, kit.RULES, kit.LATER, without_noise=True)
    assert [week.noise for week in read_weeks(site / "data")] == [50.0, 50.0, None]
    assert publish(engine, site, kit.RULES, kit.LATER).new == 0, "asked once is enough"
    assert {name: kit.tree(site)[name] for name in before if "data/2026-W" in name} == {
        name: content for name, content in before.items() if "data/2026-W" in name
    }


def test_noise_of_weeks_that_are_taken_over_does_not_end_either(
    tmp_path: Path, publish: kit.Publish
) -> None:
    site = tmp_path / "site"
    publish(kit.database(tmp_path, quiet_weeks(2)), site, NOISY, kit.LATER)
    (tmp_path / "new").mkdir()
    lost = kit.database(tmp_path / "new", {kit.week(2): QUIET})
    with pytest.raises(ConfigError, match="noise"):
        publish(lost, site, kit.RULES, kit.LATER, adopt=True)
    assert kit.kept(lost, StoredWeeks.published) == {}


def test_the_command_names_both_ways_on_and_remembers_the_budget(
    tmp_path: Path, cache: Path
) -> None:
    arguments = stored(tmp_path, quiet_weeks(3), cache)
    key = ("--noise-key", str(tmp_path / "noise-key"))
    assert run(*arguments, *key, "--noise-epsilon", "25", "--now", TWO_WEEKS).returncode == 0
    refused = run(*arguments)
    assert refused.returncode == 1
    assert "noise-key-missing" in refused.stderr
    assert "--noise-key" in refused.stderr
    assert "--without-noise" in refused.stderr
    assert refused.stdout == ""
    assert run(*arguments, *key, "--without-noise").returncode == 2
    assert run(*arguments, "--noise-epsilon", "25").returncode == 2
    done = run(*arguments, *key, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["new_weeks"] == 1
    assert [week.noise for week in read_weeks(tmp_path / "site/data")] == [25.0] * 3


def test_a_signature_and_notes_that_end_are_told_and_so_are_missing_days(
    tmp_path: Path, cache: Path
) -> None:
    arguments = stored(tmp_path, kit.usual_weeks(1), cache)  # with all hits on a Monday
    pem, notes = tmp_path / "operator-key.pem", tmp_path / "notes.toml"
    subprocess.run(
        ["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(pem)], check=True, timeout=60
    )
    pem.chmod(0o600)
    notes.write_text(f'[[note]]\nweek = "{kit.week(0)}"\ntext = {{en = "A fair."}}\n')
    given = ("--sign-key", str(pem), "--notes", str(notes))
    first = run(*arguments, *given, "--json")
    assert json.loads(first.stdout)["weeks_with_missing_days"] == [kit.week(0)]
    assert first.stderr.startswith(f"Days without a hit: {kit.week(0)}; ")
    assert "give --" not in first.stderr
    told = run(*arguments, "--json")
    assert told.returncode == 0
    assert json.loads(told.stdout)["weeks_with_missing_days"] == []
    assert "Days" not in told.stderr
    assert "give --sign-key again" in told.stderr
    assert "lost 1 note; give --notes again" in told.stderr


def test_the_outcome_tells_once_what_ended(tmp_path: Path, publish: kit.Publish) -> None:
    engine = kit.database(tmp_path, quiet_weeks(1))
    site = tmp_path / "site"
    notes = [Note(kit.week(0), {"en": "A fair."})]
    runs = [publish(engine, site, kit.RULES, kit.LATER, signing_key=b"k" * 32, notes=notes)]
    runs += [publish(engine, site, kit.RULES, kit.LATER) for _ in range(2)]
    assert [each.unsigned for each in runs] == [False, True, False]
    assert [each.notes_gone for each in runs] == [0, 1, 0]


@pytest.mark.parametrize(
    ("hits", "days", "told"),
    [
        (70, range(7), False),  # every day
        (70, range(5, 7), True),  # a project that began on a Saturday
        (70, (0, 4, 5, 6), True),  # a server that was down for three days
        (9, (0, 4, 5, 6), False),  # so few hits that a day without any is chance
    ],
)
def test_a_week_with_missing_days_is_named(
    tmp_path: Path, hits: int, days: tuple[int, ...], told: bool
) -> None:
    engine = kit.database(tmp_path)
    for day in days:
        kit.count(engine, kit.week(0), kit.Counted(plain=hits), day)
    assert kit.kept(
        engine, lambda kept: partial(kept.hits_by_day(), [kit.week(0), kit.week(1)])
    ) == ([kit.week(0)] if told else [])


def add_source(engine: Engine, own: str | None) -> None:
    row = {"own": own, "ladder": "", "position": 1, "tail": "", "lines": 1, "hits": 1}
    with engine.begin() as connection:
        connection.execute(insert(sources).values(counted=kit.LATER, **row))


def test_pages_promise_for_our_own_logs_alone(tmp_path: Path, publish: kit.Publish) -> None:
    engine = open_database(f"sqlite:///{tmp_path}/counts.db")
    kit.count(engine, kit.week(0), QUIET)
    site = tmp_path / "site"
    own = "without address, without time of day"
    add_source(engine, "a" * 32)
    publish(engine, site, kit.RULES, kit.LATER)
    assert decode_notes((site / NOTES_FILE).read_bytes())[1]
    assert own in (site / "method/index.html").read_text()
    assert "No address, no time of day" in (site / "privacy/index.html").read_text()
    add_source(engine, None)
    publish(engine, site, kit.RULES, kit.LATER)
    assert own not in (site / "method/index.html").read_text()
    assert "No address, no time of day" not in (site / "privacy/index.html").read_text()
    assert "only its operator knows" in (site / "privacy/index.html").read_text()
    assert not decode_notes((site / NOTES_FILE).read_bytes())[1], "which a server reads"
    with engine.begin() as connection:
        connection.execute(delete(sources))
    assert kit.kept(engine, StoredWeeks.note_foreign), "remembered when the log is forgotten"
    engine.dispose()


@pytest.mark.parametrize("own", [True, False])
def test_the_pages_of_a_site_say_whose_logs_they_are(own: bool) -> None:
    for path, words in (("method/", "Some of the logs"), ("privacy/", "Some of the logs")):
        address = parse(path)
        assert address is not None
        content = kit.site([], own_logs=own).content(address)
        assert content is not None
        assert (words in content.decode()) is not own
