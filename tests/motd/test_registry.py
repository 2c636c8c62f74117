"""The registry document: written from what is declared, signed for by its hash, and deployed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mars.wire.catalogue import Catalogue, digest

Run = Callable[..., Any]
MONDAY = "2026-11-30T00:00:00Z"
TUESDAY = "2026-12-01T00:00:00Z"
WEDNESDAY = "2026-12-02T00:00:00Z"
EXAMPLE = Path(__file__).parents[2] / "motd"
KEY = ("--no-passphrase", "--json")


def refused(done: Any, reason: str) -> bool:
    return done.code == 1 and f"[{reason}]" in done.err


def edit(path: Path, old: str, new: str) -> None:
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def declare(folder: Path) -> None:
    three, found, _ = (EXAMPLE / "metrics.toml").read_text().partition("[documents]")
    assert found
    (folder / "metrics.toml").write_text(three)
    edit(folder / "product.toml", "releases = []\nplatforms", 'releases = ["0.5.2"]\nplatforms')
    text = (folder / "product.toml").read_text()
    head, found, rest = text.partition("[statistics]")
    assert found
    changed = rest.replace("releases = []", 'releases = ["0.5.2"]', 1)
    (folder / "product.toml").write_text(head + found + changed)


def declare_events(folder: Path) -> Path:
    path = Path(shutil.copy(EXAMPLE / "errors.toml", folder))
    path.write_text(path.read_text().partition("[transport]")[0])
    return path


@pytest.fixture
def bare(tmp_path: Path, ok: Run) -> Path:
    """A folder without any key, that declares statistics."""
    ok("init", tmp_path / "bare", "--product", "examplemail")
    declare(tmp_path / "bare")
    return tmp_path / "bare"


@pytest.fixture
def collecting(product: Path, tmp_path: Path, ok: Run) -> Path:
    """A folder whose registry and intake keys root has signed; root has been carried away."""
    declare(product)
    ok("registry", product, "--out", tmp_path / "registry.json", "--now", MONDAY)
    ok("key", "new", product, "--intake", "--weeks", 5, "--now", MONDAY, *KEY)
    ok("sign", product, "--out", tmp_path / "motd.json", "--now", MONDAY)
    (product / "root").rename(tmp_path / "root")
    return product


def test_it_says_what_is_declared(bare: Path, tmp_path: Path, ok: Run) -> None:
    keys = ok("key", "new", bare, "--reports", "0.5.2", *KEY).json["public"]
    out = tmp_path / "registry.json"
    said = ok("registry", bare, "--out", out, "--now", MONDAY, "--json").json
    data = out.read_bytes()
    assert (bare / "registry.json").read_bytes() == data
    assert (said["sha256"], said["bytes"]) == (digest(data), len(data))
    found = Catalogue.decode(data)
    assert (found.product, found.channel, found.releases) == ("examplemail", "stable", ("0.5.2",))
    assert [it.name for it in found.metrics] == [
        *("examplemail/folders", "examplemail/protocol", "examplemail/encryption_used")
    ]
    assert found.reports == keys
    assert said["changed"][0] == "+ examplemail/folders: Mail folders"
    again = ok("registry", bare, "--out", out, "--now", TUESDAY, "--json").json
    assert (again["sha256"], again["changed"]) == (said["sha256"], [])


def test_what_changes_is_told(bare: Path, tmp_path: Path, ok: Run) -> None:
    out = tmp_path / "registry.json"
    ok("registry", bare, "--out", out)
    edit(bare / "metrics.toml", "mail list team", "list team")
    edit(bare / "metrics.toml", 'values = ["imap"', 'withdrawn = 2027-01-01\nvalues = ["imap"')
    done = ok("registry", bare, "--out", out)
    assert done.out.splitlines()[:2] == [
        "~ examplemail/folders: owner mail list team -> list team",
        "~ examplemail/protocol: withdrawn none -> 2027-01-01",
    ]
    assert "warning" not in done.err


def test_it_can_be_written_where_it_is_kept(bare: Path, ok: Run, motd: Run) -> None:
    ok("registry", bare, "--out", bare / "registry.json")
    ok("registry", bare, "--out", bare / "registry.json")
    for own in ("metrics.toml", "product.toml", "intake.json"):
        assert refused(motd("registry", bare, "--out", bare / own), "out-invalid")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("bounds = [1, 10, 100]", "bounds = [1, 10, 100, 1000]"),
        ('values = ["imap", ', 'values = ["nntp", "imap", '),
        ('type = "bool"', 'type = "bool"\nrate = 0.5'),
        ('label = "Mail folders"', 'label = "Mail folders of all"'),
    ],
)
def test_another_question_under_an_old_name_is_told(
    bare: Path, tmp_path: Path, ok: Run, old: str, new: str
) -> None:
    """Users agreed to what the entry asked before."""
    out = tmp_path / "registry.json"
    ok("registry", bare, "--out", out)
    edit(bare / "metrics.toml", old, new)
    assert "declare it under another name" in ok("registry", bare, "--out", out).err


def test_asking_for_less_needs_no_new_name(bare: Path, tmp_path: Path, ok: Run) -> None:
    out = tmp_path / "registry.json"
    ok("registry", bare, "--out", out)
    edit(bare / "metrics.toml", 'type = "bool"', 'type = "bool"\nrate = 0.07\nepsilon = 1.0986')
    assert "another name" not in ok("registry", bare, "--out", out).err
    edit(bare / "metrics.toml", "\nepsilon = 1.0986", "")
    assert "another name" in ok("registry", bare, "--out", out).err


def test_an_entry_that_vanishes_is_told(bare: Path, tmp_path: Path, ok: Run) -> None:
    out = tmp_path / "registry.json"
    ok("registry", bare, "--out", out)
    edit(bare / "metrics.toml", "[protocol]", "[mail_protocol]")
    done = ok("registry", bare, "--out", out)
    assert "examplemail/protocol is gone" in done.err


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("expires = 2027-12-31", "expires = 2026-11-30", "expired on 2026-11-30"),
        ('label = "Mail folders"', 'label = "E-mail address"', "could identify"),
        ('reason = "Decides whether', 'cause = "Decides whether', "reason is missing"),
        ("bounds = [1, 10, 100]", "bounds = [1, 10, 100]\nrate = 1.5", "rate must be"),
        ("bounds = [1, 10, 100]", "bounds = [1]\nrate = 0.25\nepsilon = 1.0986", "at most 4"),
        ("reviews/12", "reviews/TBD", "review must be"),
        ('type = "bool"', 'type = "text"', "type must be"),
        ("[folders]", "[folders", "is not TOML"),
    ],
)
def test_i18_what_must_not_be_collected_is_not_written(
    bare: Path, tmp_path: Path, motd: Run, old: str, new: str, said: str
) -> None:
    edit(bare / "metrics.toml", old, new)
    done = motd("registry", bare, "--out", tmp_path / "registry.json", "--now", MONDAY)
    assert refused(done, "registry-invalid")
    assert f"{bare / 'metrics.toml'}:" in done.err
    assert said in done.err
    assert not (tmp_path / "registry.json").exists()
    assert not (bare / "registry.json").exists()
    check = motd("check", bare, "--now", MONDAY, "--json")
    assert check.code == 1
    assert any(said in it["text"] for it in check.json["problems"])


def test_a_problem_names_the_line_of_its_entry(bare: Path, motd: Run) -> None:
    text = (bare / "metrics.toml").read_text()
    (bare / "metrics.toml").write_text(
        text.replace("[protocol]", "[examplemail.protocol]", 1).replace("reviews/13", "TODO")
    )
    lines = text.splitlines()
    (found,) = [
        it for it in motd("check", bare, "--json").json["problems"] if "review must" in it["text"]
    ]
    assert found["line"] == lines.index("[protocol]") + 1


def test_releases_without_a_key_for_reports_are_told(bare: Path, motd: Run) -> None:
    text = (bare / "product.toml").read_text()
    head, found, rest = text.partition("[reports]")
    changed = rest.replace("releases = []", 'releases = ["0.5.2"]')
    (bare / "product.toml").write_text(head + found + changed)
    said = [it["text"] for it in motd("check", bare, "--json").json["problems"]]
    assert any("key new --reports 0.5.2" in it for it in said)


def test_root_signs_its_hash_and_the_keys(collecting: Path, tmp_path: Path, ok: Run) -> None:
    www = tmp_path / "www"
    www.mkdir()
    deployed = ok("deploy", collecting, www, "--now", MONDAY, "--json").json
    data = (www / "registry.json").read_bytes()
    assert data == (tmp_path / "registry.json").read_bytes()
    assert deployed["registry"] == digest(data)
    found = ok("status", collecting, "--now", MONDAY, "--json").json["statistics"]
    assert (found["live"], found["registry"]) == (3, digest(data))


def test_i17_no_other_registry_is_signed_for_or_deployed_than_the_one_root_saw(
    collecting: Path, tmp_path: Path, ok: Run, motd: Run
) -> None:
    """Whoever could serve one client a registry of its own could follow it."""
    www, out = tmp_path / "www.json", tmp_path / "x.json"
    ok("deploy", collecting, www, "--now", MONDAY)
    served = (tmp_path / "registry.json").read_bytes()
    edit(collecting / "registry.json", '"0.25"', '"0.2"')
    assert refused(motd("sign", collecting, "--out", out, "--now", TUESDAY), "root-away")
    assert refused(motd("deploy", collecting, www, "--now", TUESDAY), "registry-unknown")
    (collecting / "registry.json").unlink()
    assert refused(motd("deploy", collecting, www, "--now", TUESDAY), "registry-unknown")
    for rubbish in ("{}", "[", ""):
        (collecting / "registry.json").write_text(rubbish)
        done = motd("sign", collecting, "--out", out, "--now", TUESDAY)
        assert refused(done, "registry-damaged") or (not rubbish and refused(done, "root-away"))
        assert motd("deploy", collecting, www, "--now", TUESDAY).code == 1
    assert (tmp_path / "registry.json").read_bytes() == served
    assert not out.exists()
    (collecting / "registry.json").write_bytes(served)
    ok("sign", collecting, "--out", out, "--now", TUESDAY)
    ok("deploy", collecting, www, "--now", TUESDAY)


def test_i17_one_of_another_product_is_not_signed_for(
    collecting: Path, tmp_path: Path, ok: Run, motd: Run
) -> None:
    edit(collecting / "registry.json", '"product": "examplemail"', '"product": "examplechat"')
    done = motd("sign", collecting, "--out", tmp_path / "x.json", "--now", TUESDAY)
    assert refused(done, "registry-damaged")


def test_keys_of_past_weeks_go_without_root(collecting: Path, tmp_path: Path, ok: Run) -> None:
    """At the clock of this computer, by which ``sign`` judges what rides along."""
    keys = json.loads((collecting / "intake.json").read_text())
    (tmp_path / "root").rename(collecting / "root")
    (collecting / "intake.json").write_text(json.dumps({"2020-W01": "ab" * 32, **keys}))
    ok("sign", collecting, "--out", tmp_path / "x.json", "--now", TUESDAY)
    (collecting / "root").rename(tmp_path / "root")
    (collecting / "intake.json").write_text(json.dumps(keys))
    ok("sign", collecting, "--out", tmp_path / "x.json", "--now", WEDNESDAY)
    assert ok("status", collecting, "--now", WEDNESDAY, "--json").json["steering"]["current"]
    (collecting / "intake.json").write_text(json.dumps({**keys, "2099-W01": "cd" * 32}))
    said = ("sign", collecting, "--out", tmp_path / "x.json", "--now", WEDNESDAY)
    with pytest.raises(AssertionError, match="root-away"):
        ok(*said)


def test_check_and_sign_say_that_what_is_declared_is_not_in_the_registry(
    collecting: Path, tmp_path: Path, ok: Run
) -> None:
    given = ("sign", collecting, "--out", tmp_path / "x.json", "--now", TUESDAY)
    told = "registry.json does not say what is declared: mars-motd registry"
    assert told not in ok("check", collecting, "--now", TUESDAY).out
    assert told not in ok(*given).err
    metrics = collecting / "metrics.toml"
    metrics.write_text(metrics.read_text().replace("label = ", "label = 'Of late: '#", 1))
    edit(metrics, "Of late: ", "Used of late")
    assert told in ok("check", collecting, "--now", TUESDAY).out
    assert told in ok(*given).err


ANOTHER, STRANGE = "is ANOTHER than root has signed", "is not in keys/"


def test_i17_root_is_told_by_week_of_keys_of_the_intake_that_somebody_changed(
    collecting: Path, tmp_path: Path, ok: Run
) -> None:
    """Whoever changes them unseen reads what clients report."""
    (tmp_path / "root").rename(collecting / "root")
    keys = json.loads((collecting / "intake.json").read_text())
    week = list(keys)[1]
    changed = {**keys, week: "ab" * 32, "2027-W09": "cd" * 32}
    (collecting / "intake.json").write_text(json.dumps(changed))
    for done in (
        ok("check", collecting, "--now", TUESDAY),
        ok("steering", collecting, "--now", TUESDAY, "--partial", tmp_path / "part.json"),
    ):
        told = done.out + done.err
        assert f"key of {week} {ANOTHER}" in told
        assert f"key of {week}, 2027-W09 {STRANGE}" in told
    assert f"intake: ~ {week} (CHANGED), + 2027-W09\n" in done.err
    assert "ab" * 32 not in done.err + done.out
    assert ANOTHER not in ok("check", collecting, "--now", TUESDAY).out, "root has signed it"


def test_i17_sign_warns_of_changed_keys_of_the_intake_too(
    collecting: Path, tmp_path: Path, ok: Run
) -> None:
    (tmp_path / "root").rename(collecting / "root")
    keys = json.loads((collecting / "intake.json").read_text())
    week = list(keys)[1]
    (collecting / "intake.json").write_text(json.dumps({**keys, week: "ab" * 32}))
    done = ok("sign", collecting, "--out", tmp_path / "x.json", "--now", TUESDAY)
    assert f"key of {week} {ANOTHER}" in done.err
    assert f"intake: ~ {week} (CHANGED)\n" in done.err


def test_new_keys_of_the_intake_whose_secrets_are_here_are_no_reason_to_warn(
    collecting: Path, tmp_path: Path, ok: Run
) -> None:
    (tmp_path / "root").rename(collecting / "root")
    (tmp_path / "phrase").write_text("correct horse\n")
    phrase = ("--passphrase-file", tmp_path / "phrase")
    ok("key", "new", collecting, "--intake", "--weeks", 1, "--now", MONDAY, *phrase)
    ok("key", "new", collecting, "--intake", "--weeks", 1, "--now", MONDAY, *KEY)
    checked = ok("check", collecting, "--now", TUESDAY)
    done = ok("steering", collecting, "--now", TUESDAY)
    assert "intake: + 2027-W01, + 2027-W02\n" in done.err
    for text in (checked.out, done.err):
        assert ANOTHER not in text
        assert STRANGE not in text


@pytest.mark.parametrize(
    ("now", "days", "told"),
    [
        ("2026-12-14T00:00:00Z", 21, False),
        ("2026-12-14T00:00:01Z", 20, True),
        ("2027-01-04T00:00:00Z", 0, True),
    ],
)
def test_status_counts_the_days_until_the_keys_end(
    collecting: Path, tmp_path: Path, motd: Run, now: str, days: int, told: bool
) -> None:
    found = motd("status", collecting, "--now", now, "--json").json
    assert found["statistics"]["intake_days_left"] == days
    said = [it for it in found["problems"] if "the intake's keys" in it]
    assert bool(said) is told
    assert found["statistics"]["problems"] == said


def test_status_tells_of_entries_that_end(collecting: Path, motd: Run) -> None:
    found = motd("status", collecting, "--now", "2027-12-15T00:00:00Z", "--json").json
    assert found["statistics"]["expiring"]["examplemail/folders"] == 16
    assert "examplemail/folders expires in 16 days" in found["warnings"]
    found = motd("status", collecting, "--now", "2027-12-31T00:00:00Z", "--json").json
    assert found["statistics"]["live"] == 0
    assert any("3 errors in what is declared" in it for it in found["problems"])


def test_status_tells_of_a_registry_that_lags(collecting: Path, motd: Run) -> None:
    edit(collecting / "metrics.toml", "Mail folders", "Folders")
    found = motd("status", collecting, "--now", MONDAY, "--json").json
    assert found["statistics"]["problems"] == [
        "registry.json does not say what is declared: mars-motd registry"
    ]


@pytest.mark.parametrize("name", ["registry.json", "reports.json"])
def test_status_tells_of_damaged_files(collecting: Path, motd: Run, name: str) -> None:
    (collecting / name).write_text("{]")
    found = motd("status", collecting, "--now", MONDAY, "--json").json
    assert any(f"[{name.partition('.')[0]}-damaged]" in it for it in found["problems"])


def test_declared_without_a_registry_is_told(bare: Path, ok: Run, motd: Run) -> None:
    ok("key", "new", bare, "--no-passphrase")
    found = motd("status", bare, "--now", MONDAY, "--json").json
    assert any("mars-motd registry" in it for it in found["warnings"])
    assert found["statistics"]["problems"] == []


def test_root_sees_what_the_hash_stands_for(
    collecting: Path, tmp_path: Path, ok: Run, motd: Run
) -> None:
    (tmp_path / "root").rename(collecting / "root")
    edit(collecting / "metrics.toml", "Mail folders", "Folders")
    ok("registry", collecting, "--out", tmp_path / "registry.json")
    done = ok("sign", collecting, "--out", tmp_path / "x.json", "--now", TUESDAY)
    assert "may be sent: examplemail/folders: Folders" in done.err
    done = ok("sign", collecting, "--out", tmp_path / "x.json", "--now", WEDNESDAY)
    assert "may be sent" not in done.err


def test_a_holder_of_root_is_told_where_the_registry_is_another(
    collecting: Path, tmp_path: Path, ok: Run, motd: Run
) -> None:
    (tmp_path / "root").rename(collecting / "root")
    other = Path(shutil.copytree(collecting, tmp_path / "other"))
    edit(other / "metrics.toml", "Mail folders", "Folders")
    ok("registry", other, "--out", tmp_path / "registry.json")
    ok("steering", other, "--now", TUESDAY)
    done = motd("steering", collecting, "--add-to", other / "steering.json")
    assert "registry.json here is another" in done.err


def test_error_events_stand_in_the_registry(bare: Path, tmp_path: Path, ok: Run) -> None:
    out = tmp_path / "registry.json"
    ok("registry", bare, "--out", out, "--now", MONDAY)
    declare_events(bare)
    done = ok("registry", bare, "--out", out, "--now", MONDAY, "--json").json
    assert (done["statistics"], done["events"]) == (3, 1)
    assert done["changed"][:2] == [
        "+ decryption/*: Decrypting a mail that somebody sent.",
        "+ decryption/key_missing: No key on this computer opens an encrypted mail.",
    ]
    (domain,) = Catalogue.decode(out.read_bytes()).domains
    assert [name.name for name in domain.names][-1] == "other"
    said = ok("check", bare, "--now", MONDAY).err
    assert "3 statistics, 1 domain of error events, nothing to repair" in said


def test_a_changed_domain_is_told_and_asked_for_anew(bare: Path, tmp_path: Path, ok: Run) -> None:
    """A new cause asks nothing new; a new dimension does."""
    path, out = declare_events(bare), tmp_path / "registry.json"
    ok("registry", bare, "--out", out, "--now", MONDAY)
    entry = path.read_text().partition("[decryption.other]")[2].partition("[")[0]
    path.write_text(f"{path.read_text()}\n[decryption.key_expired]{entry}")
    edit(path, "grace = 60", "grace = 30")
    done = ok("registry", bare, "--out", out, "--now", MONDAY)
    assert done.out.splitlines()[:2] == [
        "~ decryption/*: grace 60 -> 30",
        "+ decryption/key_expired: Any other reason why an encrypted mail was not opened.",
    ]
    assert "asks for more" not in done.err
    edit(path, 'sender = ["known", "new"]', 'sender = ["known", "new"]\ngroup = "bool"')
    done = ok("registry", bare, "--out", out, "--now", MONDAY)
    told = "dimensions [sender [known, new]] -> [sender [known, new], group [bool]]"
    assert done.out.splitlines()[0] == f"~ decryption/key_missing: {told}"
    assert "warning: decryption/* asks for more or for something else" in done.err
    path.write_text(path.read_text().partition("\n[decryption.key_expired]")[0])
    assert "decryption/key_expired is gone" in ok("registry", bare, "--out", out).err


@pytest.mark.parametrize(
    ("old", "new", "warns"),
    [
        ("grace = 60", "grace = 30", True),
        ("late = 86400", "late = 3600", True),
        ("expected = true", "expected = false", True),
        ("reviews/18", "reviews/19", False),
    ],
)
def test_what_counts_as_failed_does_not_change_unsaid(
    bare: Path, tmp_path: Path, ok: Run, old: str, new: str, warns: bool
) -> None:
    path, out = declare_events(bare), tmp_path / "registry.json"
    assert "something else counts" not in ok("registry", bare, "--out", out, "--now", MONDAY).err
    edit(path, old, new)
    done = ok("registry", bare, "--out", out, "--now", MONDAY)
    assert ("warning: in decryption/* something else counts" in done.err) is warns
    assert "asks for more" not in done.err
    assert "something else counts" not in ok("registry", bare, "--out", out, "--now", MONDAY).err


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("expected = true", 'context = "text"', "[decryption.cancelled]", "unknown entry"),
        ("reviews/18", "reviews/TODO", "[decryption.key_missing]", "review must be"),
        ("key_late]", "failed_share]", "[decryption.failed_share]", "the domain's own"),
        ("grace = 60", "grace = 90000", "[decryption]", "grace must be 0 to 86400 seconds"),
        ('["known", "new"]', '"text"', "[decryption.key_missing]", "a list of 2 to 31"),
        ('["known", "new"]', '["1d", "7d"]', "[decryption.key_missing]", "a letter first"),
    ],
)
def test_what_must_not_be_counted_is_not_written(
    bare: Path, tmp_path: Path, motd: Run, old: str, new: str, line: str, said: str
) -> None:
    path = declare_events(bare)
    edit(path, old, new)
    done = motd("registry", bare, "--out", tmp_path / "x", "--now", MONDAY)
    assert refused(done, "registry-invalid")
    problems = motd("check", bare, "--now", MONDAY, "--json").json["problems"]
    found = next(it for it in problems if said in it["text"])
    assert found["where"] == str(path)
    assert path.read_text().splitlines()[found["line"] - 1].startswith(line)


def test_a_domain_is_called_like_no_project(bare: Path, tmp_path: Path, motd: Run) -> None:
    path = declare_events(bare)
    path.write_text(path.read_text().replace("[decryption", "[examplemail"))
    done = motd("registry", bare, "--out", tmp_path / "x", "--now", MONDAY)
    assert refused(done, "registry-invalid")
    assert f"{path}:1: examplemail is both a project of statistics and a domain" in done.err


def test_root_sees_the_causes_and_status_tells_of_those_that_end(
    collecting: Path, tmp_path: Path, ok: Run, motd: Run
) -> None:
    (tmp_path / "root").rename(collecting / "root")
    declare_events(collecting)
    ok("registry", collecting, "--out", tmp_path / "registry.json", "--now", MONDAY)
    done = ok("sign", collecting, "--out", tmp_path / "x.json", "--now", TUESDAY)
    assert "may be sent: decryption/*: Decrypting a mail that somebody sent." in done.err
    assert "may be sent: decryption/key_late: The sender's key has not" in done.err
    found = motd("status", collecting, "--now", "2027-12-15T00:00:00Z", "--json").json["statistics"]
    assert found["live"] == 3 + 5 + 1 + 2
    assert found["expiring"]["decryption/key_late"] == 16
    assert not any("." in name or "*" in name for name in found["expiring"])


def test_deploy_warns_where_clients_would_find_no_answers_to_reports(
    collecting: Path, tmp_path: Path, ok: Run
) -> None:
    www = tmp_path / "www"
    www.mkdir()
    edit(
        collecting / "product.toml", "take error reports.\nreleases = []", 'x\nreleases = ["0.5.2"]'
    )
    said = "there is no status.json beside it"
    assert said in ok("deploy", collecting, www, "--now", MONDAY).err
    (www / "status.json").write_text("{}")
    assert said not in ok("deploy", collecting, www, "--now", MONDAY).err
