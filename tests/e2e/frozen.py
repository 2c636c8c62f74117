"""A program frozen by PyInstaller as its manual says, without one option for our sake: the example
application, which is run on a display of its own, and by another name the ``mars`` command."""

from __future__ import annotations

import contextlib
import json
import os
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

AHEAD = "AHEAD"
"""In its environment: has the frozen application keep a time of its own, at first so many seconds
ahead of the system's; it goes on by what is written to its standard input."""
SCRIPT = """
import importlib, os, sys, threading, time
from examples.desktop.__main__ import main
from mars import factory
from mars.core.thread import Background

class Clock:
    # The client's thread asks for the running time before and after each sleep.
    def __init__(self, ahead):
        self.ahead, self.system, self.asked = ahead, factory.system_clock(), 0
        self.changed = threading.Condition()
    def now(self):
        return self.system.now() + self.ahead
    def monotonic(self):
        found = self.system.monotonic() + self.ahead
        if sys._getframe(1).f_code is Background._run.__code__:
            with self.changed:
                self.asked += 1
                self.changed.notify_all()
        return found
    def until_asleep(self, after=0):
        # And not about to wake, since somebody pressed a button.
        seen = -1
        while seen != self.asked:
            with self.changed:
                self.changed.wait_for(lambda: self.asked % 2 and self.asked > after)
                seen = self.asked
            time.sleep(0.002)
        return seen

class Soon:
    # Of each span that chance has the first tenth.
    def __init__(self):
        self.system = factory.system_chance()
        self.choice, self.token = self.system.choice, self.system.token
    def uniform(self, low, high):
        return low + (self.system.uniform(low, high) - low) / 10

def passing(clock, clients):
    for line in sys.stdin:
        turns = clock.until_asleep()
        clock.ahead += int(line)
        clients[0].look()
        clock.until_asleep(after=turns)
        print(clock.now(), flush=True)

if os.path.basename(sys.argv[0]) == "mars":
    # By a name that no analysis sees, so that it is there for the client's hook alone.
    sys.exit(importlib.import_module("mars.cli").main())

more = {}
if "AHEAD" in os.environ:
    clock, clients = Clock(int(os.environ["AHEAD"])), []
    more = {"clock": clock, "chance": Soon(), "on_turn": lambda mars: clients.append(mars)}
    threading.Thread(target=passing, args=(clock, clients), daemon=True).start()
sys.exit(main(sys.argv[1:], **more))
"""


def freeze(packages: Path, folder: Path, name: str, *options: str) -> Path:
    """The program by that name in ``folder``. What PyInstaller found out there stays, so that one
    of the same script in another form is not analysed anew."""
    script = folder / "desktop.py"
    if not script.exists():  # else newer than what was found out
        script.write_text(SCRIPT, "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "PyInstaller", *options, "--log-level", "ERROR", script.name],
        cwd=folder,
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(packages)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return (folder / "dist" / "desktop").rename(folder / name)


def environment(home: Path, **more: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(home), **more}


def run(command: Path, home: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [command, *words],
        capture_output=True,
        text=True,
        env=environment(home, **more),
        cwd=home,
        timeout=120,
        check=False,
    )


FIND = """
proc seek {w class text} {
    set found {}
    if {[winfo class $w] eq $class && ![catch {$w cget -text} t] && $t eq $text} {set found $w}
    foreach child [winfo children $w] {if {$found eq {}} {set found [seek $child $class $text]}}
    return $found
}
proc first {w class} {
    if {[winfo class $w] eq $class} {return $w}
    foreach child [winfo children $w] {if {[set found [first $child $class]] ne {}} {return $found}}
}
proc shown {w class} {
    set all {}
    if {[winfo class $w] eq $class} {
        if {$class eq {Text}} {append all [$w get 1.0 end]} else {append all [$w cget -text]}
    }
    foreach child [winfo children $w] {append all \\n [shown $child $class]}
    return $all
}
"""


WATCHER = """
import json, sys, tkinter
root = tkinter.Tk(className="Watcher")
root.withdraw()
for line in sys.stdin:
    told = root.tk.call(*json.loads(line))
    print(json.dumps(" ".join(told) if isinstance(told, tuple) else str(told)), flush=True)
"""
"""In a process of its own, since Tk ends the one in which it is when a display goes."""


class Application:
    """The running program on a display of its own, asked and pressed by Tk's ``send``."""

    def __init__(
        self, folder: Path, home: Path, url: str, socks: str, ahead: int | None = None
    ) -> None:
        """``ahead``: seconds by which its clock is ahead of the system's; it has one of its own
        then."""
        self._command = [str(folder / "desktop"), str(home / "trust.json"), url, socks]
        self._ahead = {} if ahead is None else {AHEAD: str(ahead)}
        self._home = home
        self._held = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with self._held:
            cookie = self._home / "Xauthority"
            # send(n) wants a display with a cookie. Family "wild", no address, no number; Xau(3).
            fields = (b"", b"", b"MIT-MAGIC-COOKIE-1", os.urandom(16))
            packed = [struct.pack(">H", len(field)) + field for field in fields]
            cookie.write_bytes(b"\xff\xff" + b"".join(packed))
            env = environment(self._home, DISPLAY=self._display(cookie), XAUTHORITY=str(cookie))
            watcher = [sys.executable, "-c", WATCHER]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            self._watcher = self._start(watcher, env=env, **pipes)
            with (self._home / "stderr").open("wb") as said:
                own = {**env, **self._ahead}
                self._program = self._start(self._command, env=own, stderr=said, **pipes)
            self.wait_for(lambda: "tk" in self._call("winfo", "interps").split())
            self.ask(FIND)
            self._held = self._held.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def _display(self, cookie: Path) -> str:
        read, write = os.pipe()
        with os.fdopen(read) as file:
            server = ["Xvfb", "-displayfd", str(write), "-nolisten", "tcp", "-auth", str(cookie)]
            self._start(server, pass_fds=[write], stderr=subprocess.DEVNULL)
            os.close(write)
            return f":{file.readline().strip()}"

    def _start(self, command: list[str], **more: Any) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(command, **more)
        self._held.enter_context(process)
        self._held.callback(process.terminate)
        return process

    def _call(self, *words: str) -> str:
        return str(json.loads(_told(self._watcher, json.dumps(words))))

    def pass_time(self, seconds: int) -> int:
        """On its own clock; returns when its client has looked what there is to do, and done it.
        The Unix time of then."""
        return int(_told(self._program, str(seconds)))

    def ask(self, script: str) -> str:
        return self._call("send", "tk", script)

    @property
    def stderr(self) -> str:
        return (self._home / "stderr").read_text("utf-8")

    def press(self, text: str, kind: str = "TButton") -> None:
        self.ask(f"[seek . {kind} {{{text}}}] invoke")

    def shown(self, kind: str = "Text", within: str = ".") -> str:
        return self.ask(f"shown {within} {kind}")

    def agree_and_check(self) -> None:
        """The first run's screen, then the button of the news page."""
        self.wait_for(lambda: self.ask("seek . TButton {Save my choice}") != "")
        self.ask("[seek .!toplevel TRadiobutton News] invoke")
        self.press("Save my choice")
        self.press("Check now")

    def wait_for(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < end, "it did not come"
            assert self._program.poll() is None, "the program has ended"
            time.sleep(0.2)


def _told(process: subprocess.Popen[bytes], line: str) -> bytes:
    """What it answers to a line."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(line.encode("ascii") + b"\n")
    process.stdin.flush()
    return process.stdout.readline()
