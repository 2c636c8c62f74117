"""One process per user that fetches for any number of applications, in whatever language.

Each application has a file ``NAME.toml`` in one folder, and its own trust, consent, circuits and
times. Its current news stands as JSON in a file that it reads when it likes.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mars.client import Mars
from mars.errors import ConfigError, MarsError, StateError
from mars.pinned import Pinned, read_bytes, read_small, require_own

CURRENT = "current.json"
"""The news of an application, beside its state unless it names another file."""

_MEMBERS = frozenset({"trust", "version", "languages", "locale", "url", "output", "level"})


@dataclass(frozen=True)
class Entry:
    """One application's file, read."""

    name: str
    source: bytes
    trust: bytes
    pinned: Pinned
    version: str
    languages: tuple[str, ...]
    locale: str
    url: str
    level: str
    output: Path | None


def read_entry(path: Path) -> Entry:
    """Raises ``ConfigError`` (``app-invalid``, or the reasons of the trust file)."""
    try:
        source = read_small(path)
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
    trust = read_bytes(path.parent / table["trust"])
    require_own(path.parent / table["trust"])
    return Entry(
        name=path.stem,
        source=source,
        trust=trust,
        pinned=Pinned.of(trust),
        version=table.get("version", ""),
        languages=tuple(languages),
        locale=table.get("locale", ""),
        url=table.get("url", ""),
        level=table.get("level", "tracked"),
        output=path.parent / table["output"] if "output" in table else None,
    )


class Daemon:
    """Serves the applications of ``folder``. ``make`` turns an entry into its client."""

    def __init__(self, folder: Path, make: Callable[[Entry], Mars]) -> None:
        self._folder = folder
        self._make = make
        self._serving: dict[str, tuple[Entry, Mars]] = {}
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
                mars = self._make(entry)
                self._serving[name] = (entry, mars)
                mars.start()

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
        for path in sorted(self._folder.glob("*.toml")):
            try:
                require_own(path)
                entry = read_entry(path)
                if entry.output is not None:
                    require_own(entry.output)
                _require_single(entry, found)
                found[entry.name] = entry
            except MarsError as error:
                self.problems[path.stem] = error
        return found


def client(entry: Entry, folder: str, **ports: Any) -> Mars:
    """The client of one application, which writes its news after each look."""
    output = entry.output or Path(folder) / CURRENT
    return Mars(
        entry.pinned.product,
        entry.version,
        entry.trust,
        entry.languages,
        locale=entry.locale,
        url=entry.url,
        ceiling=entry.level,
        folder=folder,
        on_turn=partial(write_current, output),
        **ports,
    )


def write_current(output: Path, mars: Mars) -> None:
    """Replaces the file where its content changed; never more often than something happens."""
    from mars import factory

    reading = mars.motd()
    if reading is None:
        return
    status = mars.status()
    table = {**reading.plain(), "level": status["level"], "to_ask": status["to_ask"]}
    data = (json.dumps(table, indent=2, ensure_ascii=True) + "\n").encode("ascii")
    store = factory.folder(str(output.parent))
    if store.read(output.name) != data:
        store.write(output.name, data)


def _require_single(entry: Entry, found: dict[str, Entry]) -> None:
    for other in found.values():
        same = (other.pinned.product, other.pinned.channel)
        if same == (entry.pinned.product, entry.pinned.channel):
            raise StateError(
                "app-twice",
                f"{other.name}.toml already serves this product and channel; remove one.",
            )


def _wrong(path: Path, what: str) -> ConfigError:
    return ConfigError("app-invalid", f"{path.name} {what}; mend it and send SIGHUP.")
