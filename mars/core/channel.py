"""What a channel is to the core, which knows none: the one page that a new channel is written to.

A channel decides from a ``View``, asks for one ``NextRequest`` at a time, and gives back what it
must remember. The core asks for consent, again at the last moment, keeps the next time before each
attempt, sends, and writes the journal. What a channel says of itself is checked, and what it raises
is told as a problem and stops no other channel.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from mars.consent import BUILT_IN, PLAIN, TRACKED, Effective, Layer, Purpose
from mars.core.state import RESERVED, App, State
from mars.errors import ConfigError, MarsError
from mars.ports import Chance, OpenPGP, Platform, Request
from mars.wire.product import is_name
from mars.wire.request import HTTPRequest

FILE = "file:"

Kept = Mapping[str, Any]
"""All that a channel remembers from now on, as plain JSON (``State.keeping`` says how much)."""


@dataclass(frozen=True)
class View:
    """One installation at one moment: all that a channel decides from."""

    app: App
    state: State
    host: Platform
    now: int
    voice: Effective
    free: bool = True
    """Whether a request of this channel may go today by itself: none of the installation has gone,
    and the first channel, which keeps its time, is due on a later day."""
    day_after: int = 0
    """The next midnight UTC: a channel whose request may not go today picks a time after it."""
    planning: bool = False
    """Whether only times are drawn, as when the user has just chosen: nothing foreign is called,
    since a choice never waits for that, and nothing goes."""
    asked: NextRequest | None = None
    """The request that an answer is to, where there is one to be judged or learned from."""


@dataclass(frozen=True)
class NextRequest:
    """The next request of a channel, as it is shown, agreed to, sent and recorded."""

    level: str
    request: HTTPRequest
    """Through Tor. Of a ``file:`` URL it has no bytes."""
    direct: HTTPRequest | None
    """What goes in its place, without Tor and without data, where no Tor is; only where the user
    allowed it and the address may be asked for so."""
    values: Mapping[str, str]
    """What it says of the user; each must be one that would be said at the last moment, too. None
    without a yes to a purpose that tells something."""
    lowered: tuple[Layer, ...] = ()
    """What allows less here than was agreed to, such as a way on which others read along."""
    expect: frozenset[int] = frozenset({200})
    """The statuses that count as an answer."""
    limit: int = Request.limit
    """Bytes of an answer."""
    deadline: float = Request.deadline
    """Seconds for all of it."""

    @property
    def url(self) -> str:
        """With its query, if any."""
        return self.request.url

    @property
    def is_file(self) -> bool:
        """Whether it needs no network."""
        return self.url.startswith(FILE)

    @property
    def bytes(self) -> builtins.bytes:
        """The request through Tor; empty for a ``file:`` URL."""
        return self.request.golden


@dataclass(frozen=True)
class Ending:
    """How one exchange ended, for the channel to learn from."""

    taken: Any = None
    """What the channel's ``take`` gave back."""
    error: MarsError | None = None
    """What ended it instead, if anything did."""
    said: Mapping[str, Any] = field(default_factory=dict)
    """Further members of its entry in the journal, as plain JSON; none that the core writes."""
    kept: bytes | None = None
    """Of an answer, what is kept in a file of the channel's own, ``NAME.json`` in the store."""
    left: bool = False
    """Whether a byte of the request left, or may have; the core says it, ``take`` does not."""

    @property
    def reason(self) -> str | None:
        """None where nothing ended it."""
        return self.error.reason if self.error else None


class Channel(Protocol):
    """One kind of request. Pure but for what it is handed; its ``State`` is the one on disk."""

    name: str
    """In the journal and in the state: a-z, 0-9 and hyphens."""
    purposes: tuple[Purpose, ...]
    """What it serves. Without a yes to one of them nothing of this channel goes."""

    def stopped(self, state: State) -> Kept:
        """Without any time to come: the user said no, or yes for the first time."""
        ...

    def look(self, view: View, ran: int | None, chance: Chance) -> tuple[Kept, int]:
        """Seconds until it wants to look again; 0 where its request is due now. Where it may not go
        today (``View.free``), 0 brings nothing: it picks another day itself.

        ``ran`` is the running time since the last look (seconds), None at a session's first.
        """
        ...

    def due(self, state: State) -> int | None:
        """When its next request is due (Unix time), also where that is past; None where none is. On
        the day of the first channel's no other goes."""
        ...

    def attempt(self, view: View, chance: Chance) -> Kept:
        """What is stored before its request is tried: the time of the next one, whatever comes."""
        ...

    def rested(self, state: State, ran: int | None) -> Kept:
        """At the end of a session."""
        ...

    def plan(self, view: View, url: str | None = None) -> NextRequest:
        """The next request. ``url`` is an address given for this once.

        The same for the same ``view``, to the byte: it is planned for each preview, again to be
        sent, and again at the last moment. A sealed body, or the seed of its sealing, is therefore
        made in ``look`` or ``attempt`` and remembered.

        Raises ``ConsentError``, ``ConfigError`` or ``TransportError``.
        """
        ...

    def require_judge(self, view: View, openpgp: Callable[[], OpenPGP]) -> None:
        """Raises ``MarsError`` where no answer could be judged here: then nothing is asked."""
        ...

    def take(self, body: builtins.bytes, view: View, openpgp: Callable[[], OpenPGP]) -> Ending:
        """What an answer means. Raises ``MarsError`` for one that is refused."""
        ...

    def learn(self, view: View, ending: Ending, chance: Chance, *, scheduled: bool) -> Kept:
        """What is remembered of an exchange that ended now; only a ``scheduled`` one moves the
        times. After one of which a byte ``left`` the next is a period away, whatever came back;
        one that was kept back for its day (``mars.core.days.DAY_USED``) picks another."""
        ...

    def is_damaged(self, state: State) -> bool:
        """Whether a member of its own says something that it does not understand."""
        ...


def serves_any(channel: Channel, agreed: Container[str]) -> bool:
    """Whether one of its purposes is among those that are ``agreed`` to."""
    return any(purpose.name in agreed for purpose in channel.purposes)


def require_sound(channels: Sequence[Channel]) -> None:
    """Each has a name of its own and a purpose, and no purpose's name means two things.

    Raises ``ConfigError`` (``channel-invalid``).
    """
    names = [one.name for one in channels]
    offered = {purpose for one in channels for purpose in one.purposes}
    meant = {purpose.name for purpose in offered | BUILT_IN}
    if not (
        len(set(names)) == len(names)
        and all(is_name(name) and name not in RESERVED for name in names)
        and all(one.purposes for one in channels)
        and all(one.name and one.least in (PLAIN, TRACKED) for one in offered)
        and len(meant) == len(offered | BUILT_IN)
    ):
        raise ConfigError(
            "channel-invalid",
            f"No channel beside the news is served; give each of {names} a name of its own of a-z, "
            "0-9 and -, and purposes whose names mean nothing else.",
        )
