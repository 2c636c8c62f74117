"""What anybody may post as an error report, and what triage makes of it."""

from __future__ import annotations

import base64
import gzip
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from mars.wire.reports.direct import Direct, Identity, guid_of, prefix_of
from mars.wire.reports.fault import Fault
from mars.wire.reports.outer import TYPE, Destination, Outer
from mars.wire.reports.rules import Rule
from mars.wire.reports.status import MAX_DOCUMENT, Status
from mars.wire.sealed import FORMAT, LARGE, Opener, key_id
from mars_server.publication import status_document
from mars_server.storage.triage.arrivals import Arrival, store
from mars_server.storage.triage.deleting import Quota, bury
from mars_server.storage.triage.groups import told_deleted
from mars_server.storage.triage.store import open_triage
from mars_server.triage import broadcast, upkeep
from mars_server.triage.desk import Desk, Resolution
from mars_server.triage.grouping import Lists
from mars_server.triage.rules import Claim, Rules
from tests.server.counting.commands import run
from tests.server.counting.spools import DAY, LATER, WEEK, pair
from tests.server.triage import kit
from tests.server.triage.kit import RELEASE, Triage, content, identity, to, token

OTHER = "pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.onion"
THIEF = Identity.of(token("thief"), token("thief", size=24))


@pytest.fixture
def triage(tmp_path: Path) -> Triage:
    folder = tmp_path / "triage"
    folder.mkdir()
    return Triage(folder, f"sqlite:///{tmp_path}/triage.db")


def _headed(rest: bytes, key: bytes = key_id(pair(WEEK).public)) -> bytes:
    return (bytes((FORMAT,)) + key + rest).ljust(LARGE, b"\x07")[:LARGE]


LOW_ORDER = (bytes(32), b"\x01" + bytes(31), bytes.fromhex("ec" + "ff" * 30 + "7f"))
"""Points of small order: what is sealed by them anybody could open."""
BODIES = {
    "random": (_headed(token("random", size=64) * 400), {"unopenable": 1}, 0),
    "other format": (b"\x02" + bytes(LARGE - 1), {"bad-body": 1}, 0),
    "key that nobody has": (_headed(b"", bytes(8)), {}, 1),
    **{f"low order {at}": (_headed(it), {"unopenable": 1}, 0) for at, it in enumerate(LOW_ORDER)},
}


@pytest.mark.parametrize(("body", "dropped", "waiting"), BODIES.values(), ids=BODIES)
def test_j01_what_does_not_open_is_dropped_by_its_reason_and_nothing_else(
    triage: Triage, body: bytes, dropped: dict[str, int], waiting: int
) -> None:
    found = triage.open([body, *triage.sender.direct([1])])
    assert (found["dropped"], found["waiting"], found["direct"]) == (dropped, waiting, 1)


def test_j02_what_is_sealed_to_a_withdrawn_release_is_not_stored(triage: Triage) -> None:
    triage.releases = ("0.5.1", "0.5.3")
    head, _, tail = kit.TOML.rpartition('"0.5.2", ')
    triage.product.write_text(head + tail)
    found = triage.open([*triage.sender.direct([1]), *triage.sender.crowd(range(10))])
    assert (found["dropped"], found["waiting"]) == ({"unknown-release": 11}, 0)
    assert triage.groups() == []


TEXTS = {
    "bad-json": gzip.compress(b'{"type":"report"}' * 100_000)[:16_000],
    "other-type": b'{"type":"statistics"}',
    "bad-payload": b'{"type":"report"}',
    "extra-member": b'{"type":"report","id":"4711"}',
    "other-product": Outer.sealed(
        b" " * 12_000, Destination("othermail", "stable", RELEASE, to().key, ""), token(1)
    ).encode(),
    "not-opened": Outer.sealed(
        b" " * 12_000, replace(to(), key=Opener.of(token("other key")).public), token(2)
    ).encode(),
}


@pytest.mark.parametrize("reason", TEXTS)
def test_j03_a_text_that_is_no_report_is_dropped_and_never_unpacked(
    triage: Triage, reason: str
) -> None:
    assert triage.open([triage.sender.sealed(TEXTS[reason])])["dropped"] == {reason: 1}


def _flipped(inner: bytes) -> bytes:
    """The platform changed, the rest as it was signed."""
    return inner.replace(b'"linux"', b'"macos"')


