"""Error reports from end to end: from an exception in the frozen example to the help for it, and to
its deletion; and those of a crowd, up to the tenth installation.

The reports go through the private Tor network to the real server, and through the operator's real
commands to answers, which the same program fetches. Only its clock is ours, so that weeks pass in
seconds, and its chance, which draws early times; the server and its spools have the real one.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from mars import factory
from mars.wire.reports.crowd import Share
from mars.wire.sealed import LARGE
from mars.wire.times import WEEK, week_start
from testbed.tornet import TorNetwork
from tests.e2e.frozen import Application, run
from tests.e2e.reporting import FIXED, PRODUCT, RELEASE, Operator, poisoned
from tests.server.serving.onions import Arrival, Front, Reached, fronted
from tests.waiting import day_that_lasts

pytest.importorskip("tkinter", reason="this Python has no Tk")

pytestmark = [
    pytest.mark.tor,
    pytest.mark.frozen,
    pytest.mark.timeout(900),
    pytest.mark.skipif(shutil.which("Xvfb") is None, reason="Xvfb is not installed"),
    pytest.mark.skipif(shutil.which("objdump") is None, reason="binutils are not installed"),
]

MARS = Path(sys.executable).with_name("mars")
SECRET = "hunter2"
"""In the message of the exception."""
MESSAGE = "I pressed the button twice."
"""Of the user."""
HOUR = 3_600
FAULTS = "examples.desktop.reports"
DIRECT, CROWD = "KeyError", "IndexError"
"""The two faults, by their types; no other word of a report stands for one of them alone."""
PLANTED = {
    "direct": (DIRECT.encode(), MESSAGE.encode()),
    "crowd": (CROWD.encode(), b"Reports.chosen"),
}
RULES = f"""
[[rule]]
number = 1
match = "{DIRECT} and {FAULTS}:show"
summary = "The page forgot what was chosen."
fix = "Choose the way anew."
release = "{FIXED}"
"""
RULE_OF_CROWD = f"""
[[rule]]
number = 2
match = "{CROWD} and {FAULTS}:chosen"
summary = "The list had more lines than reports."
fix = "Close the window and open it again."
"""
PAGE = ".!notebook.!reports"
"""Of the example's window."""
WAYS = {"crowd": "Opened by a crowd", "direct": "Read by the developers, with an answer"}


@dataclass
class User:
    """Of the frozen example."""

    app: Application
    home: Path
    front: Front

    def lives(self, until: Callable[[], object], days: int = 14) -> int:
        """Days pass until something holds; the Unix time of then, on the user's clock."""
        now = 0
        for _ in range(days * 24):
            now = self.app.pass_time(HOUR)
            if until():
                return now
        journal = command(self.home, "journal", "--product", PRODUCT)["entries"]
        sent = [entry for entry in journal if entry["sent"]]
        raise AssertionError(f"it did not happen in {days} days: {self.listed} {sent}")

    def sends(self) -> Arrival:
        """Days pass until a report or a deletion has come in, which is given."""
        before = len(self.front.posts)
        self.lives(lambda: len(self.front.posts) > before)
        return self.front.posts[before]

    # --- the page of reports ----------------------------------------------------------------

    def _widget(self, kind: str, text: str = "") -> str:
        return f"[seek {PAGE} {kind} {{{text}}}]" if text else f"[first {PAGE} {kind}]"

    def looks(self) -> None:
        """Opens the page."""
        for page in (".!notebook.!frame", PAGE):
            self.app.ask(f".!notebook select {page}; update")

    @property
    def listed(self) -> list[str]:
        return self.app.ask(f"join [{self._widget('Listbox')} get 0 end] \\n").splitlines()

    @property
    def helped(self) -> str:
        """What stands in the page's labels."""
        return self.app.shown("TLabel", PAGE)

    @property
    def text(self) -> str:
        """That would go, as it is shown."""
        return self.app.shown("Text", PAGE).strip()

    def selects(self, fault: str) -> None:
        """The report of that fault."""
        (at,) = (at for at, line in enumerate(self.listed) if fault in line)
        self._selected(str(at))

    def _selected(self, at: str) -> None:
        listed = self._widget("Listbox")
        self.app.ask(f"{listed} selection clear 0 end; {listed} selection set {at}")
        self.app.ask(f"event generate {listed} <<ListboxSelect>>")

    def says(self, message: str) -> None:
        self.app.ask(f"{self._widget('TEntry')} insert end {{{message}}}")

    def presses(self, text: str, kind: str = "TButton") -> None:
        self.app.ask(f"{self._widget(kind, text)} invoke")

    def meets_faults(self) -> None:
        """The page chokes on a way that there is not, and on a line that is no report."""
        way = f"[{self._widget('TRadiobutton', WAYS['direct'])} cget -variable]"
        self.app.ask(f"set {way} {{{SECRET}}}")
        self._selected("end")
        self.presses(WAYS["crowd"], "TRadiobutton")
        self.app.ask(f"{self._widget('Listbox')} insert end {{no report}}")
        self._selected("end")
        self.app.ask(f"{self._widget('Listbox')} delete end")
        self.app.wait_for(lambda: f"{CROWD}:" in self.app.stderr)

    def reads_and_sends(self, fault: str, way: str, message: str = "") -> str:
        """The text that was shown before."""
        self.looks()
        self.selects(fault)
        self.presses(WAYS[way], "TRadiobutton")
        if message:
            self.says(message)
        self.selects(fault)
        shown = self.text
        self.presses("Send")
        return shown


