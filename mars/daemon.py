"""One process per user that fetches for any number of applications, in whatever language.

Each application has a file ``NAME.toml`` in one folder, and its own trust, consent, circuits and
times. Its current news stands as JSON in a file that it reads when it likes; what happens is told
as events. docs/embedding.md describes both.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import tomllib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mars import factory
from mars.channels.registry import Registry
from mars.client import Mars
from mars.core.records import DAMAGED, FAILURES_FILE, JOURNAL_FILE, STATE_FILE, file_of
from mars.errors import ConfigError, MarsError, StateError
from mars.pinned import Pinned, read_bytes, read_registry, require_own

if TYPE_CHECKING:
    from mars.wire.targeting import Shown

CURRENT = "current.json"
"""The news of an application, beside its state unless it names another file."""

_MEMBERS = frozenset(
    {"trust", "registry", "version", "languages", "locale", "url", "state", "output", "level"}
)

_OF_THE_CLIENT = frozenset(
    {STATE_FILE, JOURNAL_FILE, FAILURES_FILE, file_of(Registry.name), ".lock", ".toml"}
)
"""Names, or how they end, of what any client keeps itself, and of files like this one: no news go
there."""


@dataclass(frozen=True)
class Entry:
    """One application's file, read."""

    name: str
    source: bytes
    trust: bytes
    pinned: Pinned
    registry: bytes | None
    """What it ships of that."""
    version: str
    languages: tuple[str, ...]
    locale: str
    url: str
    level: str
    state: Path
    """Folder of the client's state, as ``--state`` of every command."""
    output: Path
    files: frozenset[str]
    """Itself, its trust file and its registry, resolved."""


