"""The pairs that clients seal to: made ahead, one a week, and destroyed when their week is over."""

from __future__ import annotations

import json
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mars.wire import keyfile, sealed
from mars.wire.times import parse_time
from mars_motd import pairs

Run = Callable[..., Any]
MONDAY = "2026-11-30T00:00:00Z"
SUNDAY = "2026-12-06T23:59:59Z"
NEXT = "2026-12-07T00:00:00Z"
KEY = ("--no-passphrase", "--json")


@pytest.fixture
def bare(tmp_path: Path, ok: Run) -> Path:
    """A folder without any key."""
    ok("init", tmp_path / "bare", "--product", "examplemail")
    return tmp_path / "bare"


def refused(done: Any, reason: str) -> bool:
    return done.code == 1 and (f"[{reason}]" in done.err or f'"{reason}"' in done.out)


def secrets(path: str | Path) -> dict[str, bytes]:
    return dict(keyfile.decode(Path(path).read_bytes(), lambda: b"").secrets)


def public(folder: Path, name: str = "intake.json") -> dict[str, str]:
    keys: dict[str, str] = json.loads((folder / name).read_text())
    return keys


@pytest.mark.parametrize("now", [MONDAY, SUNDAY])
def test_a_pair_for_this_week_and_those_after_it(bare: Path, ok: Run, now: str) -> None:
    made = ok("key", "new", bare, "--intake", "--now", now, *KEY).json
    assert (made["ok"], len(made["weeks"])) == (True, 13)
    assert made["weeks"][:6] == [
        *("2026-W49", "2026-W50", "2026-W51", "2026-W52", "2026-W53", "2027-W01")
    ]
    found = secrets(made["secret"])
    assert list(found) == made["weeks"]
    assert public(bare) == {week: sealed.public_key(secret).hex() for week, secret in found.items()}


def test_the_next_ones_begin_with_the_first_week_not_covered(bare: Path, ok: Run) -> None:
    first = ok("key", "new", bare, "--intake", "--weeks", 2, "--now", MONDAY, *KEY).json
    again = ok("key", "new", bare, "--intake", "--weeks", 2, "--now", MONDAY, *KEY).json
    assert (first["weeks"], again["weeks"]) == (["2026-W49", "2026-W50"], ["2026-W51", "2026-W52"])
    assert first["secret"] != again["secret"]
    later = ok("key", "new", bare, "--intake", "--weeks", 1, "--now", NEXT, *KEY).json
    assert later["weeks"] == ["2026-W53"]
    assert list(public(bare)) == ["2026-W50", "2026-W51", "2026-W52", "2026-W53"]


def test_a_gap_is_filled(bare: Path, ok: Run) -> None:
    ok("key", "new", bare, "--intake", "--weeks", 3, "--now", MONDAY, *KEY)
    keys = public(bare)
    del keys["2026-W50"]
    (bare / "intake.json").write_text(json.dumps(keys))
    made = ok("key", "new", bare, "--intake", "--weeks", 2, "--now", MONDAY, *KEY).json
    assert made["weeks"] == ["2026-W50", "2026-W52"]


def test_no_more_weeks_than_clients_take(bare: Path, ok: Run, motd: Run) -> None:
    ok("key", "new", bare, "--intake", "--weeks", 64, "--now", MONDAY, *KEY)
    done = motd("key", "new", bare, "--intake", "--weeks", 1, "--now", MONDAY, *KEY)
    assert refused(done, "too-many-weeks")
    assert motd("key", "new", bare, "--intake", "--weeks", 65, *KEY).code == 2


