"""Providers, plug-ins and hooks: what is foreign fails, hangs or lies, and stops nothing."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mars.errors import ConfigError, MarsError
from mars.providers import Collector, Isolated, inline
from tests.mars.channels.test_altering import DOCS, PROTOCOL
from tests.waiting import until


class Numbers:
    """A plug-in of two entries."""

    def info(self) -> Mapping[str, Any]:
        return {"project": "app", "keys": ["docs", "more"]}

    def data(self, key: str) -> int:
        return {"docs": 12, "more": 0}[key]


def collector(given: object = 3, **more: Any) -> Collector:
    made = Collector(**more)
    made.provide("app/docs", given)  # type: ignore[arg-type]
    return made


@pytest.mark.parametrize("given", [57, lambda: 57])
def test_a_value_or_what_gives_one_is_said_in_the_words_of_its_entry(given: object) -> None:
    assert collector(given).value(DOCS) == "10-99"


def test_of_what_nobody_provides_nothing_is_said() -> None:
    made = Collector()
    assert (made.value(DOCS), made.faults) == (None, {})


def test_a_plugin_describes_its_entries_and_gives_each_value() -> None:
    made = Collector()
    made.register(Numbers())
    assert made.value(DOCS) == "10-99"
    assert made.value(replace(DOCS, key="more")) == "0"


def test_what_the_application_provides_itself_no_plugin_replaces() -> None:
    made = collector(0)
    made.register(Numbers())
    assert made.value(DOCS) == "0"


def raising() -> int:
    raise ValueError("a secret")


def leaving() -> int:
    sys.exit(3)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (raising, "provider-failed"),
        (leaving, "provider-failed"),
        (lambda: "a word that nobody declared", "bad-value"),
        (lambda: True, "bad-value"),
        (lambda: 1.5, "bad-value"),
        (lambda: -1, None),
        (lambda: None, "bad-value"),
    ],
)
def test_a_faulty_provider_is_noted_without_what_it_said(given: object, reason: str | None) -> None:
    made = collector(given)
    assert (made.value(DOCS) is None) is (reason is not None)
    fault = made.faults.get("app/docs")
    assert (fault.reason if fault else None) == reason
    assert "secret" not in str(fault)
    assert "nobody" not in str(fault)
    made.provide("app/docs", 3)
    assert (made.value(DOCS), made.faults) == ("1-9", {}), "until it works"


def test_a_provider_that_hangs_is_left_alone_until_it_returned() -> None:
    gate, calls = threading.Event(), []

    def slow() -> int:
        calls.append(1)
        gate.wait(60)
        return 3

    isolated = Isolated(0.05)
    for _ in range(2):
        with pytest.raises(MarsError, match="no answer"):
            isolated("app/docs", slow)
    assert len(calls) == 1, "no second thread for it"
    assert isolated("app/other", lambda: 5) == 5
    gate.set()
    until(lambda: not isolated.is_hanging("app/docs"))
    assert Isolated(60)("app/docs", slow) == 3


def test_a_hook_may_veto_or_coarsen_and_the_next_one_sees_what_is_left() -> None:
    made, seen = collector(57), list[str]()

    made.alter(lambda name, value: "1-9" if (name, value) == ("app/docs", "10-99") else None)
    made.alter(lambda _name, value: watched(seen, value))
    assert made.value(DOCS) == "1-9"
    made.alter(lambda _name, _value: None)
    made.alter(lambda _name, value: watched(seen, "0"))
    assert (made.value(DOCS), seen) == (None, ["1-9", "1-9"]), "no hook brings back what is vetoed"


def watched(seen: list[str], value: str) -> str:
    seen.append(value)
    return value


@pytest.mark.parametrize("made_of_it", ["11-99", "", "smtp", 3, True])
def test_a_hook_that_adds_is_refused(made_of_it: object) -> None:
    made = collector("imap")
    made.alter(lambda _name, _value: made_of_it)  # type: ignore[arg-type,return-value]
    assert made.value(PROTOCOL) is None
    assert made.faults["app/docs"].reason == "bad-value"


def test_a_faulty_plugin_is_noted_and_stops_no_other() -> None:
    made = collector()
    for plugin in (object(), type("Empty", (), {"info": lambda _self: {}})()):
        made.register(plugin, "broken")  # type: ignore[arg-type]
        assert made.faults["plug-in broken"].reason == "provider-failed"
    assert made.value(DOCS) == "1-9"


def test_a_name_that_no_entry_can_have_is_a_mistake_of_the_developer() -> None:
    for name in ("docs", "App/docs", "app/docs/x", "app/*"):
        with pytest.raises(ConfigError):
            Collector().provide(name, 1)


def test_under_test_faults_are_raised_where_they_happen() -> None:
    with pytest.raises(ValueError, match="secret"):
        collector(raising, isolate=inline, raises=True).value(DOCS)
    with pytest.raises(MarsError, match="whole number"):
        collector("12", isolate=inline, raises=True).value(DOCS)


def test_an_isolation_of_the_application_s_own_has_nothing_raised() -> None:
    made = collector(raising, isolate=inline)
    assert made.value(DOCS) is None
    assert made.faults["app/docs"].reason == "provider-failed"


def test_all_providers_have_the_patience_of_one_together() -> None:
    gate, called = threading.Event(), list[str]()
    isolated = Isolated(0.05)

    def hanging(name: str) -> None:
        called.append(name)
        gate.wait(60)

    with isolated.together():
        for name in ("app/docs", "app/more", "app/third"):
            with pytest.raises(MarsError) as caught:
                isolated(name, lambda name=name: hanging(name))  # type: ignore[misc]
    assert called == ["app/docs"], "the others are not even begun"
    assert caught.value.reason == "provider-late"
    gate.set()
    assert Isolated(60)("app/more", lambda: 5) == 5


class Named:
    """A plug-in whose keys are one text."""

    def __init__(self, keys: object) -> None:
        self.keys = keys

    def info(self) -> Mapping[str, Any]:
        return {"project": "app", "keys": self.keys}

    def data(self, key: str) -> int:
        return len(key)


@pytest.mark.parametrize("keys", ["docs", b"docs", ["docs", "no key\n"], 5])
def test_a_plugin_that_names_what_is_no_entry_adds_nothing(keys: object) -> None:
    made = Collector()
    made.register(Named(keys), "odd\u202e" + "x" * 99)
    ((what, fault),) = made.faults.items()
    assert (made.names, len(what) < 80, "no key" in str(fault)) == ((), True, False)


def test_a_plugin_that_is_not_installed_is_told() -> None:
    made = Collector(plugins=["drak"])
    assert made.value(DOCS) is None
    assert made.faults["plug-in drak"].reason == "plugin-unknown"


SLOW = """
from threading import Event
gate, asked = Event(), []
def info():
    asked.append(1)
    gate.wait(60)
    return {"project": "app", "keys": ["docs"]}
