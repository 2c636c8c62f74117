"""Each system call of the client's store fails in turn, with each error, at every step.

Afterwards nothing that was decided or remembered is lost unless the host is told, and nothing was
sent that consent did not cover.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mars import Mars, factory
from mars.adapters.files import Folder
from mars.channels.memory import Memory
from mars.core import state as states
from mars.core.records import STATE_FILE
from mars.core.schedule import Schedule
from mars.core.state import State
from mars.errors import StateError
from mars.testing.world import World
from mars.wire.motd import Message
from mars.wire.targeting import Shown
from mars.wire.times import DAY
from tests.mars.failing_calls import ERRNOS, Faults, failing

SHARE = float(os.environ.get("FAULTS", "0.05"))
"""Of all faults, in one run: a seeded slice, or with ``FAULTS=1`` each of some 6,000."""


@dataclass
class Trial:
    """One installation with a past: granted, fetched and shown; a newer document is due."""

    folder: Path
    world: World = field(default_factory=World)
    shown: list[Shown] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        world = self.world
        world.store = Folder(self.folder)  # type: ignore[assignment]
        world.publish()
        world.grant("tracked")
        client = world.client()
        client.fetch()
        client.claim()
        world.clock.advance(20 * DAY)
        client.update(self._due)
        world.publish(messages=(Message("b", {"en": "Second"}),))
        self.files = {path.name: path.read_bytes() for path in self.folder.iterdir()}

    def _due(self, state: State) -> tuple[State, None]:
        due = Schedule(due=self.world.clock.wall - DAY, wait=60)
        return replace(Memory.of(state), schedule=due).into(state), None

    def restore(self) -> Mars:
        """A new process on the same past."""
        for path in self.folder.iterdir():
            if path.name not in self.files:
                path.unlink()
        for name, data in self.files.items():
            (self.folder / name).write_bytes(data)
        self.world.server.visits.clear()
        self.shown.clear()
        mars = self.world.mars()
        mars.on_motd(self.shown.append)
        return mars

    def state(self) -> State:
        return self.world.client().load()


@pytest.fixture
def trial(tmp_path: Path) -> Iterator[Trial]:
    """In memory where there is such a place: real disks take their time to sync."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else tmp_path) as at:
        yield Trial(Path(at))


def grant(mars: Mars) -> bool:
    return mars.consent.grant("plain", country="IS", stats=True)


def revoke(mars: Mars) -> bool:
    return mars.consent.revoke()


def turn(mars: Mars) -> bool:
    """The look at which the fetch is due, and the showing of what came."""
    with contextlib.ExitStack() as held:
        mars._background._turn(held, 3600)
    return mars.status()["problem"] is None


def rest(mars: Mars) -> bool:
    mars._background._survive("fetching", lambda: mars._client.rest(10), None)
    return mars.status()["problem"] is None


def reset_age(mars: Mars) -> bool:
    mars.reset_age()
    return mars.status()["problem"] is None


def reset(mars: Mars) -> bool:
    """As ``mars reset --all``."""
    folder: Any = mars._client.ports.store
    try:
        mars._client.forget(lambda: factory.clear(str(folder.path)))
    except StateError:
        return False
    return True


def look(mars: Mars) -> bool:
    """All that only reads."""
    mars.motd()
    mars.preview()
    mars.journal()
    mars.consent.explain()
    return mars.status()["problem"] is None


STEPS: dict[str, Callable[[Mars], bool]] = {
    step.__name__: step for step in (grant, revoke, turn, rest, reset_age, reset, look)
}


def faults_of(step: Callable[[Mars], bool], trial: Trial) -> list[tuple[int, int, bool]]:
    """Every call at which the step can fail, with every error, this once or from then on."""
    mars, counted = trial.restore(), Faults(str(trial.folder))
    with failing(counted):
        assert step(mars), mars.status()["problem"]
    every = [
        (at, number, lasting)
        for at in range(len(counted.seen))
        for number in ERRNOS
        for lasting in (False, True)
    ]
    return random.Random(1).sample(every, int(len(every) * SHARE))


