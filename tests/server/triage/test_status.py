"""The signed status document: what became of each report, and nothing more."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mars.factory import system_chance
from mars.trust import TrustState
from mars.trust.answers import accept_status
from mars.wire import ed25519, envelope
from mars.wire.envelope import STATUS_TYPE, pae
from mars.wire.keys import keyid
from mars.wire.reports.status import MAX_DOCUMENT, MAX_STATUS, Status
from mars.wire.times import parse_time
from mars_motd import sealing
from tests.server.counting.spools import written
from tests.server.triage import kit
from tests.server.triage.kit import SEED, Triage
from tests.server.triage.test_answers import DAMAGED, RULES

AT = "2026-11-27T00:00:00Z"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "status.json"


def issue(triage: Triage, out: Path, now: str = AT, *more: object) -> Status:
    triage.ask("status", *kit.signing(triage.folder), "--out", out, "--now", now, *more)
    found = envelope.decode(out.read_bytes(), MAX_DOCUMENT, MAX_STATUS)
    (signature,) = found.signatures
    public = ed25519.public_key(SEED)
    assert (found.payload_type, signature.keyid) == (STATUS_TYPE, keyid(public))
    assert ed25519.verify(public, signature.sig, pae(STATUS_TYPE, found.payload))
    return Status.decode(found.payload)


def states(said: Status, *numbers: int) -> list[str]:
    found = (said.answer(kit.identity(number).guid) for number in numbers)
    return [answer.state if answer else "" for answer in found]


def test_each_sender_finds_an_answer(triage: Triage, out: Path) -> None:
    written(triage.folder / "rules.toml", RULES.encode())
    triage.open(
        [
            *triage.sender.direct([1]),
            *triage.sender.direct([2], release="0.5.3"),
            *triage.sender.direct([3], kit.content(DAMAGED)),
            *triage.sender.direct([4], kit.content(kit.fault("mail.view:draw"))),
            *triage.sender.direct([5]),
        ]
    )
    triage.open([triage.sender.deletion(5)])
    triage.tell("note", kit.identity(4).guid, "We look at it.")
    said = issue(triage, out)
    assert states(said, 1, 2, 3, 4, 5, 6) == [
        "resolved",
        "resolved",
        "known",
        "open",
        "deleted",
        "",
    ]
    noted = said.answer(kit.identity(4).guid)
    assert noted is not None
    assert noted.summary == "We look at it."
    assert len(said.prefixes) == 10
    answer = said.known(DAMAGED, "0.5.4")
    assert answer is not None
    assert answer.summary == "A file is damaged."


def test_a_fault_that_fewer_than_ten_met_is_told_to_its_senders_alone(
    triage: Triage, out: Path
) -> None:
    triage.open(triage.sender.direct(range(9)))
    triage.tell("resolve", "1", "--release", "0.5.3", "--summary", "Fixed.")
    said = issue(triage, out)
    assert states(said, 1) == ["resolved"]
    assert said.known(kit.FAULT, "0.5.2") is None
    triage.open(triage.sender.crowd(range(10)))
    said = issue(triage, out)
    found = said.known(kit.FAULT, "0.5.2")
    assert found is not None
    assert found.summary == "Fixed."
    assert said.known(kit.FAULT, "0.5.3") is None


def test_serials_grow_and_the_bytes_are_those_of_the_moment(triage: Triage, out: Path) -> None:
    triage.open(triage.sender.direct([1]))
    first, second = issue(triage, out), issue(triage, out)
    assert second.serial == first.serial + 1 == second.issued
    assert second.prefixes == first.prefixes
    told = triage.ask(
        *("status", *kit.signing(triage.folder), "--out", out),
        *("--now", "2026-11-26T00:00:00Z"),
        code=1,
    )
    assert told["reason"] == "clock-behind"


def test_an_empty_database_has_a_document_too(triage: Triage, out: Path) -> None:
    said = issue(triage, out)
    assert (said.prefixes, said.faults, said.epoch) == ({}, (), 1)
    assert said.expires - said.issued == 45 * 86_400


def test_without_a_trust_file_the_epoch_is_that_of_the_last_document(
    triage: Triage, out: Path
) -> None:
    bare = ("status", "--key", kit.status_key(triage.folder), "--out", out, "--now", AT)
    assert triage.ask(*bare)["epoch"] == 1
    assert accept_status(out.read_bytes(), kit.ROOT, TrustState.initial(), parse_time(AT))
    third = kit.signing(triage.folder, replace(kit.ROOT, epoch=3))
    assert triage.ask("status", *third, "--out", out, "--now", AT)["epoch"] == 3
    assert triage.ask(*bare)["epoch"] == 3


PHRASE = b"correct horse battery staple"


def sealed_key(triage: Triage) -> Path:
    """The secret of the role as the publisher's command makes it, with a passphrase."""
    sealed = sealing.seal(kit.SEED, PHRASE.decode(), system_chance())
    said = {"type": "mars-motd-secret", "version": 1, **sealed}
    return written(triage.folder / "status.secret", sealing.write_json(said))


