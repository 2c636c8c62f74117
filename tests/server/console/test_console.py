"""What the console shows and does, over its own socket, on both databases."""

from __future__ import annotations

import re
import stat
from contextlib import nullcontext
from pathlib import Path

import pytest

from mars.errors import ConfigError
from mars_server.console.run import require_closed
from mars_server.storage.database import counting_lock
from mars_server.storage.triage.store import open_triage
from tests.server.console.kit import DAMAGED, GUID, RULES, Running, Visitor
from tests.server.counting.commands import run
from tests.server.counting.spools import written
from tests.server.triage import kit
from tests.server.triage.kit import Triage


def listed(page: str) -> list[str]:
    return re.findall(r'<a href="/faults/(\d+)">', page)


def test_a_fault_is_found_shown_answered_and_deleted(triage: Triage, visitor: Visitor) -> None:
    first = visitor.get()
    assert listed(first.text) == ["1", "2", "3"]
    assert "3 direct, 12 crowd" in first.text
    assert "6 crowd reports of 1 fault cannot be read" in first.text
    page = visitor.get("/faults/1").text
    assert "plantedmail.archive:planted_loading+3" in page
    assert "I opened the archive of 2019.\nTwice now." in page
    assert kit.identity(20).guid in page
    told = {"release": "0.5.3", "summary": "It was closed too early.", "how": "a\r\nb", "fix": ""}
    done = visitor.post("/faults/1/resolve", **told)
    assert (done.status, done.headers["location"]) == (303, "/faults/1?done=resolved")
    assert "It is resolved." in visitor.get("/faults/1?done=resolved").text
    assert visitor.post("/faults/1/note", private="yes", memo="Ask Ida.").status == 303
    assert visitor.post("/faults/2/note", summary="We look at it.").status == 303
    (one, two, _) = triage.groups()
    assert (one["state"], one["release"], one["how"], one["memo"]) == (
        *("resolved", "0.5.3", "a\nb", "Ask Ida."),
    )
    assert (two["state"], two["summary"]) == ("open", "We look at it.")
    assert visitor.post("/faults/1/reopen").headers["location"] == "/faults/1?done=reopened"
    assert triage.groups()[0]["state"] == "open"
    guid = kit.identity(21).guid
    asked = visitor.post("/faults/1/choose", guid=guid)
    assert (asked.status, "Delete this report?" in asked.text) == (200, True)
    assert triage.groups()[0]["direct"] == 3
    gone = visitor.post("/faults/1/delete", guid=guid, seen="1")
    assert (gone.status, gone.headers["location"]) == (303, "/faults/1?done=deleted")
    assert triage.groups()[0]["direct"] == 2
    assert "Delete 2 direct reports?" in visitor.post("/faults/2/choose").text
    triage.open(triage.sender.direct([32], kit.content(DAMAGED)))
    changed = visitor.post("/faults/2/delete", seen="2")
    assert (changed.status, "look again" in changed.text) == (409, True)
    assert triage.groups()[1]["direct"] == 3
    done = visitor.post("/faults/2/delete", seen="3")
    assert done.headers["location"] == "/?done=deleted"
    assert [each["group"] for each in triage.groups()] == [1, 3]
    assert triage.open(triage.sender.direct([21, 30]))["dropped"] == {"deleted": 2}


def test_j09_a_report_is_looked_up_by_its_guid_and_never_by_an_address(visitor: Visitor) -> None:
    found = visitor.post("/find", guid=f" {kit.identity(30).guid.upper()} ")
    assert (found.status, found.headers["location"]) == (303, "/faults/2")
    assert visitor.post("/find", guid="a" * 32).status == 404
    assert visitor.post("/find", guid="2").headers["location"] == "/faults/2"
    assert visitor.get(f"/find?guid={kit.identity(30).guid}").status == 405


def test_the_list_is_filtered_and_cut_into_parts(triage: Triage, visitor: Visitor) -> None:
    def shown(query: str) -> list[str]:
        return listed(visitor.get(f"/?{query}").text)

    written(triage.folder / "rules.toml", RULES.encode())  # holds at once
    assert shown("state=resolved") == ["1"]
    assert shown("state=known&state=open") == ["2", "3"]
    assert shown("release=0.5.1") == ["2"]
    assert shown("text=STORE&release=") == ["2"]
    assert shown("state=other&page=x") == ["1", "2", "3"]
    faults = [kit.fault(f"mail.part{n}:load") for n in range(60)]
    bodies = [
        triage.sender.direct([100 + n], kit.content(each))[0] for n, each in enumerate(faults)
    ]
    triage.open(bodies)
    first, second = (visitor.get(f"/?text=part&page={n}") for n in (1, 2))
    assert [len(listed(each.text)) for each in (first, second)] == [50, 10]
    assert 'href="?state=' not in first.text
    assert "release=&amp;text=part&amp;page=2" in first.text
    assert listed(visitor.get("/?text=part&page=999999999999").text) == listed(first.text)
    assert listed(visitor.get("/?text=part&page=99").text) == listed(second.text)