@dataclass
class Told:
    """What ``errors open`` said, what could be listed then, and all bytes that were there."""

    opened: dict[str, Any]
    groups: list[dict[str, Any]]
    unread: dict[str, int]
    contents: bytes = field(repr=False)

    def has(self, kind: str) -> list[bytes]:
        """Those words that stand for a fault of that kind that are in the bytes."""
        return [word for word in PLANTED[kind] if word in self.contents]


@dataclass
class Life:
    """Some weeks of an installation, seen from all sides."""

    net: TorNetwork
    reached: Reached
    front: Front
    operator: Operator
    home: Path
    stderr: str = ""
    shown: dict[str, str] = field(default_factory=dict)
    """The text that the user saw before it went, by the way that it went."""
    went: dict[str, Arrival] = field(default_factory=dict)
    told: dict[str, Told] = field(default_factory=dict)
    """By what had come until then."""
    report: dict[str, Any] = field(default_factory=dict)
    """The direct one, as triage shows it."""
    answered: list[str] = field(default_factory=list)
    helped: dict[str, str] = field(default_factory=dict)
    asked: str = ""
    """What the page says once the deletion was asked for."""
    gone: list[str] = field(default_factory=list)
    retained: list[list[str]] = field(default_factory=list)
    journal: list[dict[str, Any]] = field(default_factory=list)

    @contextmanager
    def serving(self, name: str) -> Iterator[None]:
        """What came meanwhile is opened at the end."""
        with self.operator.serving():
            yield
        opened = self.operator.open()
        listed = self.operator.errors("list")
        found = (listed["groups"], listed["unread"], self.operator.contents())
        self.told[name] = Told(opened, *found)


def command(home: Path, *words: str) -> dict[str, Any]:
    """What the installed ``mars`` says to the same user."""
    done = run(MARS, home, *words, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def others(life: Life, number: int) -> None:
    """Other installations met the fault that the frozen program's output ends with, and send it by
    hand."""
    folder = life.operator.folder
    trace = folder / "trace.txt"
    trace.write_text(life.stderr)
    told = ["report", "send", str(trace), "--crowd", "--module", "examples"]
    told += ("--trust", str(folder / "trust.json"), "--registry", str(folder / "registry.json"))
    told += ("--url", f"http://{life.reached.host}", "--socks", life.net.socks)
    told += ("--product", PRODUCT, "--app-version", RELEASE)

    def send(at: int) -> None:
        assert command(life.home, *told, "--state", str(folder / f"other{at}"))["ok"]

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(send, range(number)))


def first_weeks(life: Life, user: User) -> None:
    """A direct report goes in, its fault is answered by a rule, and its user is told. Meanwhile
    nine others meet another fault."""
    with life.serving("nine"):
        user.app.agree_and_check()
        user.app.wait_for(lambda: "0.5.2 is out" in user.app.shown())
        user.looks()
        user.presses("Ask me", "TRadiobutton")
        user.meets_faults()
        life.stderr = user.app.stderr
        life.shown["direct"] = user.reads_and_sends(DIRECT, "direct", MESSAGE)
        life.went["direct"] = user.sends()
        others(life, 9)
    guid = next(one["guid"] for one in command(life.home, *LIST)["reports"] if one["guid"])
    life.report = life.operator.errors("show", guid)["reports"][0]
    nine = [one.body for one in life.front.posts[1:]]
    with life.serving("nine and replays"):
        for at, body in enumerate(nine):
            life.reached.post(body, f"again {at}")
    shares = [share for share in map(life.operator.read, nine) if isinstance(share, Share)]
    with life.serving("nine and poisoned shares"):
        for at, share in enumerate(poisoned(shares)):
            body = life.operator.sealed(share.inner(), life.operator.to())
            life.reached.post(body, f"poison {at}")
    life.retained.append(life.operator.retain())


def answered_and_deleted(life: Life, user: User) -> None:
    (life.operator.folder / "rules.toml").write_text(RULES)
    life.operator.answer(user.app.pass_time(1))
    with life.serving("deletion"):
        user.lives(lambda: any(" resolved " in line for line in user.listed))
        life.answered = user.listed
        user.selects(DIRECT)
        life.helped["direct"] = user.helped
        user.presses("Delete")
        user.selects(DIRECT)
        life.asked = user.helped
        life.went["deletion"] = user.sends()
    life.retained.append(life.operator.retain())
    life.told["retained"] = replace(life.told["deletion"], contents=life.operator.contents())
    life.operator.answer(user.app.pass_time(1))


