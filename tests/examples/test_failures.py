"""What Example Mail cannot decrypt: real boxes, real causes, and what becomes of them."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from nacl.public import PrivateKey

from examples.desktop.declared import Decryption
from examples.desktop.decryption import Mail, Mailbox, UnopenedError, encrypt, explained
from examples.desktop.failures import lines
from mars import Mars
from mars.testing.world import World
from mars.wire.events import read_errors
from mars.wire.times import DAY
from tests.examples.display import has_display, picture, pump, text
from tests.mars.channels.kit import a_world

if TYPE_CHECKING:
    import tkinter as tk

ROOT = Path(__file__).parents[2]
DOMAINS = read_errors(tomllib.loads((ROOT / "motd" / "errors.toml").read_text("utf-8")))[0]
OWN, LOST, FRIEND, STRANGER = (PrivateKey(bytes([n]) * 32) for n in range(1, 5))
GRACE = 61
"""Seconds after which what failed has failed."""


@pytest.fixture
def world() -> World:
    """Its user agreed to both domains."""
    return a_world(domains=DOMAINS)


def mailbox(mars: Mars, *own: PrivateKey, unlocked: bool = True) -> Mailbox:
    stream = mars.failures("decryption")
    return Mailbox(own or (OWN,), [FRIEND.public_key], stream, lambda: unlocked)


def mail(name: str = "1", sender: PrivateKey = FRIEND, *to: PrivateKey) -> Mail:
    recipients = [one.public_key for one in to or (LOST, OWN)]
    return encrypt(name, "Hello", "At noon.", sender, recipients)


def opened(box: Mailbox, one: Mail) -> str | Decryption:
    try:
        return box.open(one)
    except UnopenedError as error:
        return error.cause


def today(mars: Mars) -> dict[str, int]:
    """What failed today, by cause."""
    return {one["name"]: one["today"] for one in mars.failures_seen()[0]["names"] if one["today"]}


DAMAGED = mail()
DAMAGED = replace(DAMAGED, body=DAMAGED.body[:-1])
FOREIGN = mail("1", FRIEND, LOST)


@pytest.mark.parametrize(
    ("given", "cause"),
    [
        (mail(), None),
        (mail("1", STRANGER), Decryption.KEY_LATE),
        (FOREIGN, Decryption.KEY_MISSING),
        (DAMAGED, Decryption.MESSAGE_DAMAGED),
        (replace(mail(), keys=(b"", *mail().keys[:1])), Decryption.KEY_MISSING),
        (replace(mail(), body=b"short"), Decryption.MESSAGE_DAMAGED),
    ],
)
def test_each_cause_is_what_it_says(world: World, given: Mail, cause: Decryption | None) -> None:
    mars = world.mars()
    assert opened(mailbox(mars), given) == (cause or "At noon.")
    world.clock.advance(GRACE)
    assert today(mars) == ({str(cause): 1} if cause else {})
    (domain, _) = mars.failures_seen()
    assert domain["succeeded"]["today"] == (cause is None)


def test_what_is_not_collected_any_more_is_not_laid_to_this_computer(world: World) -> None:
    mars = world.mars()
    world.clock.suspend(500 * DAY)
    said = [line for domain in mars.failures_seen() for line in lines(domain)]
    assert said.count("It is not collected any more.") == len(DOMAINS)
    assert "You agreed to it, and a setting of this computer holds it back." not in said


def test_a_question_that_was_closed_is_expected(world: World) -> None:
    mars = world.mars()
    assert opened(mailbox(mars, unlocked=False), mail()) is Decryption.CANCELLED
    world.clock.advance(GRACE)
    assert today(mars) == {"cancelled": 1}
    assert [it.expected for it in DOMAINS[0].names if it.name == "cancelled"] == [True]


def test_a_key_that_arrives_within_the_grace_leaves_nothing(world: World) -> None:
    mars = world.mars()
    box, early = mailbox(mars), mail("1", STRANGER)
    assert opened(box, early) is Decryption.KEY_LATE
    world.clock.advance(10)
    box.learn(STRANGER.public_key)
    assert opened(box, early) == "At noon."
    world.clock.advance(GRACE)
    assert today(mars) == {}


def test_a_key_that_arrives_late_is_told_as_late_and_to_each_subscriber(world: World) -> None:
    mars = world.mars()
    box, early = mailbox(mars), mail("1", STRANGER)
    stream = mars.failures("decryption")
    with stream.subscribe() as one, stream.subscribe() as two:
        assert opened(box, early) is Decryption.KEY_LATE
        assert one.get(0) is None
        world.clock.advance(3600)
        assert opened(box, early) is Decryption.KEY_LATE, "another look is no other failure"
        box.learn(STRANGER.public_key)
        assert opened(box, early) == opened(box, early) == "At noon."
        for each in (one, two):
            events = [each.get(0), each.get(0)]
            assert [(it.kind, it.name) for it in events if it] == [
                ("failed", "key_late"),
                ("late", "key_late"),
            ]
            assert each.get(0) is None
    assert today(mars) == {"key_late": 1}
    assert mars.failures_seen()[0]["resolved_late"]["today"] == 1
    assert mars.failures_seen()[0]["succeeded"]["today"] == 1


def test_a_mail_in_the_folders_of_several_recipients_is_one_failure(world: World) -> None:
    mars = world.mars()
    box = mailbox(mars, OWN, PrivateKey.generate(), PrivateKey.generate())
    assert {opened(box, DAMAGED) for _ in range(3)} == {Decryption.MESSAGE_DAMAGED}
    world.clock.advance(GRACE)
    assert today(mars) == {"message_damaged": 1}


def test_a_lost_key_that_closes_a_whole_folder_is_told_as_one_coarse_count(world: World) -> None:
    mars = world.mars()
    box = mailbox(mars)
    assert today(mars) == {}
    world.clock.advance(2 * DAY)
    causes = Counter(opened(box, replace(FOREIGN, name=str(number))) for number in range(150))
    assert causes == {Decryption.KEY_MISSING: 150}
    world.clock.advance(GRACE)
    assert today(mars) == {"key_missing": 150}
    world.clock.advance(6 * DAY)
    values = {one["name"]: one["value"] for one in mars.failures_seen()[0]["entries"]}
    assert values["decryption/key_missing"] == "100+"
    assert values["decryption/key_missing.sender"] == "known"
    assert values["decryption/message_damaged"] == "0"
    assert values["decryption/failed_share"] == "more"


def test_each_cause_is_explained() -> None:
    assert len({explained(cause) for cause in Decryption}) == len(Decryption)


def test_the_module_and_the_public_catalogue_are_current() -> None:
    command = Path(sys.executable).with_name("mars-motd")
    made = ("--out", "examples/desktop/declared.py", "--catalogue", "motd/catalogue.md")
    given = ("generate", "motd", *made, "--check", "--now", "2026-12-01T00:00:00Z")
    done = subprocess.run([command, *given], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@has_display
def test_what_failed_is_seen_in_the_folder_in_the_bar_and_on_the_page(
    root: tk.Tk, tmp_path: Path
) -> None:
    from examples.desktop.__main__ import add_mail
    from examples.desktop.failures import lines
    from examples.desktop.mail import StatusBar
    from examples.desktop.window import Inbox, Window

    world = a_world(domains=DOMAINS, agreed=False)
    world.grant("plain")
    mars = world.mars(dispatch=Inbox(root))
    window = Window(root, mars)
    page, failures = window.failures, mars.failures_seen
    assert set(page.switches) == {"decryption/*", "transport/*"}
    assert list(lines(failures()[0])) == ["Nothing is counted."]
    page.switches["decryption/*"].set(True)
    world.store.full = True
    assert not page.save()
    assert page.problem.cget("text")
    world.store.full = False
    assert page.save()
    assert mars.consent.decision is not None
    assert set(mars.consent.decision.entries) == {"decryption/*"}

    world.clock.advance(2 * DAY)
    assert list(lines(failures()[0]))[1].startswith("    0 in the last seven days, 0 today.")
    mails = add_mail(window, mars)
    (bar,) = [it for it in root.winfo_children() if isinstance(it, StatusBar)]
    window.pages.select(mails)  # type: ignore[no-untyped-call]
    assert "The meeting is on Friday." in text(mails.list)
    assert "The sender's key has not arrived yet." in text(mails.list)
    world.clock.advance(GRACE)
    pump(root, lambda: bar.failed == 3)
    mails.fetch.invoke()
    assert "We met at the fair." in text(mails.list)
    pump(root, lambda: bar.cget("text") == "3 mails could not be opened; 1 of them could later.")
    picture(root, "desktop-mail", tmp_path)

    window.pages.select(page)  # type: ignore[no-untyped-call]
    root.update()
    shown = list(lines(failures()[0]))
    assert shown[0] == "No key on this computer opens an encrypted mail."
    told = "    0 in the last seven days, 1 today. Nothing to tell before seven days. Never told."
    assert shown[1] == told
    world.clock.advance(6 * DAY)
    page.refresh()
    shown = list(lines(failures()[0]))
    told = "    1 in the last seven days, 0 today. Would be told: 1. Never told."
    assert shown[1] == shown[3] == shown[5] == told
    assert "Failed share. Would be told: few (fewer than 20 tries). Never told." in shown
    assert page.local.get()
    picture(root, "desktop-failures", tmp_path)
    assert mars.status()["streams"]["problems"] == []

    page.switches["decryption/*"].set(False)
    assert page.save()
    assert list(lines(failures()[0])) == ["Nothing is counted."]
    page.local.set(True)
    page._show()
    assert window.statistics.local.get()
    assert next(iter(lines(failures()[0]))).startswith("No key on this computer")