def test_many_reports_are_cut_into_parts(triage: Triage, visitor: Visitor) -> None:
    triage.open(triage.sender.direct(range(200, 260), kit.content(DAMAGED)))
    page = visitor.get("/faults/2").text
    assert "Delete all 62 direct reports…" in page
    found = [set(GUID.findall(visitor.get(f"/faults/2?reports={n}").text)) for n in (1, 2)]
    assert [len(each) for each in found] == [50, 12]
    assert not found[0] & found[1]


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({"release": "soon", "how": "kept <b>"}, "A release is written like 0.5.3."),
        ({"summary": "x" * 201, "how": "kept <b>"}, "summary has at most 200 characters"),
    ],
)
def test_what_is_refused_is_told_and_what_was_written_stays(
    triage: Triage, visitor: Visitor, form: dict[str, str], told: str
) -> None:
    answer = visitor.post("/faults/1/resolve", **form)
    assert answer.status == 400
    assert told in answer.text
    assert ">kept &lt;b&gt;</textarea>" in answer.text
    assert triage.groups()[0]["state"] == "open"


def test_while_a_command_changes_the_database_a_form_waits_and_is_not_lost(
    triage: Triage, visitor: Visitor
) -> None:
    engine = open_triage(triage.url)
    with counting_lock(engine):
        answer = visitor.post("/faults/1/note", summary="We look at it.")
        assert (answer.status, "try later" in answer.text) == (503, True)
        assert 'name="summary" value="We look at it."' in answer.text
        assert visitor.get("/faults/1").status == 200
    engine.dispose()
    assert visitor.post("/faults/1/note", summary="We look at it.").status == 303


def test_what_is_not_there(visitor: Visitor) -> None:
    for path in ("/faults/99", "/faults/0", "/faults/x", "/nothing", "/faults/1/"):
        assert visitor.get(path).status == 404, path
    assert visitor.post("/faults/99/resolve", summary="x").status == 404
    assert visitor.post("/faults/99/choose").status == 404
    assert visitor.post("/faults/2/delete", guid=kit.identity(20).guid, seen="1").status == 404
    assert visitor.post("/faults/2/delete", guid="1", seen="1").status == 404
    assert len(listed(visitor.get().text)) == 3


def test_rules_and_their_conflicts(triage: Triage, visitor: Visitor) -> None:
    assert "There are none yet." in visitor.get("/rules").text
    more = RULES + "[[rule]]\nnumber = 9\nmatch = 'mail.store:load'\nsummary = 'It is old.'\n"
    written(triage.folder / "rules.toml", more.encode())
    page = visitor.get("/rules").words
    assert "Rules 8 and 9 claim one fault." in page
    assert re.search(r"Rule 7\s+claims 15 reports", page)
    assert "Two rules claim one fault." in visitor.get().text
    written(triage.folder / "rules.toml", b"rule = 1")
    broken = visitor.get("/")
    assert (broken.status, "rules.toml: it holds tables" in broken.text) == (400, True)


def test_what_is_kept_and_dropped(triage: Triage, visitor: Visitor) -> None:
    triage.open([triage.sender.body(b"rubbish", kit.to())])
    page = visitor.get("/kept").words
    assert "6 crowd reports of 1 fault cannot be read" in page
    assert re.search(r"reports\s+6\s+10000", page)
    assert re.search(r"2026-W48\s+1 bad-[a-z]+", page)


def test_texts_of_another_script_and_at_their_limits_are_kept(
    triage: Triage, visitor: Visitor
) -> None:
    how, fix = "🦉" * 2000, "ع" * 2000
    assert visitor.post("/faults/1/resolve", how=how, fix=fix, summary="é\0" * 100).status == 303
    (one, *_) = triage.groups()
    assert (one["how"], one["fix"], one["summary"]) == (how, fix, "é" * 100)


@pytest.mark.parametrize(
    ("mode", "shared", "closed"),
    [
        (0o700, False, True),
        (0o750, False, False),
        (0o701, False, False),
        (0o2750, True, True),
        (0o2770, True, False),
        (0o755, True, False),
    ],
)
def test_j24_the_folder_of_the_socket_is_closed_to_others(
    tmp_path: Path, mode: int, shared: bool, closed: bool
) -> None:
    folder = tmp_path / "socket"
    require_closed(folder / "s", shared)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.chmod(mode)
    with nullcontext() if closed else pytest.raises(ConfigError, match="no folder for"):
        require_closed(folder / "s", shared)


def test_j24_nobody_but_the_operator_opens_the_socket(triage: Triage, running: Running) -> None:
    path = Path(running.path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    told = ("--db", triage.url, "--product", triage.product)
    busy = run("errors", "console", *told, "--socket", path, code=1)
    assert b"Another server answers" in busy.stderr
    assert running.stop() == 0
    assert not path.exists()
    path.parent.chmod(0o750)
    refused = run("errors", "console", *told, "--socket", path, code=1)
    assert b"[socket-open]" in refused.stderr
    assert not path.exists()


def test_a_database_that_is_not_there_is_told(triage: Triage, tmp_path: Path) -> None:
    told = ("--product", triage.product, "--socket", tmp_path / "c" / "s")
    done = run("errors", "console", "--db", f"sqlite:///{tmp_path}/none.db", *told, code=1)
    assert b"[database-missing]" in done.stderr


def test_j09_no_address_has_a_guid(visitor: Visitor) -> None:
    """Neither a link, nor where a form leads; where one leads back the tests above say."""
    pages = [visitor.get(path) for path in ("/", "/rules", "/kept", "/faults/1", "/faults/3")]
    pages.append(visitor.post("/faults/1/choose", guid=kit.identity(20).guid))
    assert [len(GUID.findall(each.text)) > 0 for each in pages] == [False] * 3 + [True] * 3
    for page in pages:
        found = re.findall(r'(?:href|src|action)="([^"]*)"', page.text)
        assert len(found) > 5
        assert not [each for each in found if GUID.search(each)]