def test_i19_secrets_are_for_their_owner_alone_and_protected(
    bare: Path, tmp_path: Path, ok: Run
) -> None:
    (tmp_path / "phrase").write_text("correct horse\n")
    given = ("--passphrase-file", tmp_path / "phrase", "--json")
    made = ok("key", "new", bare, "--intake", "--weeks", 1, "--now", MONDAY, *given).json
    path = Path(made["secret"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert path.suffix == ".secret", "version control passes it over"
    opened = keyfile.decode(path.read_bytes(), lambda: b"correct horse").secrets["2026-W49"]
    assert opened.hex() not in path.read_text()
    assert public(bare) == {"2026-W49": sealed.public_key(opened).hex()}


def test_a_pair_for_each_release(bare: Path, ok: Run, motd: Run) -> None:
    made = ok("key", "new", bare, "--reports", "0.5.2", "0.6.0", "--reports", "0.10", *KEY).json
    assert sorted(made["releases"]) == ["0.10", "0.5.2", "0.6.0"]
    assert keyfile.names(Path(made["secret"]).read_bytes())[0] == "reports"
    assert list(public(bare, "reports.json")) == ["0.5.2", "0.6.0", "0.10"]
    assert refused(motd("key", "new", bare, "--reports", "0.6.0", *KEY), "key-exists")
    assert len(list((bare / "keys").iterdir())) == 1


@pytest.mark.parametrize(
    "words",
    [
        ("--intake", "--reports", "0.5.2"),
        ("--intake", "--role", "motd"),
        ("--reports", "0.5.2", "--name", "ada"),
        ("--weeks", "3"),
        ("--weeks", "0", "--intake"),
        ("0.5.2",),
        ("--reports", "next"),
        ("--intake", "--passphrase-file", "/dev/null"),
    ],
)
def test_one_kind_at_a_time(bare: Path, motd: Run, words: tuple[str, ...]) -> None:
    assert motd("key", "new", bare, *words, "--no-passphrase").code == 2
    assert not (bare / "keys").exists()


def test_i19_keys_of_weeks_that_are_over_are_destroyed(bare: Path, tmp_path: Path, ok: Run) -> None:
    """Without the passphrase, so that a program can do it."""
    (tmp_path / "phrase").write_text("correct horse\n")
    given = ("--now", MONDAY, "--weeks", 3, "--json")
    clear = ok("key", "new", bare, "--intake", "--no-passphrase", *given).json
    phrase = ("--passphrase-file", tmp_path / "phrase")
    locked = ok("key", "new", bare, "--intake", *phrase, *given).json
    ok("key", "new", bare, "--reports", "0.5.2", *KEY)
    kept = secrets(clear["secret"])["2026-W51"]
    done = ok(
        *("key", "destroy", bare, "--before", "2026-12-14"),
        *("--now", "2026-12-14T00:00:00Z", "--json"),
    ).json
    assert done["destroyed"] == done["public"] == ["2026-W49", "2026-W50"]
    assert done["files"] == {clear["secret"]: 1}
    assert secrets(clear["secret"]) == {"2026-W51": kept}
    assert stat.S_IMODE(Path(clear["secret"]).stat().st_mode) == 0o600
    assert list(public(bare)) == ["2026-W51", "2026-W52", "2026-W53", "2027-W01"]
    january = ("--before", "2027-01-04", "--now", "2027-01-04T00:00:00Z", "--json")
    done = ok("key", "destroy", bare, *january).json
    assert done["files"] == {clear["secret"]: 0, locked["secret"]: 1}
    assert not Path(clear["secret"]).exists()
    rest = keyfile.decode(Path(locked["secret"]).read_bytes(), lambda: b"correct horse")
    assert list(rest.secrets) == ["2027-W01"]
    assert "2026" not in "".join(p.read_text() for p in (bare / "keys").glob("intake*"))
    assert list(public(bare, "reports.json")) == ["0.5.2"]
    assert ok("key", "destroy", bare, *january).json["files"] == {}


@pytest.mark.parametrize(
    ("before", "destroyed"), [("2026-12-06", []), ("2026-12-07", ["2026-W49"])]
)
def test_a_week_ends_with_its_sunday(
    bare: Path, ok: Run, before: str, destroyed: list[str]
) -> None:
    ok("key", "new", bare, "--intake", "--weeks", 2, "--now", MONDAY, *KEY)
    done = ok("key", "destroy", bare, "--before", before, "--now", NEXT, "--json").json
    assert done["destroyed"] == destroyed


def test_i19_the_key_of_a_week_that_is_not_over_is_kept(bare: Path, ok: Run, motd: Run) -> None:
    made = ok("key", "new", bare, "--intake", "--weeks", 2, "--now", MONDAY, *KEY).json
    before = Path(made["secret"]).read_bytes()
    done = motd("key", "destroy", bare, "--before", "2026-12-07", "--now", SUNDAY)
    assert refused(done, "future")
    assert Path(made["secret"]).read_bytes() == before
    for wrong in ("yesterday", "2026-W49", "20261207"):
        assert motd("key", "destroy", bare, "--before", wrong).code == 2


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '{"2026-W54": "' + "ab" * 32 + '"}', '{"2026-W48": "ab"}', '{"2026-W48": 1}'],
)
def test_a_damaged_list_of_public_halves_is_not_added_to(bare: Path, motd: Run, text: str) -> None:
    (bare / "intake.json").write_text(text)
    assert refused(motd("key", "new", bare, "--intake", *KEY), "intake-damaged")
    assert (bare / "intake.json").read_text() == text
    assert not (bare / "keys").exists()


@pytest.mark.parametrize(
    ("now", "days"),
    [
        (MONDAY, 14),
        (SUNDAY, 7),
        (NEXT, 7),
        ("2026-12-13T00:00:00Z", 1),
        ("2026-12-14T00:00:00Z", 0),
    ],
)
def test_days_until_there_is_no_key(now: str, days: int) -> None:
    covered = dict.fromkeys(("2026-W48", "2026-W49", "2026-W50", "2026-W52"), "ab" * 32)
    assert pairs.days_left(covered, parse_time(now)) == days


