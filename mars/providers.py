"""Where the values of declared statistics come from: the application and its plug-ins, isolated.

What is foreign runs in a thread of its own and has two seconds. What it raises, or says beside what
is declared, is noted and stops nothing else.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any, Protocol

from mars.errors import ConfigError, MarsError, starting_thread
from mars.wire.registry import Metric, is_entry

GROUP = "mars.metrics"
"""Of entry points, each of a module or object that is a ``Plugin``."""
PATIENCE = 2.0
"""Seconds that a provider has, with the hooks that look at its value."""

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

    def __call__(self, what: str, call: Callable[[], Any]) -> Any:
        if self.is_hanging(what):
            raise self._hangs(what)
        found: list[tuple[Any, BaseException | None]] = []
        run = partial(_caught, call, found)
        thread = threading.Thread(target=run, daemon=True, name=f"mars {what}")
        with starting_thread():
            thread.start()
        thread.join(self._patience)
        if not found:
            self._hanging[what] = thread
            raise self._hangs(what)
        (result, error), *_ = found
        if error is not None:
            raise error if isinstance(error, MarsError) else _failed(what, error)
        return result

    def is_hanging(self, what: str) -> bool:
        """Whether the last call of that name has not returned yet."""
        return what in self._hanging and self._hanging[what].is_alive()

    def _hangs(self, what: str) -> MarsError:
        return MarsError(
            "provider-hangs", f"{what} gave no answer in {self._patience:g} s; have it be faster."
        )


def _caught(call: Callable[[], Any], found: list[tuple[Any, BaseException | None]]) -> None:
    try:
        found.append((call(), None))
    except BaseException as error:  # noqa: BLE001 - a foreign one's, ``sys.exit()`` too
        found.append((None, error))


def _failed(what: str, error: BaseException) -> MarsError:
    # Its text may hold anything, and this stands in the journal.
    return MarsError("provider-failed", f"{what} raised {type(error).__name__}; have it mended.")


class Collector:
    """All providers, plug-ins and hooks of one application.

    ``plugins`` are the names of installed ones (entry points of ``mars.metrics``) that the
    application wants, True for all; they are imported when a value is first asked for.
    """

    def __init__(
        self, plugins: bool | Collection[str] = False, isolate: Isolate | None = None
    ) -> None:
        self._wanted = plugins
        self._isolate = isolate or Isolated()
        self._given: dict[str, Given] = {}
        self._hooks: list[Alter] = []
        self.raises = isolate is not None
        """Whether faults are raised where they happen, as in tests."""
        self.faults: dict[str, MarsError] = {}
        """What stands, by entry or plug-in: noted until it works."""

    def provide(self, name: str, given: Given) -> None:
        """Raises ``ConfigError`` (``undeclared``) of a name that no entry can have."""
        if not is_entry(name):
            raise ConfigError("undeclared", f"{name!r} is no entry; name it like project/key.")
        self._given[name] = given

    def register(self, plugin: Plugin, name: str = "") -> None:
        """A plug-in at run time. What is wrong with it stands in ``faults``."""
        what = f"plug-in {name or getattr(plugin, '__name__', type(plugin).__name__)}"

        def added() -> None:
            told = plugin.info()
            for key in told["keys"]:
                name = f"{told['project']}/{key}"
                if name not in self._given:  # the application's own word stands
                    self.provide(name, partial(plugin.data, key))

        self._noted(what, added)

    def alter(self, hook: Alter) -> None:
        """``hook(name, value)`` gives back the value, a coarser declared one, or None for a veto;
        hooks are asked in the order in which they came."""
        self._hooks.append(hook)

    def value(self, metric: Metric) -> str | None:
        """What may be said of it now as far as the application goes, in the words of a report; None
        where nothing is provided, or that is vetoed or faulty."""
        self._load()
        if metric.name not in self._given:
            return None
        told: str | None = self._noted(metric.name, partial(self._told, metric))
        return told

    def _told(self, metric: Metric) -> str | None:
        given = self._given[metric.name]
        text: str | None = metric.said(given() if callable(given) else given)
        for hook in self._hooks:
            if text is None:
                return None
            text = hook(metric.name, text)
            if not (text is None or metric.fits(text)):
                raise MarsError(
                    "bad-value", f"A hook made of {metric.name} what is not declared; mend it."
                )
        return text

    def _load(self) -> None:
        wanted, self._wanted = self._wanted, False
        if not wanted:
            return
        from importlib.metadata import entry_points  # late: it reads every installed package

        for point in entry_points(group=GROUP):
            if wanted is True or point.name in wanted:
                plugin = self._noted(f"plug-in {point.name}", point.load)
                if plugin is not None:
                    self.register(plugin, point.name)

    def _noted(self, what: str, call: Callable[[], Any]) -> Any:
        """What ``call`` returns; None of what is faulty, and then that stands."""
        try:
            result = self._isolate(what, call)
        except MarsError as error:
            if self.raises:
                raise
            self.faults[what] = error
            return None
        self.faults.pop(what, None)
        return result


def inline(_what: str, call: Callable[[], Any]) -> Any:
    """``Isolate`` of tests: in the caller's thread, and what it raises is raised."""
    return call()
