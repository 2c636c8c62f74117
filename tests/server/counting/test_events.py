"""Reports of error events in spools: opened and counted as those of statistics, and told apart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.server.counting.commands import run, run_json
from tests.server.counting.spools import (
    WEEK,
    cells,
    errors_of,
    event,
    keys_of,
    many,
    product_of,
    report,
    sealed,
    shown,
    spool,
    written,
)

DIMENSION = "key_missing.device"
EVENTS = {
    WEEK: {
        "decryption/failed_share": {"other": {"below_1": 1}},
        "decryption/key_missing": {"0.5.1": {"0": 1}, "0.5.2": {"2-9": 2}},
        f"decryption/{DIMENSION}": {"0.5.2": {"own": 1}},
        "decryption/late": {"0.5.2": {"100+": 1}},
    }
}


def bodies() -> list[bytes]:
    texts = [
        *(event(), event()),
        event(value="0", release="0.5.1"),
        event(key=DIMENSION, value="own"),
        event(key="failed_share", value="below_1", release="other"),
        event(key="late", value="100+"),
    ]
    return [*many(3), *(sealed(text, 100 + n) for n, text in enumerate(texts))]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return written(tmp_path / "spool" / "a.log", spool(bodies())).parent


@pytest.fixture
def told(tmp_path: Path) -> list[object]:
    """The options that a spool needs."""
    errors_of(tmp_path)
    return ["--product", product_of(tmp_path), "--keys", keys_of(tmp_path, WEEK)]


@pytest.mark.parametrize("jobs", [1, 2])
def test_events_are_counted_under_a_name_of_their_own(
    folder: Path, told: list[object], jobs: int
) -> None:
    out = run_json("count", folder, *told, "--dry-run", "--jobs", jobs)
    assert out["events"] == EVENTS
    assert out["statistics"] == cells(3)
    assert (out["dropped"], out["repeated"], out["waiting"]) == ({}, 0, 0)
    said = run("count", folder, *told, "--dry-run").stdout.decode()
    assert "9 reports counted, 0 dropped" in said


def test_the_database_keeps_them_once_however_often_they_are_given(
    folder: Path, told: list[object], new_database: Callable[[], str]
) -> None:
    url = new_database()
    assert run_json("count", folder, *told, "--db", url)["events"] == EVENTS
    written(folder / "copy.log", (folder / "a.log").read_bytes())
    again = run_json("count", folder, *told, "--db", url)
    assert (again["events"], again["statistics"]) == ({}, {})
    kept = run_json("counts", "show", "--db", url, "--product", told[1])
    assert (kept["events"], kept["statistics"]) == (EVENTS, cells(3))
    names = {**cells(3)[WEEK], **EVENTS[WEEK]}
    bare = shown(url)
    assert (bare["events"], bare["statistics"]) == ({}, {WEEK: names}), "names alone say nothing"


def test_what_is_not_declared_of_a_domain_is_dropped(tmp_path: Path, told: list[object]) -> None:
    texts = [
        event(value="3"),
        event(key="key_missing.colour", value="own"),
        event(key="nothing"),
        event(key=DIMENSION, value="borrowed"),
        event(key="failed_share", value="0"),
        event(release="9.9.9"),
        report(project="decryption", key="key_missing", value="0"),
        report().replace(b'"statistics"', b'"events"'),
        event().replace(b'"events"', b'"reports"'),
    ]
    written(tmp_path / "a.log", spool([sealed(text, n) for n, text in enumerate(texts)]))
    out = run_json("count", tmp_path / "a.log", *told, "--dry-run")
    assert (out["events"], out["statistics"]) == ({}, {})
    reasons = {"bad-value": 3, "undeclared": 2, "unknown-release": 1, "other-type": 3}
    assert out["dropped"] == reasons


@pytest.mark.parametrize(("day", "n"), [("2026-11-25", 1), ("2026-11-26", 0)])
def test_a_cause_counts_until_the_day_on_which_it_ends(
    tmp_path: Path, told: list[object], day: str, n: int
) -> None:
    content = spool([sealed(event(key="ended"))]).replace(b"2026-11-25", day.encode())
    written(tmp_path / "a.log", content)
    out = run_json("count", tmp_path / "a.log", *told, "--dry-run")
    assert len(out["events"]) == n
    assert out["dropped"] == ({} if n else {"expired": 1})


def test_what_came_before_its_declaration_is_judged_anew(
    folder: Path, told: list[object], tmp_path: Path, new_database: Callable[[], str]
) -> None:
    """As where the operator forgot the file."""
    url = new_database()
    (tmp_path / "errors.toml").unlink()
    first = run_json("count", folder, *told, "--db", url)
    assert (first["events"], first["dropped"]) == ({}, {"undeclared": 6})
    assert "errors.toml" in first["notes"][0]
    errors_of(tmp_path)
    second = run_json("count", folder, *told, "--db", url)
    assert (second["events"], second["statistics"]) == (EVENTS, {})
    assert shown(url)["dropped"] == {"undeclared": 0}


def test_a_product_may_declare_error_events_alone(folder: Path, told: list[object]) -> None:
    Path(str(told[1])).with_name("metrics.toml").unlink()
    out = run_json("count", folder, *told, "--dry-run")
    assert (out["events"], out["dropped"]) == (EVENTS, {"undeclared": 3})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[decryption.key_missing]\nowner = 'me'\n", "decryption.key_missing"),
        ("[decryption", "is not TOML"),
        ("[decryption.late]\n", "decryption.late"),
    ],
)
def test_a_file_that_is_wrong_is_told(
    folder: Path, told: list[object], tmp_path: Path, content: str, said: str
) -> None:
    (tmp_path / "errors.toml").write_text(content)
    refused = run_json("count", folder, *told, "--dry-run", code=1)
    assert refused["reason"] == "errors-invalid"
    assert said in refused["message"]


def test_a_domain_cannot_be_called_as_a_project(
    folder: Path, told: list[object], tmp_path: Path
) -> None:
    path = tmp_path / "errors.toml"
    path.write_text(path.read_text().replace("[decryption", "[mail"))
    refused = run_json("count", folder, *told, "--dry-run", code=1)
    assert refused["reason"] == "errors-invalid"
    assert "mail" in refused["message"]