def test_a_copy_where_reports_are_opened_is_cut_too(
    bare: Path, tmp_path: Path, ok: Run, motd: Run
) -> None:
    made = ok("key", "new", bare, "--intake", "--weeks", 2, "--now", MONDAY, *KEY).json
    copy = Path(shutil.copy(made["secret"], tmp_path / "copy"))
    given = ("--before", "2026-12-07", "--now", NEXT, "--json")
    done = ok("key", "destroy", copy, *given).json
    assert (done["destroyed"], done["public"]) == (["2026-W49"], [])
    assert list(secrets(copy)) == ["2026-W50"]
    assert list(secrets(made["secret"])) == made["weeks"]
    reports = ok("key", "new", bare, "--reports", "0.5.2", *KEY).json["secret"]
    assert refused(motd("key", "destroy", reports, *given), "key-kind")
    assert list(secrets(reports)) == ["0.5.2"]
    assert refused(motd("key", "destroy", bare / "product.toml", *given), "key-damaged")


def test_a_file_is_judged_before_the_date(bare: Path, ok: Run, motd: Run) -> None:
    early = ("--before", "2026-12-07", "--now", MONDAY)
    assert refused(motd("key", "destroy", bare / "product.toml", *early), "key-damaged")
    reports = ok("key", "new", bare, "--reports", "0.5.2", *KEY).json["secret"]
    assert refused(motd("key", "destroy", reports, *early), "key-kind")


def test_a_file_that_went_with_its_last_key_is_said_to_be_gone(
    bare: Path, ok: Run, motd: Run
) -> None:
    made = ok("key", "new", bare, "--intake", "--weeks", 1, "--now", MONDAY, *KEY).json
    given = ("--before", "2026-12-07", "--now", NEXT)
    assert "file removed" in ok("key", "destroy", made["secret"], *given).out
    done = motd("key", "destroy", made["secret"], *given)
    assert refused(done, "key-missing")
    assert "all its keys are destroyed already" in done.err


def test_j2_a_release_is_withdrawn_and_no_other(bare: Path, tmp_path: Path, ok: Run) -> None:
    made = ok("key", "new", bare, "--reports", "0.5.1", "0.5.2", *KEY).json
    copy = Path(shutil.copy(made["secret"], tmp_path / "copy"))
    done = ok("key", "destroy", bare, "--reports", "0.5.1", "--json").json
    assert done["destroyed"] == done["public"] == ["0.5.1"]
    assert list(secrets(made["secret"])) == ["0.5.2"]
    assert list(json.loads((bare / "reports.json").read_text())) == ["0.5.2"]
    assert list(secrets(copy)) == ["0.5.1", "0.5.2"]
    done = ok("key", "destroy", copy, "--reports", "0.5.1", "--json").json
    assert (done["destroyed"], done["public"]) == (["0.5.1"], [])
    assert list(secrets(copy)) == ["0.5.2"]
    assert "file removed" in ok("key", "destroy", bare, "--reports", "0.5.2").out


def test_j2_what_cannot_be_withdrawn_is_refused_and_nothing_goes(
    bare: Path, ok: Run, motd: Run
) -> None:
    made = ok("key", "new", bare, "--reports", "0.5.1", *KEY).json["secret"]
    intake = ok("key", "new", bare, "--intake", "--weeks", 1, *KEY).json["secret"]
    for place in (bare, made):
        done = motd("key", "destroy", place, "--reports", "0.5.1", "--reports", "0.9")
        assert refused(done, "key-unknown")
    assert refused(motd("key", "destroy", intake, "--reports", "0.5.1"), "key-kind")
    assert list(secrets(made)) == ["0.5.1"]
    assert motd("key", "destroy", bare).code == 2
    both = ("--before", "2026-11-30", "--reports", "0.5.1")
    assert motd("key", "destroy", bare, *both).code == 2


def test_key_list_tells_people_of_them(bare: Path, ok: Run) -> None:
    made = ok("key", "new", bare, "--intake", "--weeks", 3, "--now", MONDAY, *KEY).json
    ok("key", "new", bare, "--reports", "0.5.2", *KEY)
    assert ok("key", "list", bare).out.splitlines() == [
        "intake  3 pairs, 2026-W49 to 2026-W51, secrets of 3 here",
        "reports  1 pair, 0.5.2, secrets of 1 here",
    ]
    Path(made["secret"]).unlink()
    assert "secrets of 0 here" in ok("key", "list", bare).out
    assert ok("key", "list", bare, "--json").json == []