FORGED = {
    "another content": ("bad-signature", _flipped(identity(1).report(content(), to()))),
    "another server": ("other-server", identity(1).report(content(), to(server=OTHER))),
    "another release's key": ("bad-signature", identity(1).report(content(), to("0.5.1"))),
    "another channel": (
        "bad-signature",
        identity(1).report(content(), replace(to(), channel="beta")),
    ),
    "a deletion of another release": ("bad-signature", identity(1).deletion(to("0.5.1"))),
    "another share": ("bad-share", replace(kit.share(1), y=kit.share(2).y).inner()),
    "another kind": ("other-kind", b'{"kind":"letter"}\n\x80'.ljust(12_000, b"\0")),
}


@pytest.mark.parametrize(("reason", "inner"), FORGED.values(), ids=FORGED)
def test_j04_what_was_signed_for_somebody_else_is_dropped(
    triage: Triage, reason: str, inner: bytes
) -> None:
    found = triage.open([triage.sender.body(inner, to())])
    assert (found["dropped"], found["direct"], found["crowd"]) == ({reason: 1}, 0, 0)


def test_j05_a_report_that_comes_again_is_the_same_one(triage: Triage) -> None:
    body = triage.sender.direct([1])
    triage.open(body)
    for again in (body, triage.sender.direct([1]), triage.sender.direct([1]) * 2):
        found = triage.open(again)
        assert (found["direct"], found["repeated"]) == (0, len(again))
    assert triage.groups()[0]["direct"] == 1


def test_j05_a_body_that_is_played_back_later_counts_for_nothing(triage: Triage) -> None:
    body = triage.sender.direct([1])
    late = triage.open(body, LATER.replace(day=9))
    assert (late["dropped"], late["direct"]) == ({"stale": 1}, 0)
    assert triage.open(body)["direct"] == 1


def test_j06_nobody_sends_in_the_name_of_another(triage: Triage) -> None:
    """A GUID is made of the key that signs: who has not that key has another GUID."""
    triage.open(triage.sender.direct([1]))
    copied = replace(THIEF, nonce=identity(1).nonce)
    triage.open([triage.sender.body(copied.report(content(message="forged"), to()), to())])
    (report,) = [
        each
        for each in triage.ask("show", identity(1).guid)["reports"]
        if each["guid"] == identity(1).guid
    ]
    assert report["message"] == ""
    assert triage.groups()[0]["direct"] == 2


def test_j07_a_flood_drops_the_oldest_that_nobody_has_answered(triage: Triage) -> None:
    triage.open(triage.sender.direct([1], content(kit.fault("mail.answered:here"))))
    triage.tell("note", identity(1).guid, "We look at it.")
    triage.open(triage.sender.direct(range(10, 16)))
    triage.open(triage.sender.crowd(range(4)))
    engine = open_triage(triage.url)
    _, over = upkeep.tidy(engine, 1_795_700_000, Quota(reports=4, shares=3, tombstones=1))
    assert (over.reports, over.shares) == (3, 1)
    assert {each["title"]: each["direct"] for each in triage.groups()} == {
        "ValueError | mail.answered:here": 1,
        "FileNotFoundError[ENOENT] | plantedmail.archive:planted_loading": 3,
    }
    (reasons,) = triage.tell("stats")["operator"]["dropped"].values()
    assert reasons == {"quota": 4}


def test_j07_a_flood_of_deletions_is_bounded_too(triage: Triage) -> None:
    """Whoever sends reports and deletes each makes as many tombstones as he likes; those of reports
    that never came go before his."""
    engine = open_triage(triage.url, create=True)
    told = [token("told", n, size=8) for n in range(4)]
    with engine.begin() as connection:
        bury(connection, {token("never", size=8): False}, "2026-11-29")
        for n, prefix in enumerate(told):
            bury(connection, {prefix: True}, f"2026-11-2{n}")
    for room, gone in ((4, 1), (2, 2)):
        _, over = upkeep.tidy(engine, 1_795_700_000, Quota(reports=4, shares=3, tombstones=room))
        assert over.tombstones == gone
        with engine.connect() as connection:
            assert told_deleted(connection) == told[4 - room :][::-1]


def _status(triage: Triage, now: int = 1_795_700_000) -> bytes:
    engine, product = open_triage(triage.url), kit.parsed(triage.product)
    return broadcast.issue(Desk(engine), product, kit.ROOT, kit.SEED, now, token("pad"))


