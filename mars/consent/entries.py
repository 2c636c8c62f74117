"""A yes to a declared statistic, or to a domain of failures, is one to the question that was asked,
and to no larger one. Pure.

Whoever writes the registry could else ask for little, and for more under the same name once many
have agreed.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Mapping
from typing import Any, Protocol

from mars.consent.purposes import EVENTS, STATISTICS, Purpose
from mars.wire.registry import ALL, Question, is_question


class Made(Protocol):
    """What a decision (``mars.consent.Decision``) says of them."""

    @property
    def entries(self) -> Mapping[str, int]: ...
    @property
    def declined(self) -> tuple[str, ...]: ...
    @property
    def questions(self) -> Mapping[str, Question]: ...


def purpose_of(name: str) -> Purpose:
    """What a yes to that entry is one to: ``domain/*`` to events, ``project/key`` to statistics."""
    return EVENTS if name.endswith(f"/{ALL}") else STATISTICS


def of_purposes(made: Made, purposes: Container[str]) -> dict[str, Any]:
    """What it says of the entries whose purpose is one of these."""
    stays = {name for name in (*made.entries, *made.declined) if purpose_of(name).name in purposes}
    return {
        "entries": {name: at for name, at in made.entries.items() if name in stays},
        "declined": tuple(name for name in made.declined if name in stays),
        "questions": {name: one for name, one in made.questions.items() if name in stays},
    }


def refused_all(said: Iterable[str], entries: Iterable[str]) -> set[str]:
    """The purposes of the entries that were answered now of which none is left."""
    return {purpose_of(name).name for name in said} - {purpose_of(name).name for name in entries}


def covered(
    entries: Mapping[str, int], asked: Mapping[str, Question], declared: Mapping[str, Question]
) -> dict[str, int]:
    """Of ``entries``, each agreed to since then, those of which what was ``asked`` covers what is
    ``declared`` now."""
    known = entries.keys() & asked.keys()
    return {
        name: entries[name]
        for name, now in declared.items()
        if name in known and asked[name].covers(now)
    }


def agreed(decision: Made | None, declared: Mapping[str, Question]) -> dict[str, int]:
    """Of what is ``declared`` now all that the user said yes to, each since when, whatever lowers
    it."""
    return covered(decision.entries, decision.questions, declared) if decision else {}


def outgrown(decision: Made | None, declared: Mapping[str, Question]) -> set[str]:
    """The entries that ask something else, or more, than the user said yes to: that yes is none to
    them as they are ``declared`` now."""
    given = decision.entries.keys() if decision else set()
    return (given & declared.keys()) - agreed(decision, declared).keys()


def decided_entries(
    before: Made, now: int, switches: Mapping[str, bool], questions: Mapping[str, Question]
) -> dict[str, Any]:
    """What a decision says of them after ``before``. A yes that goes on keeps its date: who saves a
    settings page weekly is not new each week. One to a larger question is new."""
    said = {name: on for name, on in switches.items() if is_question(name)}
    entries = {name: at for name, at in before.entries.items() if said.get(name, True)}
    since = {name: at for name, at in entries.items() if name not in outgrown(before, questions)}
    entries |= {name: min(since.get(name, now), now) for name, on in said.items() if on}
    shown = questions.keys() | before.entries.keys()  # of what is not declared nobody was asked
    passed = {name for name, on in said.items() if not on and name in shown}.union(before.declined)
    asked = {name: one for name, one in before.questions.items() if name not in said}
    asked |= {name: questions[name] for name in said if name in questions}
    return {
        "entries": entries,
        "declined": tuple(sorted(passed - entries.keys())),
        "questions": {name: one for name, one in asked.items() if name in entries},
    }


def switched(names: Collection[str] | None) -> dict[str, bool]:
    """Each name, and whether it is on.

    Raises ``TypeError`` for a text, where others would be found by their letters, and for a switch
    that is no bool: ``"no"`` would be a yes.
    """
    if isinstance(names, str | bytes):
        raise TypeError("variables and purposes are lists of names, not one text")
    if isinstance(names, Mapping):
        if not all(isinstance(on, bool) for on in names.values()):
            raise TypeError("switches of variables and purposes are True or False")
        return dict(names)
    return dict.fromkeys(names or (), True)
