"""From the spools of error reports to the published site: what its pages give away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mars_server.storage import open_database
from tests.server.counting.commands import run, run_json
from tests.server.counting.spools import LATER, NEXT, WEEK
from tests.server.publication import kit as publishing
from tests.server.triage import kit
from tests.server.triage.kit import PLANTED, Sender, Triage

SETTLED, AFTER = "2026-12-02T00:00:00Z", "2026-12-09T00:00:00Z"
"""Two days after the end of ``WEEK``, and of the next one."""
FAULTS = f"faults-{WEEK}.json"


class Published:
    """What an operator publishes of a triage."""

    def __init__(self, triage: Triage, folder: Path, cache: Path) -> None:
        self.triage, self.out, self.cache = triage, folder / "site", cache
        self.counts = f"sqlite:///{folder}/counts.db"
        open_database(self.counts).dispose()
        self.status, self.faults = folder / "status.json", folder / "faults.json"

    def __call__(self, now: str = SETTLED) -> dict[str, bytes]:
        """Every file of the site after triage's own commands, and the command's answer."""
        key = kit.status_key(self.triage.folder)
        self.triage.ask("status", "--key", key, "--out", self.status, "--now", now)
        self.triage.tell("stats", "--now", now, "--out", self.faults)
        self.run(now, "--status", self.status, "--faults", self.faults)
        return publishing.tree(self.out)

    def run(self, now: str, *more: object, code: int = 0) -> Any:
        return run_json(
            *("publish", "--db", self.counts, "--out", self.out, "--now", now),
            *("--product", self.triage.product, "--chart-cache", self.cache, *more),
            code=code,
        )


@pytest.fixture
def publish(triage: Triage, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Published:
    return Published(triage, tmp_path, publishing.chart_cache(tmp_path_factory))


def planted(site: dict[str, bytes]) -> list[tuple[str, bytes]]:
    return [(name, word) for name, data in site.items() for word in PLANTED if word in data]


def test_nine_reports_of_a_fault_are_on_no_page(triage: Triage, publish: Published) -> None:
    """Direct ones and crowd ones, from week to week, also once somebody has answered."""
    said = kit.content(message="planted message")
    triage.open([*triage.sender.direct(range(9), said), *triage.sender.crowd(range(9))])
    triage.tell("resolve", "1", "--release", "0.5.3", "--summary", "Closed too early.")
    site = publish()
    assert planted(site) == []
    assert f"data/{FAULTS}" in site
    assert not [name for name, data in site.items() if b"planted message" in data]
    later = Triage(triage.folder, triage.url, (WEEK, NEXT), sender=Sender(NEXT), number=9)
    later.open(later.sender.direct([1, 2, 3], said), LATER)  # sent again, which is no tenth
    assert planted(publish(AFTER)) == []


def test_the_tenth_names_a_fault_and_not_how_many_met_it_since(
    triage: Triage, publish: Published
) -> None:
    """Whatever a second week brings below ten, the pages are the same."""
    triage.open(triage.sender.direct(range(10)))
    first = publish()
    assert planted({FAULTS: first[f"data/{FAULTS}"]})
    assert b'<td>0.5.2</td><td class="n">10</td>' in first["faults/index.html"]
    told = [first[f"data/{FAULTS}"]]
    for number in range(1, 10):
        later = Triage(
            triage.folder, triage.url, (WEEK, NEXT), sender=Sender(NEXT), number=number + 9
        )
        later.open(later.sender.direct([number + 20]), LATER)
    site = publish(AFTER)
    assert b'<td>0.5.2</td><td class="n">&lt;10</td>' in site["faults/index.html"]
    assert site[f"data/{FAULTS}"] == told[0]
    assert site[f"data/faults-{NEXT}.json"].count(b'"count": "<10"') == 1


def test_no_guid_and_no_single_report_stands_in_any_file(
    triage: Triage, publish: Published
) -> None:
    triage.open(triage.sender.direct(range(12)))
    site = publish()
    for number in range(12):
        guid = kit.identity(number).guid.encode()
        assert not [name for name, data in site.items() if guid in data]
        assert guid[:12] in site["answers/index.html"]


def test_a_broken_document_ends_the_run_before_anything_changes(
    triage: Triage, publish: Published, tmp_path: Path
) -> None:
    triage.open(triage.sender.direct(range(10)))
    before = publish()
    good, figures = publish.status.read_bytes(), publish.faults.read_bytes()
    broken = tmp_path / "broken.json"
    for option, data, reason in (
        ("--status", good.replace(b"application", b"applicatiom"), "wrong-payload-type"),
        ("--status", good[:-9], "not-json"),
        ("--status", b"", "not-json"),
        ("--status", bytes(300_000), "too-large"),
        ("--faults", good, "faults-invalid"),
        ("--faults", figures.replace(b'"count": 10', b'"count": 9'), "not-floored"),
        ("--faults", figures.replace(WEEK.encode(), b"2026-W50"), "week-not-over"),
    ):
        broken.write_bytes(data)
        assert publish.run(SETTLED, option, broken, code=1)["reason"] == reason, data[:30]
        assert publishing.tree(publish.out) == before


def test_answers_that_expired_are_left_out_and_hold_no_figure_up(
    triage: Triage, publish: Published
) -> None:
    triage.open(triage.sender.direct(range(10)))
    assert "answers/index.html" in publish()
    late = "2027-03-01T00:00:00Z"
    told = run(
        *("publish", "--db", publish.counts, "--out", publish.out, "--now", late),
        *("--product", triage.product, "--status", publish.status, "--faults", publish.faults),
    )
    assert b"Left out: " in told.stderr and b"expired" in told.stderr
    assert b"have lost the answers" in told.stderr
    assert "answers/index.html" not in publishing.tree(publish.out)
