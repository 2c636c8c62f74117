"""The page of error reports in the example application, on a display of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mars.wire.reports.rules import Rule
from mars.wire.reports.status import Known
from mars.wire.times import DAY
from tests.examples.display import has_display, pump, text
from tests.mars.channels.kit import posted
from tests.mars.channels.reporting import (
    ANSWER,
    a_world,
    answering,
    fault,
    meet,
    released,
    running,
    until_posted,
)

if TYPE_CHECKING:
    import tkinter as tk

pytestmark = has_display


def test_a_fault_in_a_window_is_seen_read_sent_and_deleted(root: tk.Tk) -> None:
    from examples.desktop.reports import ASKED, Reports

    world = a_world("never")
    mars = world.mars(modules=["tests"])
    page = Reports(root, mars)
    page.mode.set("ask")
    page.choose()
    assert mars.reports.mode == "ask"

    def broken() -> None:
        raise ValueError("a secret of the user")

    before = root.report_callback_exception
    root.report_callback_exception = lambda *_told: None
    mars.tk.install(root)
    root.after(0, broken)
    root.update()
    mars.reports.uninstall()
    root.report_callback_exception = before

    assert page.list.size() == 0
    page.pack()
    root.update()
    assert page.list.size() == 1, "as soon as the page is looked at"
    assert " queued  ValueError tests.examples.test_reports:" in page.list.get(0)
    page.list.selection_set(0)
    page.show()
    assert '"kind":"crowd"' in text(page.text)
    assert "ten installations" in page.meaning.cget("text")
    page.way.set("direct")
    page.message.set("I pressed the button.")
    page.show()
    shown = text(page.text)
    assert "I pressed the button." in shown
    assert "a secret of the user" not in shown

    answering(world, faults=[Known(Rule.parse("ValueError"), 0)])
    running(world, 12 * DAY)
    page.refresh()
    assert ANSWER.fix in page.help.cget("text"), "before anything was sent"
    assert posted(world) == []
    page.release()
    assert "waits to go" in page.list.get(0)
    (went,) = until_posted(world)
    assert went.sealed == shown
    page.refresh()
    page.forget()
    assert page.help.cget("text").startswith(ASKED)
    page.destroy()


def test_the_page_shows_what_failed_since_it_was_last_seen(root: tk.Tk) -> None:
    from examples.desktop.reports import REMOVED, Reports

    world = a_world("ask")
    page = Reports(root, world.mars())
    meet(world, fault())
    assert page.list.size() == 0
    assert page.delete.instate(["disabled"])
    assert page.words.instate(["disabled"]), "a crowd reads no words"
    page.pack()
    pump(root, lambda: page.list.size() == 1)
    page.list.selection_set(0)
    page.way.set("direct")
    page.show()
    assert page.delete.instate(["!disabled"])
    assert page.words.instate(["!disabled"])
    page.forget()
    assert page.help.cget("text") == REMOVED
    assert page.list.size() == 0
    page.destroy()


def test_what_a_crowd_has_is_told_to_stay_there(root: tk.Tk) -> None:
    from examples.desktop.reports import STAYS, Reports

    world = a_world("ask")
    released(world, "crowd")
    until_posted(world)
    page = Reports(root, world.mars())
    page.list.selection_set(0)
    page.forget()
    assert page.help.cget("text") == STAYS
    page.destroy()
