"""What root says rides beside the news: made, carried, renewed; and what a thief cannot do."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mars.testing.world import ONION

Run = Callable[..., Any]
MARCH = "2026-03-01T00:00:00Z"
NEXT_DAY = "2026-03-02T00:00:00Z"
APRIL = "2026-04-01T00:00:00Z"
SERVER = f'servers = ["http://{ONION}"]'
LINKS = 'links = ["https://example.org/"]'


def edit(folder: Path, old: str, new: str) -> None:
    path = folder / "product.toml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def said(document: Path, member: str = "") -> Any:
    """The payload of an envelope, or of what rides in it."""
    envelope = json.loads(document.read_text())
    return json.loads(base64.b64decode((envelope[member] if member else envelope)["payload"]))


def refused(done: Any, reason: str) -> bool:
    return done.code == 1 and f"[{reason}]" in done.err


@pytest.fixture
def pinned(product: Path, tmp_path: Path, ok: Run) -> Path:
    """A folder with a server, whose news were signed in March; root has been carried away."""
    edit(product, "servers = []", SERVER)
    edit(product, "links = []", LINKS)
    ok("sign", product, "--out", tmp_path / "first.json", "--now", MARCH)
    ok("trust", product, "--out", tmp_path / "trust.json", "--now", MARCH)
    (product / "root").rename(tmp_path / "root")
    return product


def test_sign_makes_it_of_what_the_folder_says(product: Path, tmp_path: Path, ok: Run) -> None:
    edit(product, "servers = []", SERVER)
    edit(product, "links = []", LINKS)
    edit(product, "reportback_next = 0", "reportback_next = 604800")
    registry = ok("registry", product, "--out", tmp_path / "registry.json", "--json").json
    (product / "intake.json").write_text(json.dumps({"2026-W48": "ab" * 32}))
    out, trust = tmp_path / "motd.json", tmp_path / "trust.json"
    done = ok("sign", product, "--out", out, "--now", MARCH)
    assert 'links: ["https://example.org/"]' in done.err, "it shows what it signs for root"
    steering = said(out, "x-steering")
    assert steering == said(product / "steering.json")
    assert steering["servers"] == [f"http://{ONION}"]
    assert (steering["links"], steering["reportback_next"]) == (["https://example.org/"], 604_800)
    assert steering["registry"] == registry["sha256"]
    assert steering["intake"] == {"2026-W48": "ab" * 32}
    news = said(out)
    assert news["reportback_server"] == f"http://{ONION}"
    assert news["reportback_next"] == 604_800
    ok("trust", product, "--out", trust, "--now", MARCH)
    found = ok("verify", out, "--trust", trust, "--now", MARCH, "--json").json
    assert (found["steering"], found["notes"]) == (steering["serial"], [])


def test_it_is_carried_along_while_root_is_away(
    pinned: Path, tmp_path: Path, ok: Run, motd: Run
) -> None:
    out, before = tmp_path / "second.json", (pinned / "steering.json").read_bytes()
    edit(pinned, "releases = []", 'releases = ["0.1.0"]')
    edit(pinned, 'languages = ["en"]', 'languages = ["en", "is"]')
    ok("sign", pinned, "--out", out, "--now", NEXT_DAY)
    assert said(out, "x-steering") == said(tmp_path / "first.json", "x-steering")
    assert (pinned / "steering.json").read_bytes() == before
    ok("deploy", pinned, tmp_path / "www.json", "--now", NEXT_DAY)


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        (SERVER, "servers = []", "servers"),
        (LINKS, 'links = ["https://evil.example/"]', "links"),
        ("reportback_next = 0", "reportback_next = 259200", "reportback_next"),
    ],
)
def test_a24_a_stolen_folder_without_root_steers_nobody(
    pinned: Path, tmp_path: Path, ok: Run, motd: Run, old: str, new: str, names: str
) -> None:
    edit(pinned, old, new)
    out = tmp_path / "stolen.json"
    done = motd("sign", pinned, "--out", out, "--now", NEXT_DAY)
    assert refused(done, "root-away")
    assert f"({names})" in done.err
    assert f"carry root/ back into {pinned}" in done.err
    assert not out.exists()
    assert refused(motd("steering", pinned, "--now", NEXT_DAY), "root-away")
    assert refused(motd("trust", pinned, "--out", tmp_path / "t", "--now", NEXT_DAY), "root-away")
    status = motd("status", pinned, "--now", NEXT_DAY, "--json")
    assert (status.code, status.json["root"], status.json["roles"]["root"]) == (1, False, False)
    assert status.json["steering"]["current"] is False
    assert status.json["steering"]["changes"][0].startswith(f"{names}: ")
    (tmp_path / "root").rename(pinned / "root")
    ok("sign", pinned, "--out", out, "--now", NEXT_DAY)
    assert ok("status", pinned, "--now", NEXT_DAY, "--json").json["steering"]["current"] is True


@pytest.mark.parametrize("root", [False, True])
def test_a24_a_tampered_steering_document_is_noticed(
    pinned: Path, tmp_path: Path, ok: Run, motd: Run, root: bool
) -> None:
    path, out = pinned / "steering.json", tmp_path / "x.json"
    genuine = path.read_text()
    if root:
        (tmp_path / "root").rename(pinned / "root")
    for attack in ("payload", "signature", "news key", "rubbish"):
        envelope = json.loads(genuine)
        text = base64.b64decode(envelope["payload"]).replace(
            b'"reportback_next":0', b'"reportback_next":1'
        )
        if attack == "payload":
            envelope["payload"] = base64.b64encode(text).decode()
        elif attack == "signature":
            envelope["signatures"] = envelope["signatures"][:1]
        elif attack == "news key":  # what stolen news keys have signed
            envelope["signatures"] = json.loads((tmp_path / "first.json").read_text())["signatures"]
        path.write_text("{" if attack == "rubbish" else json.dumps(envelope))
        for command in ("sign", "trust"):
            done = motd(command, pinned, "--out", out, "--now", NEXT_DAY)
            assert refused(done, "rider-invalid"), (attack, command)
            assert "Restore it" in done.err
        assert refused(motd("steering", pinned, "--now", NEXT_DAY), "rider-invalid")
        status = motd("status", pinned, "--now", NEXT_DAY, "--json").json
        assert any("[rider-invalid]" in it for it in status["problems"])
        assert not out.exists()
    path.write_text(genuine)
    ok("sign", pinned, "--out", out, "--now", NEXT_DAY)


def test_a24_one_of_another_product_or_of_an_epoch_to_come_is_not_carried(
    pinned: Path, tmp_path: Path, ok: Run, motd: Run
) -> None:
    for old, new in (
        ('"product":"examplemail"', '"product":"othermail"'),
        ('"epoch":1', '"epoch":2'),
    ):
        envelope = json.loads((pinned / "steering.json").read_text())
        text = base64.b64decode(envelope["payload"]).decode()
        assert old in text
        envelope["payload"] = base64.b64encode(text.replace(old, new).encode()).decode()
        other = Path(shutil.copytree(pinned, tmp_path / new[1:6]))
        (other / "steering.json").write_text(json.dumps(envelope))
        done = motd("sign", other, "--out", tmp_path / "x.json", "--now", NEXT_DAY)
        assert refused(done, "wrong-document")


def test_news_may_be_dated_before_what_steers(product: Path, tmp_path: Path, ok: Run) -> None:
    """As rehearsals and tests date them: clients of that day would pass it over, those of today do
    not."""
    out, trust = tmp_path / "motd.json", tmp_path / "trust.json"
    edit(product, "servers = []", SERVER)
    for order in (("sign", "trust"), ("trust", "sign")):
        folder = Path(shutil.copytree(product, tmp_path / order[0]))
        for command in order:
            ok(command, folder, "--out", out if command == "sign" else trust)
        ok("sign", folder, "--out", out, "--now", MARCH)
        assert ok("verify", out, "--trust", trust, "--now", MARCH, "--json").json["ok"]


def test_a_new_epoch_needs_one_of_its_own(pinned: Path, tmp_path: Path, ok: Run, motd: Run) -> None:
    (tmp_path / "root").rename(pinned / "root")
    ok("key", "rotate", pinned, "--now", NEXT_DAY)
    (pinned / "root").rename(tmp_path / "root")
    out, state = tmp_path / "x.json", tmp_path / "state.json"
    done = motd("sign", pinned, "--out", out, "--now", NEXT_DAY)
    assert refused(done, "root-away")
    assert "no steering document of epoch 2" in done.err
    (tmp_path / "root").rename(pinned / "root")
    ok("steering", pinned, "--now", NEXT_DAY)
    (pinned / "root").rename(tmp_path / "root")
    told = ("--trust", tmp_path / "trust.json", "--now", NEXT_DAY, "--state", state, "--json")
    ok("verify", tmp_path / "first.json", *told)
    ok("sign", pinned, "--out", out, "--now", NEXT_DAY)
    found = ok("verify", out, *told).json
    assert (found["epoch"], found["notes"]) == (2, [])
    assert said(out, "x-steering")["epoch"] == 2


def test_steering_renews_alone_and_says_what_changes(
    product: Path, tmp_path: Path, ok: Run
) -> None:
    first = ok("steering", product, "--now", MARCH, "--json").json
    assert (first["complete"], "servers: []" in first["changed"]) == (True, True)
    assert ok("steering", product, "--now", NEXT_DAY, "--json").json["changed"] == []
    assert said(product / "steering.json")["issued"] == MARCH, "what says the same is not renewed"
    edit(product, "links = []", LINKS)
    done = ok("steering", product, "--now", NEXT_DAY)
    assert 'links: [] -> ["https://example.org/"]' in done.err
    assert said(product / "steering.json")["issued"] == NEXT_DAY


def test_a24_two_documents_never_have_one_serial(
    product: Path, tmp_path: Path, ok: Run, motd: Run
) -> None:
    ok("steering", product, "--now", MARCH)
    edit(product, "links = []", LINKS)
    ok("steering", product, "--now", MARCH)
    assert said(product / "steering.json")["issued"] == "2026-03-01T00:00:01Z"
    edit(product, LINKS, "links = []")
    assert refused(motd("steering", product, "--now", MARCH), "rollback")
    for folder in ("one", "two"):  # by the clock: it waits for the next second
        edit(product, "links = [", f'links = ["https://{folder}.example.org/", ')
        ok("steering", product)
    serials = [said(product / "steering.json")["serial"]]
    edit(product, "links = [", 'links = ["https://three.example.org/", ')
    ok("steering", product)
    assert said(product / "steering.json")["serial"] > serials[0]


def test_a24_an_older_half_signed_one_is_not_finished(
    product: Path, tmp_path: Path, ok: Run, motd: Run
) -> None:
    edit(product, "threshold = 1", "threshold = 1\nroot_threshold = 2")
    ok("key", "new", product, "--role", "root", "--name", "bob", "--no-passphrase")
    ok("sign", product, "--out", tmp_path / "x.json", "--now", MARCH)
    edit(product, "links = []", LINKS)
    half = tmp_path / "half.json"
    away = Path(shutil.copytree(product, tmp_path / "away"))
    (away / "root" / "bob-root.secret").unlink()
    assert refused(motd("sign", away, "--out", tmp_path / "y.json", "--now", NEXT_DAY), "root-away")
    ok("steering", away, "--now", NEXT_DAY, "--partial", half)
    ok("steering", product, "--now", APRIL)
    done = motd("steering", product, "--now", APRIL, "--add-to", half)
    assert refused(done, "rollback")
    assert said(product / "steering.json")["issued"] == APRIL


def test_a24_what_clients_would_pass_over_is_not_signed_nor_deployed(
    pinned: Path, tmp_path: Path, ok: Run, motd: Run, verdict: Run
) -> None:
    """Whoever serves can leave the steering document out or put an old one there; that must not
    come from the publisher."""
    old = (pinned / "steering.json").read_text()
    (tmp_path / "root").rename(pinned / "root")
    edit(pinned, "reportback_next = 0", "reportback_next = 259200")
    out, target = tmp_path / "x.json", tmp_path / "www.json"
    ok("sign", pinned, "--out", out, "--now", NEXT_DAY)
    ok("deploy", pinned, target, "--now", NEXT_DAY)
    edit(pinned, "reportback_next = 259200", "reportback_next = 0")
    third = ("--now", "2026-03-03T00:00:00Z")
    ok("sign", pinned, "--out", out, *third)
    stale = json.loads(out.read_text()) | {"x-steering": json.loads(old)}
    out.write_text(json.dumps(stale))
    done = motd("deploy", pinned, target, "--file", out, *third)
    assert refused(done, "rollback")
    assert "pass over the steering document" in done.err
    forged = json.loads(target.read_text())
    forged["x-steering"]["signatures"] = forged["signatures"]
    out.write_text(json.dumps(forged))
    assert "steering: signature-threshold" in verdict(out, pinned)["notes"]
    done = motd("deploy", pinned, target, "--file", out, "--now", NEXT_DAY)
    assert refused(done, "signature-threshold")


def test_a24_a_stale_copy_of_it_is_not_taken_for_the_last(
    pinned: Path, tmp_path: Path, ok: Run, motd: Run
) -> None:
    old, out = (pinned / "steering.json").read_text(), tmp_path / "x.json"
    (tmp_path / "root").rename(pinned / "root")
    edit(pinned, "reportback_next = 0", "reportback_next = 259200")
    ok("sign", pinned, "--out", out, "--now", NEXT_DAY)
    newer = said(out, "x-steering")
    (pinned / "steering.json").write_text(old)
    (pinned / "root").rename(tmp_path / "root")
    ok("trust", pinned, "--out", tmp_path / "t.json", "--now", NEXT_DAY)
    assert said(tmp_path / "t.json", "x-steering") == newer
    edit(pinned, "reportback_next = 259200", "reportback_next = 0")  # as the copy says
    assert refused(motd("sign", pinned, "--out", out, "--now", APRIL), "root-away")
    assert refused(motd("steering", pinned, "--now", APRIL), "root-away")


def test_a24_a_holder_without_it_takes_it_from_the_news_he_signs(
    product: Path, tmp_path: Path, ok: Run, motd: Run
) -> None:
    edit(product, "threshold = 1", "threshold = 2\nroot_threshold = 1")
    for role in ("motd", "release"):
        ok("key", "new", product, "--name", "bob", "--role", role, "--no-passphrase")
    ok("trust", product, "--out", tmp_path / "trust.json", "--now", MARCH)
    bob = Path(shutil.copytree(product, tmp_path / "bob"))
    shutil.rmtree(bob / "root")
    for path in (bob / "keys" / "motd-1.secret", bob / "steering.json"):
        path.unlink()
    half, full = tmp_path / "half.json", tmp_path / "full.json"
    ok("sign", product, "--key", "motd-1", "--out", half, "--now", MARCH, "--partial")
    assert refused(motd("sign", bob, "--out", full, "--now", MARCH), "root-away")
    genuine = half.read_text()
    forged = json.loads(genuine)
    forged["x-steering"]["signatures"] = forged["signatures"]
    half.write_text(json.dumps(forged))
    add = ("sign", bob, "--add-to", half, "--out", full, "--now", NEXT_DAY)
    assert refused(motd(*add), "root-away")
    half.write_text(genuine)
    ok(*add)
    assert said(full, "x-steering") == said(product / "steering.json")
    found = ok("verify", full, "--trust", tmp_path / "trust.json", "--now", NEXT_DAY, "--json").json
    assert found["notes"] == []


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"2026-W48": "ab"}', '{"next week": "' + "ab" * 32 + '"}']
)
def test_intake_keys_that_no_client_can_read_are_refused(
    product: Path, tmp_path: Path, motd: Run, text: str
) -> None:
    (product / "intake.json").write_text(text)
    done = motd("sign", product, "--out", tmp_path / "x.json", "--now", MARCH)
    assert refused(done, "intake-damaged") or refused(done, "steering-invalid")
    assert "intake.json" in done.err


def test_links_outside_of_the_prefixes_are_told_of(product: Path, ok: Run, motd: Run) -> None:
    news = ("new", product, "a", "--title", "T", "--url")
    assert "clients leave it out" in ok(*news, "https://example.org/a").err
    warned = ok("check", product).out
    assert f"{product}/messages/a.toml:8: warning: url begins with nothing" in warned
    gone = ok("preview", product, "--as", "os=linux", "--json").json
    assert (gone["shown"][0]["url"], gone["left_out"]) == ("", {"a": "https://example.org/a"})
    assert "without its link https://example.org/a" in ok("preview", product).out
    edit(product, "links = []", LINKS)
    assert "messages/a.toml" not in ok("check", product).out
    shown = ok("preview", product, "--as", "os=linux", "--json").json
    assert (shown["shown"][0]["url"], shown["left_out"]) == ("https://example.org/a", {})
    path = product / "messages" / "a.toml"
    path.write_text(path.read_text().replace("/a", "/a?who=you"))
    assert "url has a query" in ok("check", product).out
    assert 'links: ["https://example.org/"]' in ok("preview", product).out
    edit(product, LINKS, 'links = ["https://example.org"]')
    assert refused(motd("check", product), "product-invalid")


def test_preview_shows_what_rides_along(pinned: Path, tmp_path: Path, ok: Run) -> None:
    file = ("preview", pinned, "--file", tmp_path / "first.json")
    assert "x-steering:" in ok(*file).out
    assert ok(*file, "--json").json["riders"]["x-steering"]["servers"] == [f"http://{ONION}"]
    assert (
        "application/vnd.mars.steering"
        in ok("preview", pinned, "--file", pinned / "steering.json").out
    )
