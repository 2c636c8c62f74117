"""The example application on a display of its own: first run, settings, news, update, alert."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mars.testing.memory import machine
from mars.testing.world import World
from mars.wire.motd import Message
from mars.wire.request import request_bytes
from tests.examples.display import IMAGES, has_display, picture, pump, text
from tests.mars.channels.kit import ENCRYPTION, FOLDERS, METRICS, PROTOCOL, VALUES, a_world

if TYPE_CHECKING:
    import tkinter as tk

pytestmark = has_display

NAMES = (
    "desktop-first-run",
    "desktop-news",
    "desktop-alert",
    "desktop-privacy",
    "desktop-statistics",
    "desktop-mail",
    "desktop-failures",
)


def test_the_example_from_first_run_to_alert(root: tk.Tk, tmp_path: Path) -> None:
    from examples.desktop.choice import NOT_STORED, NOTHING
    from examples.desktop.window import Inbox, Window

    world = World(crowd=1000, seed=2)  # the first draw falls on the country
    world.publish(
        news="Example Mail turns ten.",
        messages=(
            Message(
                "hole",
                {"en": "Update now: letters can be read by others"},
                {"en": "Version 0.5.2 closes a hole in 0.5.1. Update before you write again."},
                kind="security",
                severity="critical",
                url="https://example.org/security",
            ),
            Message("party", {"en": "Ten years"}, {"en": "Thank you for using Example Mail."}),
        ),
    )
    mars = world.mars(dispatch=Inbox(root))
    window = Window(root, mars)
    mars.start()
    try:
        # First run: nothing is chosen, and closing decides nothing.
        assert window.first_run is not None
        assert window.asked is not None
        asked = window.asked
        assert asked.level.get() == "off"
        assert text(asked.shown) == NOTHING
        window.first_run.destroy()
        assert mars.consent.decision is None
        assert not mars.check_now()

        # Asked again: the preview follows every switch.
        window.ask()
        asked = window.asked
        asked.level.set("plain")
        host = world.url.split("/")[2]
        assert text(asked.shown) == said(host, "")
        asked.level.set("tracked")
        assert text(asked.shown) == said(host, "v=0.5.1&os=linux&ia=1")
        asked.switches["ia"].set(False)
        asked.switches["cc"].set(True)
        asked.country.set("is")
        assert text(asked.shown) == said(host, "v=0.5.1&os=linux&cc=IS")
        pump(root, window.first_run.winfo_viewable)
        window.first_run.lift()
        picture(root, "desktop-first-run", tmp_path)
        assert world.server.visits == []
        world.store.full = True
        asked.save()
        assert window.first_run.winfo_exists(), "what could not be stored is asked still"
        assert NOT_STORED in asked.problem.cget("text")
        assert mars.consent.decision is None
        world.store.full = False
        asked.save()
        assert mars.consent.level == "tracked"

        # The button fetches plainly; news, update notice and alert appear.
        window.check.invoke()
        pump(root, lambda: window.alert is not None)
        assert len(world.server.visits) == 1
        assert "?" not in world.server.visits[0]
        assert "Update now: letters can be read by others" in text(window.news)
        assert "Example Mail turns ten." in text(window.news)
        assert window.notice.cget("text") == "Version 0.5.2 closes a security hole. Please update."
        assert window.notice.winfo_ismapped()
        picture(root, "desktop-alert", tmp_path)
        assert window.alert is not None
        window.alert.destroy()
        picture(root, "desktop-news", tmp_path)

        # The settings page shows the decision, and takes it back.
        window.pages.select(window.settings)  # type: ignore[no-untyped-call]
        assert window.settings.switches["ia"].get() is False
        assert text(window.settings.shown) == said(host, "v=0.5.1&os=linux&cc=IS")
        picture(root, "desktop-privacy", tmp_path)
        window.settings.level.set("off")
        world.store.full = True
        assert not window.settings.save()
        kept = world.client().load().decision
        assert kept is not None
        assert kept.level == "tracked", "so the window must say it"
        assert NOT_STORED in window.settings.problem.cget("text")
        pump(root, window.settings.problem.winfo_ismapped)
        world.store.full = False
        assert window.settings.save()
        pump(root, lambda: not window.settings.problem.winfo_ismapped())
        assert mars.consent.level == "off"
        assert world.client().load().country is None
        assert text(window.settings.shown) == NOTHING
        window.check.invoke()
        assert len(world.server.visits) == 1
    finally:
        mars.stop()


def said(host: str, query: str) -> str:
    return request_bytes(host, query).decode().replace("\r\n", "\n").strip()


def test_the_docs_have_the_pictures() -> None:
    page = (IMAGES.parent / "embedding.md").read_text("utf-8")
    for name in NAMES:
        assert (IMAGES / f"{name}.png").stat().st_size > 2_000
        assert f"images/{name}.png" in page


def test_statistics_are_shown_here_first_and_sent_only_by_a_switch(
    root: tk.Tk, tmp_path: Path
) -> None:
    from examples.desktop.statistics import Statistics, lines
    from examples.desktop.window import Inbox, Window

    world = a_world(*METRICS, given=VALUES, agreed=False)
    world.grant("plain")
    mars = world.mars(dispatch=Inbox(root))
    window = Window(root, mars)
    page = window.statistics
    window.pages.select(page)  # type: ignore[no-untyped-call]
    assert set(page.switches) == {metric.name for metric in METRICS}
    assert not any(switch.get() for switch in page.switches.values())
    entries = {one["name"]: one for one in mars.statistics.entries()}
    assert lines(entries[FOLDERS.name])[1:] == ["Never sent."], "nothing is collected"
    page.local.set(True)
    page._show()
    entries = {one["name"]: one for one in mars.statistics.entries()}
    shown = lines(entries[FOLDERS.name])
    assert "Now: 10-99. Would be sent: 10-99. The true value is sent." in shown
    assert mars.consent.decision is not None
    assert not mars.consent.decision.entries, "local is no consent"
    page.switches[FOLDERS.name].set(True)
    picture(root, "desktop-statistics", tmp_path)
    world.store.full = True
    assert not page.save()
    assert page.problem.cget("text")
    world.store.full = False
    assert page.save()
    assert set(mars.consent.decision.entries) == {FOLDERS.name}
    assert page.switches[FOLDERS.name].get()
    assert mars.statistics.to_ask, "of what was not touched nothing was decided"
    world.host = machine(environ={"DO_NOT_TRACK": "1"})
    held = Statistics(root, world.mars(), lambda: None)
    assert [name for name, switch in held.switches.items() if switch.get()] == [FOLDERS.name]
    assert held.save()
    assert set(mars.consent.decision.entries) == {FOLDERS.name}, "held back, and not taken back"
    held.switches[FOLDERS.name].set(False)
    assert held.save()
    assert not mars.consent.decision.entries


def test_each_project_has_one_heading_in_whatever_order_it_is_declared(root: tk.Tk) -> None:
    from examples.desktop.statistics import Statistics

    other = replace(PROTOCOL, project="a-plug-in")
    page = Statistics(root, a_world(FOLDERS, other, ENCRYPTION).mars(), lambda: None)
    shown = [str(one.cget("text")) for one in page.list.winfo_children()]
    assert [text for text in shown if text in {"examplemail", "a-plug-in"}] == [
        "a-plug-in",
        "examplemail",
    ]
