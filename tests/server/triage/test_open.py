"""What ``errors open`` makes of spools: each line once, on both databases."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from mars.factory import system_clock
from mars_server.counting.progress import Progress
from mars_server.counting.streams import CHUNK
from mars_server.storage.triage.store import open_triage
from mars_server.triage.grouping import Lists
from mars_server.triage.reading import Reading
from mars_server.triage.setup import hosts, load_opening
from tests.server.counting import spools
from tests.server.counting.commands import run, run_json
from tests.server.counting.spools import DAY, LATER, NEXT, WEEK
from tests.server.triage import kit
from tests.server.triage.kit import RELEASE, Sender, Triage, parsed


def test_direct_reports_are_read_at_once_and_grouped(triage: Triage) -> None:
    other = kit.content(kit.fault("plantedmail.view:draw"), "It stopped.\nThen it went on.")
    found = triage.open([*triage.sender.direct(range(3)), *triage.sender.direct([9], other)])
    assert (found["lines"], found["direct"], found["dropped"]) == (4, 4, {})
    first, second = triage.groups()
    assert first["title"] == "FileNotFoundError[ENOENT] | plantedmail.archive:planted_loading"
    assert (first["direct"], second["direct"], first["state"]) == (3, 1, "open")
    (report,) = triage.ask("show", kit.identity(9).guid)["reports"]
    assert report["message"] == "It stopped.\nThen it went on."
    assert (report["received"], report["release"]) == (str(DAY), RELEASE)


def test_a_spool_that_is_read_again_adds_nothing(triage: Triage) -> None:
    path = triage.spool([*triage.sender.direct(range(2)), *triage.sender.crowd(range(3))])
    assert triage.read(path)["lines"] == 5
    again = triage.read(path)
    assert (again["lines"], again["spools"], again["before"]) == (0, 0, 1)
    told = (
        "--keys",
        *triage.keys((WEEK,), ())[:1],
        "--db",
        triage.url,
        "--product",
        triage.product,
    )
    assert b"in 0 spools (1 spool read before): " in run("errors", "open", path, *told).stdout
    copy = spools.written(path.with_name("copy.log"), path.read_bytes().replace(b"\n", b"\r\n"))
    again = triage.read(copy)
    assert (again["repeated"], again["direct"], again["crowd"]) == (5, 0, 0)
    assert triage.groups()[0]["direct"] == 2


def test_what_is_sealed_to_other_keys_waits_until_they_come(triage: Triage) -> None:
    late = Sender(NEXT)
    path = triage.spool([*triage.sender.direct([1]), *late.direct([2]), *late.direct([3])], LATER)
    lacking = replace(triage, releases=("0.5.1",))
    assert lacking.read(path)["waiting"] == 3
    assert lacking.read(path) | {"spools": 0, "before": 1} == lacking.read(path)
    found = triage.read(path)
    assert (found["direct"], found["waiting"]) == (1, 2)
    found = replace(triage, weeks=(WEEK, NEXT)).read(path)
    assert (found["direct"], found["repeated"], found["waiting"]) == (2, 1, 0)


@pytest.mark.parametrize(
    ("weeks", "said"), [((), b"No key that was given"), ((WEEK,), b"files of the releases' keys")]
)
def test_it_is_told_which_keys_are_missing(
    triage: Triage, weeks: tuple[str, ...], said: bytes
) -> None:
    path = triage.spool(triage.sender.direct([1]))
    intake, _ = triage.keys(weeks or (NEXT,), ())
    told = ("--keys", intake, "--db", triage.url, "--product", triage.product)
    assert said in run("errors", "open", path, *told).stderr


def test_a_release_that_takes_no_reports_any_more_waits_for_nothing(triage: Triage) -> None:
    bodies = triage.sender.direct([1])
    listed = kit.TOML.replace('"0.5.2", ', "")
    triage.product.write_text(listed)
    gone = replace(triage, releases=("0.5.1",))
    gone.product.write_text(listed)
    assert gone.open(bodies)["dropped"] == {"unknown-release": 1}


def test_count_and_triage_each_take_their_own(triage: Triage, tmp_path: Path) -> None:
    path = triage.spool([*spools.many(3), *triage.sender.direct(range(2))])
    spools.product_of(tmp_path)
    keys, _ = triage.keys([WEEK], [RELEASE])
    counted = run_json(
        "count", path, "--product", tmp_path / "product.toml", "--keys", keys, "--dry-run"
    )
    assert (counted["statistics"], counted["dropped"]) == (spools.cells(3), {})
    assert (counted["for_triage"], counted["waiting"]) == (2, 0)
    assert triage.read(path)["lines"] == 2


def test_a_folder_of_other_files_is_no_failure(triage: Triage, tmp_path: Path) -> None:
    spools.written(tmp_path / "spools/access.log", b"nothing\n")
    spools.written(tmp_path / "spools/a.log", spools.spool(triage.sender.direct([1])))
    assert triage.read(tmp_path / "spools")["direct"] == 1


def test_what_begins_with_nothing_but_nuls_is_refused(triage: Triage) -> None:
    """Of a device they have no end; a power cut leaves some."""
    told = triage.read(Path("/dev/zero"), code=1)
    assert (told["ok"], told["reason"]) == (False, "log-unreadable")
    assert "/dev/zero cannot be read (it begins with more than" in told["message"]
    path = triage.spool(triage.sender.direct([1]))
    path.write_bytes(bytes(3 * CHUNK) + path.read_bytes())
    assert triage.read(path)["direct"] == 1


def test_a_line_of_any_length_is_left_out_in_constant_memory(triage: Triage) -> None:
    """And all of it, also where what is left of it would be a report."""
    path = triage.spool(triage.sender.direct([1, 2]))
    head, *lines = path.read_bytes().splitlines(keepends=True)
    length = 601 * CHUNK
    with path.open("wb") as file:
        file.write(head)
        file.write(b"A" * (length - len(head)))
        file.writelines(lines)
    tracemalloc.start()
    try:
        told = triage.read(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (told["lines"], told["direct"]) == (1, 1)
    assert triage.ask("show", kit.identity(2).guid)["direct"] == 1
    assert peak < length / 2


@pytest.mark.parametrize(
    "server", ["", "bad host/", "host:80", "http://host", "a.onion", kit.HOST.replace("2", "3", 1)]
)
def test_a_server_that_is_no_host_is_refused(triage: Triage, server: str) -> None:
    product = parsed(triage.product)
    assert hosts(product, ["Test.example.org", "::1"]) == {kit.HOST, "test.example.org", "::1"}
    intake, _ = triage.keys([WEEK], [RELEASE])
    told = ("--keys", intake, "--db", triage.url, "--product", triage.product, "--server", server)
    assert run_json("errors", "open", triage.spool([]), *told, code=1)["reason"] == "server-invalid"


class Dies(Progress):
    """Ends the run in its middle, as a signal does."""

    def __init__(self, after: int) -> None:
        super().__init__(system_clock(), None)
        self.left = after

    def add(self, lines: int, size: int) -> None:
        self.left -= lines
        if self.left < 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("after", [1, 20, 40])
def test_a_run_that_died_is_made_up_for_by_the_next(triage: Triage, after: int) -> None:
    bodies = [*triage.sender.direct(range(25)), *triage.sender.crowd(range(25))]
    path = triage.spool([*bodies, *(triage.sender.sealed(b"{}") for _ in range(5))])
    engine = open_triage(triage.url, create=True)
    keys = triage.keys(triage.weeks, triage.releases)
    opening = load_opening(triage.product, keys, (), lambda _: b"")
    with pytest.raises(KeyboardInterrupt):
        Reading(engine, opening, Lists(), Dies(after), str(DAY), at_once=7).run([str(path)])
    engine.dispose()
    triage.read(path)
    told = triage.tell("stats", "--now", kit.NOW)["operator"]
    assert told["dropped"] == {WEEK: {"other-type": 5}}
    assert (told["held"]["reports"], told["held"]["shares"]) == (25, 25)
    assert triage.read(path)["lines"] == 0
