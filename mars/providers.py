"""Where the values of declared statistics come from: the application and its plug-ins, isolated.

What is foreign runs in a thread of its own, and all of it has two seconds. What it raises, or says
beside what is declared, is noted and stops nothing else.
"""

from __future__ import annotations

import builtins
import re
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any, Protocol

from mars.errors import ConfigError, MarsError, starting_thread
from mars.wire.registry import Metric, is_entry

GROUP = "mars.metrics"
"""Of entry points, each of a module or object that is a ``Plugin``."""
PATIENCE = 2.0
"""Seconds for all that is called in one look, plug-ins that are loaded for it too: less than others
wait for the lock of the state."""
HANGS, LATE = "provider-hangs", "provider-late"
NAMED = 60
"""Characters of a plug-in's name that are told."""
_UNPLAIN = re.compile(r"[^\w.-]", re.ASCII)

Value = bool | int | str
Given = Value | Callable[[], Value]
Alter = Callable[[str, str], str | None]
Isolate = Callable[[str, Callable[[], Any]], Any]
"""Runs the call of that name and gives back what it returns. Raises ``MarsError``."""


class Plugin(Protocol):
    """A module will do."""

    def info(self) -> Mapping[str, Any]:
        """``{"project": "mailstats", "keys": ["folders"]}``: the entries that it has values of."""
        ...

    def data(self, key: str, /) -> Value:
        """The value of one of them now, as its entry declares it."""
        ...


class Isolated:
    """``Isolate``: a thread for each call. One that hangs is not called again until it returned."""

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._hanging: dict[str, threading.Thread] = {}
        self._round = threading.local()

    @contextmanager
    def together(self) -> Iterator[None]:
        """The calls of this thread within it have that patience between them, not each."""
        if hasattr(self._round, "end"):
            yield
            return
        self._round.end = time.monotonic() + self._patience  # noqa: TID251 - real threads
        try:
            yield
        finally:
            del self._round.end

    def __call__(self, what: str, call: Callable[[], Any]) -> Any:
        """Raises ``MarsError``, of its own words alone: what is foreign may say anything."""
        if self.is_hanging(what):
            raise self._hangs(what)
        with self.together():
            left = self._round.end - time.monotonic()  # noqa: TID251
        if left <= 0:
            raise MarsError(LATE, f"{what} was not asked, as others took all the time; mend these.")
        found: list[tuple[Any, BaseException | None]] = []
        run = partial(_caught, call, found)
        thread = threading.Thread(target=run, daemon=True, name=f"mars {what}")
        with starting_thread():
            thread.start()
        thread.join(left)
        if not found:
            self._hanging[what] = thread
            raise self._hangs(what)
        (result, error), *_ = found
        if error is not None:
            raise _failed(what, error)
        return result

    def is_hanging(self, what: str) -> bool:
        """Whether the last call of that name has not returned yet."""
        return what in self._hanging and self._hanging[what].is_alive()

    def _hangs(self, what: str) -> MarsError:
        return MarsError(
            HANGS, f"{what} gave no answer in {self._patience:g} s; have it be faster."
        )


def _caught(call: Callable[[], Any], found: list[tuple[Any, BaseException | None]]) -> None:
    try:
        found.append((call(), None))
    except BaseException as error:  # noqa: BLE001 - a foreign one's, ``sys.exit()`` too
        found.append((None, error))


_KNOWN = [one for one in vars(builtins).values() if isinstance(one, type)]


def _failed(what: str, error: BaseException) -> MarsError:
    # Its text, and the name of a class of its own, may hold anything, and this stands in the
    # journal; so may one of our own errors that it raises.
    kind = next(one for one in type(error).__mro__ if any(one is known for known in _KNOWN))
    return MarsError("provider-failed", f"{what} raised {kind.__name__}; have it mended.")


