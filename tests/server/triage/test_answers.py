"""Which answer a report gets: of rules, of persons, by version, whenever either was made."""

from __future__ import annotations

from pathlib import Path

import pytest

from mars.errors import ConfigError
from mars.wire.reports.fault import Fault
from mars_server.storage.triage.groups import Member
from mars_server.triage.answers import REOPENED, Word, answer, state
from mars_server.triage.desk import Overview
from mars_server.triage.rules import Rules
from tests.server.counting.commands import run, run_json
from tests.server.counting.spools import written
from tests.server.triage import kit
from tests.server.triage.kit import Triage

RULES = """
[[rule]]
number = 7
match = "FileNotFoundError and plantedmail.archive:planted_loading"
summary = "The archive is gone."
how = "It was moved."
fix = "Choose it again."
release = "0.5.10"

[[rule]]
number = 8
match = "ValueError and not mail.view:draw"
summary = "A file is damaged."
releases = ">=0.5,<0.6"
"""
HELD = Rules.parse(RULES.encode(), "rules.toml")
DAMAGED = kit.fault("mail.store:load")


@pytest.mark.parametrize(
    ("fault", "version", "told"),
    [
        (kit.FAULT, "0.5.2", ("resolved", 7)),
        (kit.FAULT, "0.5.9", ("resolved", 7)),
        (kit.FAULT, "0.5.10", ("open", 0)),
        (kit.FAULT, "0.5.11", ("open", 0)),
        (DAMAGED, "0.5.2", ("known", 8)),
        (DAMAGED, "0.6", ("open", 0)),
        (kit.fault("mail.view:draw"), "0.5.2", ("open", 0)),
        (kit.fault("mail.store:load", types=("KeyError",)), "0.5.2", ("open", 0)),
    ],
)
def test_a_rule_answers_what_it_claims_in_the_versions_that_have_it(
    fault: Fault, version: str, told: tuple[str, int]
) -> None:
    found = answer(Word(), HELD, fault, version)
    assert (found.state, found.rule) == told


@pytest.mark.parametrize(
    ("version", "told"),
    [("0.5.2", "resolved"), ("0.5.9", "resolved"), ("0.5.10", REOPENED), ("1.0", REOPENED)],
)
def test_what_is_fixed_is_open_again_from_that_version_on(version: str, told: str) -> None:
    """By version: 0.5.10 comes after 0.5.9."""
    word = Word(3, "resolved", "0.5.10", "It is fixed.")
    assert state(word, Rules(), DAMAGED, version) == told
    found = answer(word, Rules(), DAMAGED, version)
    assert found.state == ("open" if told == REOPENED else told)
    assert found.summary == ("" if told == REOPENED else "It is fixed.")


def test_what_a_person_says_comes_before_a_rule() -> None:
    assert answer(Word(3, "resolved"), HELD, DAMAGED, "0.5.2").rule == 3
    fixed = Word(3, "resolved", "0.5.1")
    assert answer(fixed, HELD, DAMAGED, "0.5.2").rule == 8
    noted = answer(Word(3, summary="We look at it."), Rules(), DAMAGED, "0.5.2")
    assert (noted.state, noted.rule, noted.summary) == ("open", 3, "We look at it.")


