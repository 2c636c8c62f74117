"""What the reader sees: numbered steps, the commands as they are run, and checks that count."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mars import factory
from mars.commandline import safe
from testbed.tornet.process import wait_until

COMMANDS = Path(sys.executable).parent
"""Where the three commands of this environment are."""
PATIENCE = 240
"""Seconds that one command may take; a fetch gives up after 180."""
WIDTH = 96


class DemoError(Exception):
    """A step failed, so the rest cannot be shown."""


class Stage:
    """Prints to stdout and keeps the score. ``folder`` is where the commands are run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.failed: list[str] = []
        self.passed = 0
        self._clock = factory.system_clock()
        self._began = self._clock.monotonic()
        self._step = 0
        self._colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def elapsed(self) -> float:
        """Seconds since the demo began."""
        return self._clock.monotonic() - self._began

    def step(self, title: str) -> None:
        self._step += 1
        print(f"\n{self._paint('1', f'{self._step}. {title}')}", flush=True)

    def say(self, text: str = "") -> None:
        print(f"   {text}", flush=True)

    def progress(self, text: str) -> None:
        print(self._paint("2", f"   {self.elapsed():5.1f} s  {text}"), flush=True)

    def command(self, words: Sequence[str], behind: str = "") -> None:
        """Shows a command as one would type it, broken at its options where it is long."""
        lines, line = [], "$"
        for word in [*words, behind]:
            if len(line) + len(word) > WIDTH and word.startswith("-"):
                lines.append(f"{line} \\")
                line = "     "
            line = f"{line} {word}"
        for text in [*lines, line.rstrip()]:
            self.say(self._paint("36", text))

    def check(self, holds: bool, claim: str) -> None:
        """One claim of the demo, tried before the reader's eyes."""
        if holds:
            self.passed += 1
        else:
            self.failed.append(claim)
        mark = self._paint("32", "ok   ") if holds else self._paint("31", "FAILED")
        print(f"   {mark} {claim}", flush=True)

    def run(self, *words: str, show: bool = True, expect: int | None = 0) -> str:
        """Runs one of our commands and returns its stdout.

        Raises ``DemoError`` where the exit code is not ``expect`` (None: any will do).
        """
        if show:
            self.command(words)
        done = subprocess.run(
            [str(COMMANDS / words[0]), *words[1:]],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        if expect is not None and done.returncode != expect:
            said = (done.stderr + done.stdout).strip()
            raise DemoError(f"{' '.join(words)} ended with {done.returncode}:\n{safe(said)}")
        return done.stdout

    def ask(self, *words: str, show: bool = True, expect: int | None = 0) -> Any:
        """``run`` with ``--json``: the document that was printed."""
        text = self.run(*words, "--json", show=show, expect=expect)
        try:
            return json.loads(text)
        except ValueError:
            raise DemoError(f"{' '.join(words)} --json printed no JSON: {text[:200]!r}") from None

    def _paint(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour else text


@contextmanager
def server(stage: Stage, name: str, bind: str, *words: str) -> Iterator[None]:
    """``mars-server serve`` in the background, ready; ended by SIGTERM, so that its log is whole.

    What it says goes to ``NAME.log``. Raises ``DemoError``, or ``StateError`` after half a minute.
    """
    command = ["mars-server", "serve", "--bind", bind, *words]
    stage.command(command, "&")
    notes = stage.folder / f"{name}.log"
    with notes.open("wb") as output:
        process = subprocess.Popen(
            [str(COMMANDS / command[0]), *command[1:]],
            cwd=stage.folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # a Ctrl-C reaches us alone, and we end it properly
        )
    try:

        def ready() -> bool:
            if process.poll() is not None:
                raise DemoError(f"mars-server ended: {safe(notes.read_text('utf-8', 'replace'))}")
            return b"serving serial" in notes.read_bytes()

        wait_until(ready, 30.0, "mars-server does not say that it serves")
        yield
    finally:
        early = process.poll() is not None
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if early or process.returncode:
            stage.check(
                False, f"mars-server ended well: {safe(notes.read_text('utf-8', 'replace'))}"
            )


def short(items: Sequence[str], limit: int = 4) -> list[str]:
    """The first ``limit`` items, and how many more there are."""
    more = len(items) - limit
    return [*items[:limit], f"... and {more} more"] if more > 0 else list(items)