def read_entry(path: Path, place: Path | None = None) -> Entry:
    """``place`` is where its state lies if it does not say so itself; None: the platform's own.

    Raises ``ConfigError`` (``app-invalid``, ``not-private``, or the reasons of the trust file).
    """
    require_own(path)
    try:
        source = factory.read_small(path)
        table = tomllib.loads(source.decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        raise _wrong(path, "cannot be read as TOML") from None
    unknown = sorted(set(table) - _MEMBERS)
    if unknown:
        raise _wrong(path, f"has an unknown entry {unknown[0]!r}; known are {sorted(_MEMBERS)}")
    languages = table.pop("languages", ["en"])
    if not isinstance(languages, list) or not all(isinstance(v, str) for v in languages):
        raise _wrong(path, "languages must be a list of texts")
    for name, value in table.items():
        if not isinstance(value, str):
            raise _wrong(path, f"{name} must be a text")
    if "trust" not in table:
        raise _wrong(path, "names no trust file")
    trust_file = path.parent / table["trust"]
    trust = read_bytes(trust_file)
    read = [path, trust_file]
    registry = None
    if "registry" in table:
        read.append(path.parent / table["registry"])
        registry = read_registry(read[-1])
    for file in read[1:]:
        require_own(file)
    pinned = Pinned.of(trust)
    if "state" in table:
        place = path.parent / table["state"]
    state = place or Path(factory.state_folder(factory.this_host(), pinned.product, pinned.channel))
    output = path.parent / table["output"] if "output" in table else state / CURRENT
    for kept in (state, output):
        require_own(kept)
    there = Path(os.path.realpath(output).lower().removesuffix(DAMAGED))
    if not _OF_THE_CLIENT.isdisjoint({there.name, there.suffix}):
        raise _wrong(path, f"has {output.name} for its output, which is the client's own file")
    return Entry(
        name=path.stem,
        source=source,
        trust=trust,
        pinned=pinned,
        registry=registry,
        version=table.get("version", ""),
        languages=tuple(languages),
        locale=table.get("locale", ""),
        url=table.get("url", ""),
        level=table.get("level", "tracked"),
        state=state,
        output=output,
        files=frozenset(map(os.path.realpath, read)),
    )


Turned = Callable[[Mars], None]
Tell = Callable[[dict[str, Any]], object]


class Daemon:
    """Serves the applications of ``folder``. ``make`` turns an entry into its client.

    ``place`` is the folder with the state of one that does not say so itself, if not the platform's
    own. ``tell`` is called with each event, also from the clients' threads.
    """

    def __init__(
        self,
        folder: Path,
        make: Callable[[Entry, Turned], Mars],
        place: Path | None = None,
        tell: Tell | None = None,
    ) -> None:
        self._folder = folder
        self._make = make
        self._place = place
        self._tell = tell
        self._serving: dict[str, tuple[Entry, Mars]] = {}
        self._stamps: dict[str, object] = {}
        self._told: dict[str, dict[str, Any]] = {}
        self.problems: dict[str, MarsError] = {}

    def reload(self) -> None:
        """Reads the folder again: starts, restarts and stops what changed; looks at the rest."""
        self.problems = {}
        try:
            wanted = self._entries()
        except MarsError as error:
            if not self._serving:
                raise
            self.problems["."] = error  # what is served stays served
            return
        for name in list(self._serving):
            if name not in wanted or wanted[name] != self._serving[name][0]:
                self._serving.pop(name)[1].stop()
        for name, entry in wanted.items():
            if name in self._serving:
                self._serving[name][1].look()
            else:
                self._start(entry)

    def _start(self, entry: Entry) -> None:
        self._told.pop(entry.name, None)
        mars = self._make(entry, partial(self._turned, entry))
        self._serving[entry.name] = (entry, mars)
        if self._tell is not None:
            mars.on_motd(partial(self._show, entry.name))
        mars.start()

    def watch(self) -> None:
        """Looks where another process changed what is kept: a decision, or a fetch by hand."""
        for entry, mars in self._serving.values():
            if self._stamps.get(entry.name) != _stamp(entry):
                mars.look()

    def stop(self) -> None:
        """Ends all, in milliseconds."""
        for _, mars in self._serving.values():
            mars.stop()
        self._serving.clear()

    @property
    def serving(self) -> dict[str, Mars]:
        """The clients by the names of their files."""
        return {name: mars for name, (_, mars) in self._serving.items()}

    def _entries(self) -> dict[str, Entry]:
        """All readable files; one application that is wrong stops no other."""
        require_own(self._folder)
        found: dict[str, Entry] = {}
        broken: set[str] = set()
        try:
            paths = sorted(path for path in self._folder.iterdir() if path.suffix == ".toml")
        except OSError as error:
            raise ConfigError(
                "folder-unreadable",
                f"{self._folder} cannot be read ({error.strerror or error}), so nothing was "
                "changed; give it back and send SIGHUP.",
            ) from None
        for path in paths:
            try:
                entry = read_entry(path, self._place)
                _require_single(entry, found)
                found[entry.name] = entry
            except MarsError as error:
                self.problems[path.stem] = error
                broken |= _named_in(path)
        return self._apart(found, broken)

    def _apart(self, found: dict[str, Entry], broken: set[str]) -> dict[str, Entry]:
        """Without those that have a place in common with another, by whatever way it is named."""
        entries = list(found.values())
        for entry in entries:
            try:
                _require_apart(entry, [other for other in entries if other is not entry], broken)
            except MarsError as error:
                self.problems[entry.name] = error
                del found[entry.name]
        return found

    def _turned(self, entry: Entry, mars: Mars) -> None:
        """After each look of a client, in its thread: its file, then its event."""
        self._stamps[entry.name] = _stamp(entry)  # before it is read: what comes later is seen
        problem: dict[str, Any] = {}
        try:
            write_current(entry.output, mars)
        except MarsError as error:
            problem = {"problem": error.plain()}
            raise
        finally:
            self._report(entry.name, {**mars.status(), **problem})

    def _report(self, name: str, status: dict[str, Any]) -> None:
        """Only where something changed; how long an overdue fetch still waits is no news."""
        status.pop("overdue_wait", None)
        if self._tell is not None and self._told.get(name) != status:
            self._told[name] = status
            self._tell({"event": "status", "app": name, **status})

    def _show(self, name: str, message: Shown) -> None:
        if self._tell is not None:
            self._tell({"event": "message", "app": name, **asdict(message)})


def _stamp(entry: Entry) -> object:
    """Changes when the state is replaced."""
    try:
        facts = (entry.state / STATE_FILE).stat()
    except OSError:
        return None
    return facts.st_mtime_ns, facts.st_ino


def client(entry: Entry, turned: Turned, **more: Any) -> Mars:
    """The client of one application; ``more`` goes to ``Mars``."""
    return Mars(
        entry.pinned.product,
        entry.version,
        entry.trust,
        entry.languages,
        locale=entry.locale,
        url=entry.url,
        ceiling=entry.level,
        registry=entry.registry,
        folder=entry.state,
        on_turn=turned,
        **more,
    )


def write_current(output: Path, mars: Mars) -> None:
    """Replaces the file where its content changed; never more often than something happens. Where
    there is no news any more, as those of an overruled history, there is no file."""
    reading, store = mars._read(), factory.folder(str(output.parent))
    if reading is None:
        if output.exists():
            store.delete(output.name)
        return
    status = mars.status()
    table = {**reading.plain(), "level": status["level"], "to_ask": status["to_ask"]}
    data = (json.dumps(table, indent=2, ensure_ascii=True) + "\n").encode("ascii")
    with contextlib.suppress(StateError):  # then it is replaced, or writing says what is wrong
        if store.read(output.name) == data:
            return
    store.write(output.name, data)


def _require_single(entry: Entry, found: dict[str, Entry]) -> None:
    for other in found.values():
        same = (other.pinned.product, other.pinned.channel)
        if same == (entry.pinned.product, entry.pinned.channel):
            raise StateError(
                "app-twice",
                f"{other.name}.toml already serves this product and channel; remove one.",
            )


def _named_in(path: Path) -> set[str]:
    """A file that is no ``Entry``, and what it may name to be read, resolved; quotes may be
    missing. Not its ``output``, which a copy that is being edited has in common with a good one."""
    text = ""
    with contextlib.suppress(OSError):
        text = factory.read_small(path).decode("utf-8", "replace")
    text = re.sub(r"""(?m)^[ \t]*output[ \t]*=[ \t]*["']?[^"'=\n]*""", "", text)
    words = [path.name, *re.findall(r"""[^"'=\n\0]{1,4096}""", text)]
    # Path.resolve would raise where links go round.
    return {os.path.realpath(path.parent / word.strip()) for word in words}


def _require_apart(entry: Entry, others: list[Entry], broken: set[str]) -> None:
    """None could tell its state from another's, and news would replace what others are read from,
    or may be: ``broken`` are the files that cannot be read, and what they name.

    Raises ``StateError`` (``state-shared``) and ``ConfigError`` (``app-invalid``).
    """
    if os.path.realpath(entry.state) in [os.path.realpath(other.state) for other in others]:
        raise StateError(
            "state-shared",
            f"{entry.name}.toml has the folder of its state in common with another; write into "
            'each a folder of its own, state = "…", or leave --state out.',
        )
    output = os.path.realpath(entry.output)
    named = entry.files.union(broken, *(other.files for other in others))
    if output in named or output in [os.path.realpath(other.output) for other in others]:
        raise _wrong(
            Path(f"{entry.name}.toml"),
            f"has {Path(output).name} for its output, which is another's or one that is read here",
        )


def _wrong(path: Path, what: str) -> ConfigError:
    return ConfigError("app-invalid", f"{path.name} {what}; mend it and send SIGHUP.")