def test_a_key_with_a_passphrase_signs_where_it_is_told(triage: Triage, out: Path) -> None:
    _, _, *trust = kit.signing(triage.folder)
    key = sealed_key(triage)
    phrase = written(triage.folder / "phrase", PHRASE + b"\r\nanother line\n")
    told = ("status", "--key", key, *trust, "--out", out, "--now", AT)
    triage.ask(*told, "--passphrase-file", phrase)
    first = out.read_bytes()
    assert accept_status(first, kit.ROOT, TrustState.initial(), parse_time(AT))
    for words, reason in (
        ((), "passphrase-needed"),
        (("--passphrase-file", written(triage.folder / "no", b"x\n")), "passphrase-wrong"),
        (("--passphrase-file", triage.folder / "none"), "file-missing"),
    ):
        refused = triage.ask(*told, *words, code=1)
        assert refused["reason"] == reason
        assert out.read_bytes() == first
    assert "correct horse" not in str(refused)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("another key", "key-other-role"),
        ("another product", "wrong-product"),
        ("a key of another role", "key-other-role"),
        ("clock", "expired"),
        ("no trust file", "trust-missing"),
        ("broken trust file", "not-json"),
    ],
)
def test_what_a_client_would_refuse_is_not_written_and_the_old_file_stays(
    triage: Triage, out: Path, kind: str, reason: str
) -> None:
    issue(triage, out)
    before, now = out.read_bytes(), AT
    key, trust = kit.status_key(triage.folder), triage.folder / "trust.json"
    if kind == "another key":
        kit.status_key(triage.folder, kit.token("somebody's"))
    elif kind == "another product":
        written(trust, replace(kit.ROOT, product="other").encode())
    elif kind == "a key of another role":
        kit.status_key(triage.folder, kit.PUBLISHER.seeds_of("index")[0])
    elif kind == "clock":
        written(trust, replace(kit.ROOT, built=parse_time("2027-02-01T00:00:00Z")).encode())
    elif kind == "no trust file":
        trust.unlink()
    else:
        written(trust, b"{")
    told = ("status", "--key", key, "--trust", trust, "--out", out, "--now", now)
    refused = triage.ask(*told, code=1)
    assert refused["reason"] == reason
    assert out.read_bytes() == before
    assert issue(triage, out).serial == parse_time(AT) + 1, "nor did the refused one take a serial"


def test_what_is_no_key_is_refused(triage: Triage, out: Path) -> None:
    _, _, *trust = kit.signing(triage.folder)
    key = written(triage.folder / "key", json.dumps({"type": "other"}).encode())
    told = triage.ask("status", "--key", key, *trust, "--out", out, code=1)
    assert told["reason"] == "operator-key"
    assert "--role status` makes" in told["message"]
    assert not out.exists()