@pytest.mark.parametrize(
    "text",
    [
        "rule = 1",
        "[[rule]]\nnumber = 0\nmatch = 'a'\nsummary = 'b'",
        "[[rule]]\nnumber = 1\nmatch = 'a and'\nsummary = 'b'",
        "[[rule]]\nnumber = 1\nmatch = 'a'",
        "[[rule]]\nnumber = 1\nmatch = 'a'\nsummary = 'b'\nreleases = 'new'",
        "[[rule]]\nnumber = 1\nmatch = 'a'\nsummary = 'b'\nrelease = 'next'",
        "[[rule]]\nnumber = 1\nmatch = 'a'\nsummary = 'b'\nwhy = 'c'",
        "[[rule]]\nnumber = 1\nmatch = 'a'\nsummary = '" + "b" * 201 + "'",
        "[[rule]]\nnumber = 1\nmatch = 'a'\nsummary = \"b\\u001b[31m\"",
        "[[rule]]\nnumber = 1\nmatch = 'a'\nsummary = 'b'\nhow = \"c\\u0000\"",
        "[[rule]]\nnumber = 1\nmatch = 'a'\nsummary = 'b'\nfix = \"c\\u202ed\"",
        RULES + RULES.replace("planted_loading", "other").replace("mail.view", "mail.other"),
        RULES + RULES.replace("7", "9").replace("number = 8", "number = 10"),
    ],
)
def test_a_file_of_rules_that_is_wrong_is_refused(text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Rules.parse(text.encode(), "rules.toml")
    assert refused.value.reason == "rules-invalid"
    assert "rules.toml" in refused.value.message


def test_a_character_that_nobody_would_see_is_named() -> None:
    said = "[[rule]]\nnumber = 1\nmatch = 'a'\nsummary = 'b'\nhow = \"One.\\n\\tTwo.%s\""
    assert Rules.parse((said % "").encode(), "").claims[0].how == "One.\n\tTwo."
    with pytest.raises(ConfigError, match=r"rule 1: how holds the invisible character U\+001B"):
        Rules.parse((said % "\\u001b[2J").encode(), "rules.toml")


def test_rules_hold_for_what_came_before_them(triage: Triage) -> None:
    triage.open(triage.sender.direct([1], kit.content(DAMAGED)))
    assert triage.groups()[0]["state"] == "open"
    written(triage.folder / "rules.toml", RULES.encode())
    (group,) = triage.groups()
    assert (group["state"], group["rules"]) == ("known", [8])
    assert triage.ask("rules", "check")["rules"] == {"7": 0, "8": 1}
    assert triage.ask("list", "--state", "known")["groups"] == [group]
    assert triage.ask("list", "--state", "open")["groups"] == []


def test_two_rules_that_claim_one_fault_are_an_error(triage: Triage, tmp_path: Path) -> None:
    triage.open(triage.sender.direct([1], kit.content(DAMAGED)))
    more = RULES + "[[rule]]\nnumber = 9\nmatch = 'mail.store:load'\nsummary = 'It is old.'\n"
    written(triage.folder / "rules.toml", more.encode())
    found = triage.ask("rules", "check", code=1)
    assert found["reason"] == "rules-conflict"
    assert [each["rules"] for each in found["conflicts"]] == [[8, 9]]
    assert triage.groups()[0]["state"] == "open"
    out = tmp_path / "status.json"
    told = triage.ask("status", *kit.signing(tmp_path), "--out", out, code=1)
    assert (told["reason"], out.exists()) == ("rules-conflict", False)
    assert run_json("errors", "rules", "check", "--product", triage.product)["ok"]


def test_a_product_that_is_not_there_is_not_one_without_rules(triage: Triage) -> None:
    triage.open(triage.sender.direct([1]))
    away = triage.folder / "nowhere" / "product.toml"
    for words in (("rules", "check"), ("list",), ("show", "1")):
        assert triage.tell(*words, "--product", away, code=1)["reason"] == "file-missing"


def test_a_note_that_is_taken_back_is_told_so(triage: Triage) -> None:
    triage.open(triage.sender.direct([1]))
    told = run("errors", "note", "1", "", "--db", triage.url).stdout
    assert told == b"1: taken back for all who sent a report of it\n"


def test_resolving_noting_and_taking_back(triage: Triage) -> None:
    triage.open(triage.sender.direct([1, 2]))
    guid = kit.identity(1).guid
    triage.tell("note", guid, "We look at it.")
    triage.tell("note", "1", "Ask the one who wrote the archive.", "--private")
    (group,) = triage.groups()
    assert (group["summary"], group["memo"]) == (
        "We look at it.",
        "Ask the one who wrote the archive.",
    )
    triage.tell("resolve", "1", "--release", "0.5.3", "--summary", "Fixed.", "--fix", "Update.")
    assert triage.groups()[0]["state"] == "resolved"
    triage.open(triage.sender.direct([3], release="0.5.3"))
    assert triage.groups()[0]["state"] == REOPENED
    triage.tell("resolve", "1", "--reopen")
    (group,) = triage.groups()
    assert (group["state"], group["release"], group["summary"]) == ("open", "", "")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("resolve", "99"), "group-unknown"),
        (("resolve", "1", "--release", "soon"), "release-invalid"),
        (("note", "1", "x" * 201), "text-too-long"),
        (("note", "1", "x\033[31m"), "text-invisible"),
        (("resolve", "1", "--fix", "x\udcff"), "text-invisible"),
        (("note", "nobody", "x"), "report-unknown"),
        (("delete", "a" * 32), "report-unknown"),
        (("delete", "1; DROP TABLE groups"), "report-unknown"),
    ],
)
def test_what_cannot_be_done_is_refused_with_a_reason(
    triage: Triage, words: tuple[str, ...], reason: str
) -> None:
    triage.open(triage.sender.direct([1]))
    assert triage.tell(*words, code=1)["reason"] == reason
    assert run("errors", *words, "--db", triage.url, code=1).stdout == b""