@pytest.mark.slow
@pytest.mark.parametrize("name", STEPS)
def test_whatever_fails_nothing_is_lost_in_silence(trial: Trial, name: str) -> None:
    step = STEPS[name]
    entries = len(trial.restore().journal())
    past = trial.state()
    for at, number, lasting in faults_of(step, trial):
        mars = trial.restore()
        faults = Faults(str(trial.folder), at, number, lasting)
        with failing(faults):
            done = step(mars)
        where = f"{name}: {faults.seen[at] if at < len(faults.seen) else '-'} {at} {number}"
        require(trial, mars, step, done, past, entries, where)


def level(state: State) -> str | None:
    return state.decision.level if state.decision else None


def require(
    trial: Trial,
    mars: Mars,
    step: Callable[[Mars], bool],
    done: bool,
    past: State,
    entries: int,
    where: str,
) -> None:
    told = mars.status()["problem"] is not None or not done
    state, visits = trial.state(), trial.world.server.visits
    unchanged = told and state.decision == past.decision
    journal = trial.world.mars().journal()
    if step is reset:
        assert state.decision is None or unchanged, where
        return
    assert state.installed is not None, where
    before, after = Memory.of(past), Memory.of(state)
    assert after.trust["serial"] >= before.trust["serial"], where
    assert set(after.seen) >= set(before.seen), where
    assert len(journal) == entries + len(visits), where
    assert "?" not in "".join(visits) or level(past) == "tracked", where
    if step is grant:
        assert level(state) == "plain" or unchanged, where
    elif step is revoke:
        assert level(state) == "off" or unchanged, where
        assert mars.preview() is None, where
        turn(mars)
        assert visits == [], where
    else:
        assert state.decision == past.decision, where
    if step is turn:
        fetched = after.trust["serial"] > before.trust["serial"]
        assert fetched or told, where
        due = after.schedule and after.schedule.due > trial.world.clock.wall
        assert not visits or due, where
        assert not ({"b"} <= set(after.seen) and not trial.shown) or told, where
        turn(mars)
        assert len(visits) <= 1, where
    if step is reset_age:
        assert told or state.installed == states.midnight(trial.world.clock.wall), where


# --- the command, by the kernel's own errors ---------------------------------------------------

KERNEL = [
    (call, number)
    for call in ("openat", "read", "newfstatat", "rename", "flock", "fsync")
    for number in ("EMFILE", "EIO", "ESTALE", "EACCES", "ENOSPC", "ENOLCK", "EINVAL")
]
HARMLESS = {("flock", "ENOLCK"), ("flock", "EINVAL"), ("fsync", "EINVAL")}
"""What a file system without locks or without sync answers: it works all the same."""


@pytest.mark.slow
# make test installs it; with CI set a skip fails the run.
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is missing: make setup")
def test_the_command_says_so_where_the_kernel_refuses(tmp_path: Path) -> None:
    """Of a revocation the exit code says whether it was kept; nothing else changes."""
    command = str(Path(sys.executable).with_name("mars"))
    state, what = tmp_path / "state", ("--state", str(tmp_path / "state"), "--json")
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    run = partial(subprocess.run, capture_output=True, text=True, timeout=60, env=environ)
    run([command, "consent", "grant", "tracked", "--product", "examplemail", *what], check=True)
    kept = (state / STATE_FILE).read_bytes()
    places = [word for name in (STATE_FILE, "state.lock") for word in ("-P", str(state / name))]
    for call, number in random.Random(2).sample(KERNEL, max(4, int(len(KERNEL) * SHARE))):
        (state / STATE_FILE).write_bytes(kept)
        inject = ("-e", f"trace={call}", "-e", f"inject={call}:error={number}")
        only = () if call in ("fsync", "rename") else places  # a temporary file has any name
        tracer = ("strace", "-f", "-qq", "-o", os.devnull, *only, *inject)
        done = run([*tracer, command, "consent", "revoke", *what])
        table = json.loads(done.stdout)
        now = json.loads((state / STATE_FILE).read_bytes())
        where = (call, number, done.stdout)
        assert "Traceback" not in done.stderr, where
        assert done.returncode == (0 if (call, number) in HARMLESS else 1), where
        assert table["ok"] == (done.returncode == 0), where
        assert now["decision"]["level"] == ("off" if table["ok"] else "tracked"), where
        assert table["ok"] or table["reason"] in ("state-unreadable", "state-unwritable"), where
        assert now["installed"] == json.loads(kept)["installed"], where