def data(key):
    return 12
"""


def test_an_installed_plugin_whose_description_hangs_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As while a disk is cold: else nothing of it went until the application is started anew."""
    installed = tmp_path / "slowly-1.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: slowly\nVersion: 1\n")
    (installed / "entry_points.txt").write_text("[mars.metrics]\nslowly = slow_description\n")
    (tmp_path / "slow_description.py").write_text(SLOW)
    monkeypatch.syspath_prepend(tmp_path)
    made = Collector(plugins=["slowly"], isolate=Isolated(0.5))
    assert made.value(DOCS) is None
    assert made.faults["plug-in slowly"].reason == "provider-hangs"
    sys.modules["slow_description"].gate.set()
    until(lambda: made.value(DOCS) == "10-99")
    assert made.faults == {}
    assert sys.modules.pop("slow_description").asked == [1, 1]


def test_an_error_of_a_provider_says_nothing_in_its_own_words() -> None:
    def lying() -> int:
        raise MarsError("/home/someone", "a secret")

    def naming() -> int:
        raise type("secret" * 1000, (KeyError,), {})

    for given, kind in ((lying, "Exception"), (naming, "KeyError")):
        made = collector(given)
        assert made.value(DOCS) is None
        fault = made.faults["app/docs"]
        assert (fault.reason, fault.message) == (
            "provider-failed",
            f"app/docs raised {kind}; have it mended.",
        )