def test_a_database_of_another_product_is_refused(triage: Triage, tmp_path: Path) -> None:
    triage.open(triage.sender.direct([1]))
    other = written(tmp_path / "other.toml", kit.TOML.replace(kit.PRODUCT, "othermail").encode())
    written(tmp_path / "rules.toml", RULES.encode())
    for words in (("note", "1", "x"), ("list",), ("show", "1"), ("rules", "check")):
        assert triage.tell(*words, "--product", other, code=1)["reason"] == "other-product"
        elsewhere = triage.tell(
            *words, "--product", written(tmp_path / "same.toml", kit.TOML.encode())
        )
        assert elsewhere["ok"]


def test_rules_may_lie_where_no_product_does(
    triage: Triage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    triage.open(triage.sender.direct([1]))
    written(tmp_path / "away/rules.toml", RULES.encode())
    monkeypatch.chdir(tmp_path / "away")
    assert triage.tell("list")["groups"][0]["rules"] == [7]


def test_programs_are_told_that_it_went_well(triage: Triage) -> None:
    assert triage.open(triage.sender.direct([1]))["ok"] is True
    for words in (("list",), ("show", "1")):
        assert triage.ask(*words)["ok"] is True
    for words in (("stats",), ("retain",)):
        assert triage.tell(*words)["ok"] is True


def test_key_files_that_others_may_read_are_told(triage: Triage) -> None:
    path, (intake, releases) = triage.spool([]), triage.keys(["2026-W48"], ["0.5.2"])
    intake.chmod(0o600)
    releases.chmod(0o640)
    told = ("--keys", intake, "--keys", releases, "--db", triage.url, "--product", triage.product)
    said = run("errors", "open", path, *told).stderr.decode()
    assert f"{releases} can be read by other users" in said
    assert str(intake) not in said


def test_a_group_that_comes_while_the_list_is_read_is_in_the_next_one() -> None:
    """On PostgreSQL nobody waits for ``errors open`` to read."""
    came = Member(1, kit.RELEASE, kit.FAULT, direct=1)
    assert Overview(Rules(), [], [came]).entries() == []


def test_an_operator_deletes_a_report_or_a_group(triage: Triage) -> None:
    path = triage.spool(triage.sender.direct(range(3)))
    triage.read(path)
    assert triage.tell("delete", kit.identity(1).guid)["deleted"] == 1
    assert triage.groups()[0]["direct"] == 2
    assert triage.tell("delete", "1")["deleted"] == 2
    assert triage.groups() == []
    assert triage.open(triage.sender.direct(range(4)))["dropped"] == {"deleted": 3}


def test_what_was_resolved_stays_so_when_nothing_of_it_is_left(triage: Triage) -> None:
    triage.open(triage.sender.direct([1]))
    triage.tell("resolve", "1", "--release", "0.5.3")
    triage.open([triage.sender.deletion(1)])
    assert triage.groups() == []
    triage.open([*triage.sender.direct([2]), *triage.sender.direct([3], release="0.5.3")])
    (group,) = triage.groups()
    assert (group["group"], group["state"], group["release"]) == (1, REOPENED, "0.5.3")


def test_reports_go_ninety_days_after_the_last_change(triage: Triage) -> None:
    triage.open(triage.sender.direct([1]))
    triage.open(triage.sender.direct([2], kit.content(DAMAGED)))
    triage.tell("note", "2", "Still here.")  # today
    retain = ("errors", "retain", "--db", triage.url, "--now")
    said = run(*retain, "2027-02-24T00:00:00Z").stdout
    assert said == b"deleted: 1 report, 0 shares, 0 tombstones\n"
    assert [each["group"] for each in triage.groups()] == [2]