def the_tenth(life: Life, user: User) -> None:
    with life.serving("ten"):
        user.lives(lambda: any(" deleted " in line for line in user.listed))
        life.gone = user.listed
        life.shown["crowd"] = user.reads_and_sends(CROWD, "crowd")
        life.went["crowd"] = user.sends()
    (life.operator.folder / "rules.toml").write_text(RULES + RULE_OF_CROWD)
    life.operator.answer(user.app.pass_time(1))
    with life.serving("answered"):
        user.lives(lambda: any(" known " in line for line in user.listed))
        user.selects(CROWD)
        life.helped["crowd"] = user.helped
    life.journal = command(life.home, "journal", "--product", PRODUCT)["entries"]


LIST = ("report", "list", "--product", PRODUCT)


@pytest.fixture(scope="module")
def life(desktop: Path, tornet: TorNetwork) -> Iterator[Life]:
    day_that_lasts()
    now = factory.system_clock().now()
    start = week_start(now) - WEEK + 9 * HOUR  # a Monday, so that the intake takes three weeks
    with ExitStack() as stack:
        place = stack.enter_context(tempfile.TemporaryDirectory(prefix="mars-e2e-", dir="/tmp"))
        folder = Path(place)
        reached, front = stack.enter_context(fronted(tornet, folder, "reports"))
        operator = Operator(folder, reached.host, start)
        home = folder / "home"
        home.mkdir()
        for name in ("trust.json", "registry.json"):
            shutil.copy(folder / name, home)
        found = Life(tornet, reached, front, operator, home)
        app = stack.enter_context(
            Application(desktop, home, reached.url, tornet.socks, ahead=start - now)
        )
        user = User(app, home, front)
        first_weeks(found, user)
        answered_and_deleted(found, user)
        the_tenth(found, user)
        yield found


def test_what_was_shown_is_what_was_sealed_sent_recorded_and_read(life: Life) -> None:
    assert SECRET in life.stderr, "the exception said it"
    shown = life.shown["direct"]
    assert SECRET not in shown
    sent = [str(one["sent"]) for one in life.journal if one["channel"] == "reports"]
    assert shown in sent[0].replace("\r\n", "\n")
    read = life.report
    content = json.loads(shown.splitlines()[2])
    assert {name: read[name] for name in content} == content
    assert (read["message"], read["types"]) == (MESSAGE, [DIRECT])
    assert read["frames"][-1].startswith(f"{FAULTS}:Reports.show+")


def test_all_that_goes_looks_the_same(life: Life) -> None:
    assert len({one.head for one in life.went.values()}) == 1
    assert {len(one.body) for one in life.went.values()} == {LARGE}
    circuits = [one.circuit for one in life.front.arrivals]
    assert None not in circuits
    assert len(set(circuits)) == len(circuits)


def test_the_user_of_a_direct_report_is_told_what_the_rule_says(life: Life) -> None:
    assert life.told["nine"].opened["direct"] == 1
    (group,) = life.told["nine"].groups
    assert (group["state"], group["direct"]) == ("open", 1)
    assert any(" resolved " in line and DIRECT in line for line in life.answered)
    assert "The page forgot what was chosen. Choose the way anew." in life.helped["direct"]


def test_of_a_deleted_report_nothing_stays(life: Life) -> None:
    before, guid = life.told["nine"], life.report["guid"].encode()
    assert before.has("direct") == list(PLANTED["direct"]), "the search would see it"
    assert guid in before.contents
    assert "Deletion asked for." in life.asked
    assert life.told["deletion"].opened["deletion"] == 1
    assert life.told["deletion"].groups == []
    after = life.told["retained"]
    assert not after.has("direct")
    assert guid not in after.contents
    assert all(life.retained)
    assert any(" deleted " in line and DIRECT in line for line in life.gone)


NINE = ("nine", "nine and replays", "nine and poisoned shares", "deletion")


@pytest.mark.parametrize("what", NINE)
def test_nothing_of_nine_can_be_read(life: Life, what: str) -> None:
    told = life.told[what]
    assert told.opened["readable"] == 0
    assert told.unread["faults"] == 1
    assert CROWD not in str(told.groups)
    assert not told.has("crowd")


def test_replays_and_poisoned_shares_came_and_counted_for_nothing(life: Life) -> None:
    replays, poison = (life.told[f"nine and {what}"] for what in ("replays", "poisoned shares"))
    assert (replays.opened["lines"], replays.opened["repeated"]) == (9, 9)
    assert (poison.opened["lines"], poison.opened["repeated"]) == (27, 9)
    assert poison.opened["dropped"] == {"bad-share": 18}
    assert poison.unread == {"faults": 1, "shares": 9}


def test_the_tenth_installation_opens_it(life: Life) -> None:
    told = life.told["ten"]
    assert told.opened["readable"] == 1
    (group,) = told.groups
    assert (group["crowd"], group["direct"], group["releases"]) == (10, 0, [RELEASE])
    assert group["title"] == f"{CROWD} | {FAULTS}:chosen"
    assert told.has("crowd")
    assert "The list had more lines than reports." in life.helped["crowd"]
