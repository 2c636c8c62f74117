"""What the channel of statistics remembers: draws, the next report, what its user chose. Pure.

The next report is sealed once and kept with its bytes, so that the preview, the journal and the
wire show the same.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import asdict, astuple, dataclass, field, replace
from typing import Any, Self

from mars.channels.altering import Rules
from mars.channels.draws import Draw, Draws
from mars.core.state import (
    State,
    flag,
    is_misunderstood,
    of_type,
    question,
    read,
    table,
    text,
    time,
)
from mars.wire.registry import Question

NAME = "statistics"


@dataclass(frozen=True)
class Upcoming:
    """The next report, sealed."""

    name: str
    """``project/key``."""
    week: int
    """Of its draw."""
    value: str
    """What is true, as far as it may be said."""
    said: str
    """What the report says of it: with an ``epsilon`` a random value now and then."""
    release: str
    key: str
    """The intake's, that it is sealed to, hex."""
    text: str
    """What is sealed."""
    body: bytes
    question: Question
    """What the entry asked when it was sealed: under another one this is no answer."""

    def is_of(self, draw: Draw | None) -> bool:
        return draw is not None and (self.name, self.week) == (draw.name, draw.week)

    def plain(self) -> dict[str, Any]:
        body = base64.b64encode(self.body).decode("ascii")
        return {**vars(self), "body": body, "question": asdict(self.question)}


@dataclass(frozen=True)
class Memory:
    """All that is kept under the channel's name."""

    draws: Draws = field(default_factory=Draws)
    upcoming: Upcoming | None = None
    trying: Draw | None = None
    """The draw whose report is on its way; where nothing of it leaves, it is drawn back."""
    local: bool = False
    """Whether the user wants values collected and shown, whatever may be sent."""
    rules: Rules = field(default_factory=Rules)
    """What the user has said less of."""

    @classmethod
    def of(cls, state: State) -> Self:
        """Of each member that is not understood nothing."""
        kept = state.kept(NAME)
        found = {name: read(_READERS[name], kept[name]) for name in kept.keys() & _READERS.keys()}
        return cls(**{name: value for name, value in found.items() if value is not None})

    def plain(self) -> dict[str, Any]:
        """What ``of`` reads; what is not said is left out."""
        draws, upcoming, trying = self.draws, self.upcoming, self.trying
        said: dict[str, Any] = {"local": self.local}
        if draws != Draws():
            pending = [astuple(draw) for draw in draws.pending]
            said["draws"] = {"weeks": list(draws.weeks), "pending": pending}
        said["upcoming"] = upcoming and upcoming.plain()
        said["trying"] = trying and astuple(trying)
        if self.rules != Rules():
            said["rules"] = asdict(self.rules)
        return {name: value for name, value in said.items() if value}

    def into(self, state: State) -> State:
        return state.keeping(NAME, self.plain())

    def stopped(self) -> Memory:
        """Without any report to come. Which weeks were drawn is still known, or who takes a yes
        back and gives it anew would be drawn twice."""
        return replace(self, draws=Draws(self.draws.weeks), upcoming=None, trying=None)


def is_damaged(state: State) -> bool:
    """Whether a member says something that is not understood."""
    kept = state.kept(NAME)
    return is_misunderstood(kept, _READERS) or Rules.understood(kept.get("rules", {})) is None


_list: Callable[[object], list[Any]] = of_type(list)


def _draw(value: object) -> Draw:
    name, week, due, wait = _list(value)
    return Draw(text(name), time(week), time(due), None if wait is None else time(wait))


def _draws(value: object) -> Draws:
    said = table(value)
    pending = tuple(_draw(draw) for draw in _list(said["pending"]))
    return Draws(tuple(time(week) for week in _list(said["weeks"])), pending)


def _upcoming(value: object) -> Upcoming:
    from mars.wire.sealed import SMALL  # late: it loads libsodium

    said: Mapping[str, Any] = table(value)
    texts = {name: text(said[name]) for name in ("name", "value", "said", "release", "key", "text")}
    try:
        body = base64.b64decode(text(said["body"]), validate=True)
    except binascii.Error:
        raise ValueError from None
    if len(body) != SMALL or said.keys() != {*texts, "week", "body", "question"}:
        raise ValueError
    return Upcoming(
        **texts, week=time(said["week"]), body=body, question=question(said["question"])
    )


_READERS: dict[str, Callable[[Any], Any]] = {
    "draws": _draws,
    "upcoming": _upcoming,
    "trying": _draw,
    "local": flag,
    "rules": Rules.read,
}