def _flooded(triage: Triage, faults: int, each: int) -> Desk:
    """A desk on whose one resolved group a sender has put ``faults`` different faults, each of them
    ``each`` times, and one other that its ten senders met."""
    made = [kit.fault(f"mail.x:f{n}", "mail.store:load") for n in range(faults)]
    found = [(it, n) for it in made for n in range(each)]
    real = kit.fault("plantedmail.real:work", "mail.store:load")
    found += [(real, n) for n in range(20)]
    arrivals = [
        Arrival(WEEK, token("line", at, size=16), RELEASE, _direct(at, fault))
        for at, (fault, _) in enumerate(found)
    ]
    engine = open_triage(triage.url, create=True)
    with engine.begin() as connection:
        store(connection, arrivals, DAY.isoformat(), Lists().title)
    rules = Rules(tuple(
        Claim(n, Rule.parse(f"Error{n}"), f"Known {n}", "x" * 1_900) for n in range(1, 11)
    ))  # fmt: skip
    desk = Desk(engine, rules)
    desk.resolve("1", DAY.isoformat(), Resolution("0.5.3", "Fixed."))
    return desk


def _direct(number: int, fault: Fault) -> Direct:
    guid = guid_of(token("flood", number), token("flood", number, size=24))
    return Direct(guid, content(fault))


def _composed(triage: Triage, desk: Desk) -> Status:
    head = broadcast.Head(kit.parsed(triage.product), 1, 1_795_700_000)
    return broadcast.compose(desk, head, token("pad"))


def test_j07_many_faults_of_an_answered_group_push_no_rule_out_of_the_broadcast(
    triage: Triage,
) -> None:
    """Nor do they make it larger than any client takes it."""
    said = _composed(triage, _flooded(triage, 550, 18))
    for number in range(1, 11):
        found = said.known(kit.fault("mail.a:b", types=(f"Error{number}",)), RELEASE)
        assert found is not None, number
        assert found.summary == f"Known {number}"
    met = said.known(kit.fault("plantedmail.real:work", "mail.store:load"), RELEASE)
    assert met is not None, "what most have met comes first"
    assert len(broadcast.sign(said, kit.SEED)) <= MAX_DOCUMENT


def test_j07_a_flood_that_nobody_answered_hides_no_deletion(triage: Triage) -> None:
    desk = _flooded(triage, 1, 9_980)
    desk.reopen("1", DAY.isoformat())
    with desk.engine.begin() as connection:
        bury(connection, {prefix_of(identity(1).guid) or b"": True}, DAY.isoformat())
    found = _composed(triage, desk).answer(identity(1).guid)
    assert found is not None
    assert found.state == "deleted"


def test_j08_the_broadcast_tells_who_knows_a_guid_and_nobody_else(triage: Triage) -> None:
    triage.open(triage.sender.direct(range(13)))
    document = _status(triage)
    said = status_document.said(document)
    assert len(said.prefixes) == 20
    assert all(said.answer(identity(number).guid) for number in range(13))
    assert said.answer(THIEF.guid) is None
    guids = [identity(number).guid.encode() for number in range(13)]
    assert not any(guid in base64.b64decode(_payload(document)) for guid in guids)
    later = status_document.said(_status(triage, 1_795_800_000))
    assert later.prefixes == said.prefixes  # those that are nobody's stay the same


def _payload(document: bytes) -> str:
    return str(json.loads(document)["payload"])


def _deletions(triage: Triage) -> dict[str, bytes]:
    """Of the report of ``identity(1)`` by who has not its key."""
    head, _, rest = identity(1).deletion(to()).partition(b"\n")
    said = json.loads(head)
    signature = json.loads(THIEF.deletion(to()).partition(b"\n")[0])["signature"]
    forged = json.dumps({**said, "signature": signature}, separators=(",", ":")).encode()
    inner = (forged + b"\n" + rest)[:12_000].ljust(12_000, b"\0")
    return {
        "signed by another key": triage.sender.body(inner, to()),
        "of another GUID": triage.sender.body(THIEF.deletion(to()), to()),
        "for another server": triage.sender.body(identity(1).deletion(to(server=OTHER)), to()),
    }


def test_j10_nobody_deletes_the_report_of_another(triage: Triage) -> None:
    triage.open(triage.sender.direct([1]))
    for body in _deletions(triage).values():
        triage.open([body])
    assert triage.groups()[0]["direct"] == 1