class Collector:
    """All providers, plug-ins and hooks of one application.

    ``plugins`` are the names of installed ones (entry points of ``mars.metrics``) that the
    application wants, True for all; they are imported when a value is first asked for.
    """

    def __init__(
        self,
        plugins: bool | Collection[str] = False,
        isolate: Isolate | None = None,
        *,
        raises: bool = False,
    ) -> None:
        self._wanted = plugins
        self._points: list[Any] | None = None if plugins else []
        """Plug-ins that are still to be loaded; None before these were looked for."""
        self._isolate = isolate or Isolated()
        self._given: dict[str, Given] = {}
        self._hooks: list[Alter] = []
        self.raises = raises
        """Whether faults are raised where they happen, as in tests."""
        self.faults: dict[str, MarsError] = {}
        """What stands, by entry or plug-in: noted until it works."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of all entries that something is provided of."""
        return tuple(self._given)

    def together(self) -> AbstractContextManager[None]:
        """What is collected within it has two seconds in all; else each value has."""
        isolate = self._isolate
        return isolate.together() if isinstance(isolate, Isolated) else nullcontext()

    def provide(self, name: str, given: Given) -> None:
        """Raises ``ConfigError`` (``undeclared``) of a name that no entry can have."""
        if not is_entry(name):
            raise ConfigError("undeclared", f"{name!r} is no entry; name it like project/key.")
        self._given[name] = given

    def register(self, plugin: Plugin, name: str = "") -> None:
        """A plug-in at run time. What is wrong with it stands in ``faults``."""
        named = str(name or getattr(plugin, "__name__", "") or type(plugin).__name__)
        with self.together():
            self._noted(_plugin(named), partial(self._added, plugin))

    def _added(self, plugin: Plugin, what: str) -> None:
        project, keys = self._isolate(what, partial(_info, plugin))
        names = [f"{project}/{key}" for key in keys]
        if not all(map(is_entry, names)):
            raise ConfigError("bad-plugin", f"{what}'s info() names what is no entry; mend it.")
        for name, key in zip(names, keys, strict=True):
            if name not in self._given:  # the application's own word stands
                self.provide(name, partial(plugin.data, key))

    def alter(self, hook: Alter) -> None:
        """``hook(name, value)`` gives back the value, a coarser declared one, or None for a veto;
        hooks are asked in the order in which they came."""
        self._hooks.append(hook)

    def value(self, metric: Metric) -> str | None:
        """What may be said of it now as far as the application goes, in the words of a report; None
        where nothing is provided, or that is vetoed or faulty."""
        with self.together():
            self._load()
            if metric.name not in self._given:
                return None
            told: str | None = self._noted(metric.name, partial(self._told, metric=metric))
        return told

    def _told(self, what: str, metric: Metric) -> str | None:
        given = self._given[metric.name]
        value = self._isolate(what, given) if callable(given) else given
        text: str | None = metric.said(value)
        for hook in self._hooks:
            if text is None:
                return None
            text = self._isolate(what, partial(hook, metric.name, text))
            if not (text is None or metric.fits(text)):
                raise MarsError(
                    "bad-value", f"A hook made of {metric.name} what is not declared; mend it."
                )
        return text

    def _load(self) -> None:
        """What hangs, or found no time left, is tried again the next time."""
        if self._points is None:
            self._points = self._found()
        for point in [*self._points]:
            what = _plugin(point.name)
            plugin = self._noted(what, partial(self._loaded, point))
            if plugin is not None:
                self.register(plugin, point.name)
            fault = self.faults.get(what)
            if fault is None or fault.reason not in (HANGS, LATE):
                self._points.remove(point)

    def _loaded(self, point: Any, what: str) -> Any:
        return self._isolate(what, point.load)

    def _found(self) -> list[Any]:
        from importlib.metadata import entry_points  # late: it reads every installed package

        points = list(entry_points(group=GROUP))
        if isinstance(self._wanted, bool):
            return points
        for name in {*self._wanted} - {point.name for point in points}:
            self.faults[_plugin(name)] = ConfigError(
                "plugin-unknown", f"No plug-in {name!r} is installed; install or do not name it."
            )
        return [point for point in points if point.name in self._wanted]

    def _noted(self, what: str, call: Callable[[str], Any]) -> Any:
        """What ``call`` returns; None of what is faulty, and then that stands."""
        try:
            result = call(what)
        except Exception as error:
            if self.raises:
                raise
            # Of an ``Isolate`` of the application's own anything may come.
            self.faults[what] = error if isinstance(error, MarsError) else _failed(what, error)
            return None
        self.faults.pop(what, None)
        return result


def _plugin(name: str) -> str:
    """What is told of the plug-in of that name."""
    return f"plug-in {_UNPLAIN.sub('?', name[:NAMED])}"


def _info(plugin: Plugin) -> tuple[str, tuple[str, ...]]:
    """Its project and its keys. One text for the keys would be taken letter by letter."""
    told = plugin.info()
    project, keys = told["project"], told["keys"]
    if isinstance(keys, str | bytes):
        raise TypeError
    return str(project), tuple(map(str, keys))


def inline(_what: str, call: Callable[[], Any]) -> Any:
    """``Isolate`` of tests: in the caller's thread, and what it raises is raised."""
    return call()