def test_j10_a_deletion_is_done_once_and_leaves_nothing(triage: Triage) -> None:
    triage.open(triage.sender.direct([1], content(message="secret words of a person")))
    body = triage.sender.deletion(1)
    assert triage.open([body])["deletion"] == 1
    for again in ([body], [triage.sender.deletion(1)]):
        triage.open(again)
    assert triage.groups() == []
    file = Path(triage.url.removeprefix("sqlite:///"))
    held = b"".join(path.read_bytes() for path in file.parent.glob(f"{file.name}*"))
    for planted in (*kit.PLANTED, b"secret words", identity(1).guid.encode()):
        assert planted not in held
    said = status_document.said(_status(triage)).answer(identity(1).guid)
    assert said is not None
    assert said.state == "deleted"


def test_j10_a_deletion_looks_like_a_report(triage: Triage) -> None:
    deletion, report = triage.sender.deletion(1), triage.sender.direct([1])[0]
    assert len(deletion) == len(report) == LARGE
    assert TYPE == "report"


@pytest.mark.parametrize("first", ["report", "deletion"])
def test_j11_a_report_that_is_deleted_does_not_come_back(triage: Triage, first: str) -> None:
    report, deletion = triage.sender.direct([1]), [triage.sender.deletion(1)]
    for bodies in (report, deletion) if first == "report" else (deletion, report):
        triage.open(bodies)
    found = triage.open(triage.sender.direct([1]))
    assert (found["direct"], found["dropped"]) == (0, {"deleted": 1})
    assert triage.groups() == []
    said = status_document.said(_status(triage)).answer(identity(1).guid)
    assert said is not None
    assert said.state == "deleted"


def test_j11_what_stands_for_a_deleted_report_goes_after_ninety_days(triage: Triage) -> None:
    triage.open(triage.sender.direct([1]))
    triage.open([triage.sender.deletion(1)])
    assert prefix_of(identity(1).guid) in status_document.said(_status(triage)).prefixes
    triage.tell("retain", "--now", "2027-02-23T00:00:00Z")
    assert triage.tell("stats")["operator"]["held"]["tombstones"] == 1
    triage.tell("retain", "--now", "2027-02-24T00:00:00Z")
    assert triage.tell("stats")["operator"]["held"]["tombstones"] == 0


HOSTILE = "<script>alert(1)</script>\x1b[2J\x1b]0;owned\x07\nSecond line\u202e \u2028third"


def test_j16_texts_of_reports_steer_no_terminal(triage: Triage) -> None:
    hostile = Fault(("ValueError",), ("<b>mail.x:draw\x9b31m+3",))
    bounded = Fault.bounded(hostile.types, hostile.frames)
    triage.open(triage.sender.direct([1], content(bounded, HOSTILE)))
    number = triage.groups()[0]["group"]
    told = ("--db", triage.url, "--product", triage.product)
    for words in (("list",), ("show", number), ("show", number, "--json")):
        out = run("errors", *words, *told).stdout.decode()
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\u2028]", out)
    shown = run("errors", "show", number, *told).stdout.decode()
    assert "message: <script>alert(1)</script>" in shown
    assert "\n    Second line" in shown
    assert "x1b" not in shown


def test_j16_texts_of_the_operator_are_plain_texts_to_a_client(triage: Triage) -> None:
    rules = Rules((Claim(1, Rule.parse("ValueError"), "<b>Known</b>", fix="<script>"),))
    engine = open_triage(triage.url, create=True)
    said = broadcast.compose(
        Desk(engine, rules), broadcast.Head(kit.parsed(triage.product), 1, 1), token("pad")
    )
    answer = said.known(kit.fault("mail.any:thing"), "0.5.2")
    assert answer is not None
    assert (answer.summary, answer.fix) == ("<b>Known</b>", "<script>")


def test_j19_without_a_release_s_key_nothing_of_its_reports_can_be_read(triage: Triage) -> None:
    """Whoever has the intake's key alone; and whoever has that of another release."""
    lacking = Triage(triage.folder, triage.url, releases=("0.5.1", "0.5.3"))
    found = lacking.open(triage.sender.direct(range(3)))
    assert (found["direct"], found["waiting"]) == (0, 3)
    assert lacking.groups() == []
