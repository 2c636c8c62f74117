"""What was sent, by which route, and what came back: the user's own record, bounded. Pure.

Each request has one entry, written before it goes and completed when all is over. Its ``sent`` is
empty where nothing left; what may have left counts as sent.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mars import consent
from mars.errors import MarsError, StateError, TrustError, WireError
from mars.wire.times import LAST

if TYPE_CHECKING:
    from mars.core.channel import Ending, NextRequest
    from mars.wire.request import HTTPRequest

BEGUN = "begun"
"""The reason of a request whose end nobody saw."""
REFUSED = "Nothing of it was taken; if this goes on, tell the application's developers."
"""What a user can do about a document that is not as it should be."""
KEPT = 200
"""Entries; about three years of fetches. The oldest go first."""
_KINDS = {"time": int, "level": str, "url": str, "sent": str, "route": str}
LIMIT = 512 * 1024
"""Bytes. A journal beyond it is started anew."""


def decode(data: bytes | None) -> list[dict[str, Any]]:
    """Entries, oldest first. Lines that are not ours are left out: ``unreadable`` counts them."""
    found = map(_entry, () if data is None or len(data) > LIMIT else data.split(b"\n"))
    return [entry for entry in found if entry is not None]


def unreadable(data: bytes | None) -> int:
    """Lines that say something and are no entries; of a journal beyond ``LIMIT``, all."""
    return sum(map(bool, (data or b"").split(b"\n"))) - len(decode(data))


def _entry(line: bytes) -> dict[str, Any] | None:
    try:
        entry = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) and _is_whole(entry) else None


def _is_whole(entry: Mapping[str, Any]) -> bool:
    """Whether it has what every entry of ours has, of the right kind."""
    kinds = all(type(entry.get(name)) is kind for name, kind in _KINDS.items())
    return kinds and 0 <= entry["time"] <= LAST and isinstance(entry.get("reason"), str | None)


def encode(entries: Sequence[Mapping[str, Any]]) -> bytes:
    """One JSON object a line, at most ``KEPT`` and ``LIMIT`` bytes of them. The oldest go first,
    notes before requests, so that no plug-in has what was sent forgotten.

    Raises ``StateError`` (``state-too-large``) where the last alone is more.
    """
    lines = [f"{json.dumps(entry, ensure_ascii=True)}\n" for entry in entries]
    size, kept = sum(map(len, lines)), set(range(len(lines)))
    for at in sorted(kept - {len(lines) - 1}, key=lambda at: (not is_note(entries[at]), at)):
        if len(kept) <= KEPT and size <= LIMIT:
            break
        kept.remove(at)
        size -= len(lines[at])
    if size > LIMIT:
        raise StateError("state-too-large", "No journal holds it, so it is not sent; report this.")
    return "".join(lines[at] for at in sorted(kept)).encode("ascii")


def is_note(entry: Mapping[str, Any]) -> bool:
    """Whether it is of no request, but of what is wrong with a provider."""
    return not (entry["level"] or entry["url"] or entry["sent"])


def complete(
    data: bytes | None, begun: Mapping[str, Any], entry: Mapping[str, Any]
) -> bytes | None:
    """The journal with ``entry`` in the place of ``begun``; None where the user deleted it."""
    entries = decode(data)
    if begun not in entries:
        return None
    place = len(entries) - 1 - entries[::-1].index(dict(begun))
    return encode([*entries[:place], entry, *entries[place + 1 :]])


def add(data: bytes | None, entry: Mapping[str, Any]) -> bytes:
    """The journal with one more entry."""
    return encode([*decode(data), entry])


@dataclass(frozen=True)
class Outcome:
    """What came of one request. ``reason`` is None when an answer was accepted."""

    reason: str | None
    message: str
    level: str
    url: str
    route: str = ""
    status: int | None = None
    taken: Any = None
    """What the channel made of the answer."""

    @property
    def ok(self) -> bool:
        return self.reason is None


UNASKED = "may have gone"
"""The route of what an application's own fetcher failed with before it asked, if it ever does."""
_OWN = frozenset({"time", "channel", "level", "url", "sent", "route", "status", "reason"})
"""Members of an entry that no channel writes."""
SAID = 4 * 1024
"""Bytes of an entry for what a channel adds."""


class Departure:
    """``Request.leaving`` of one request: knows afterwards what went, if anything did.

    ``let_go`` is handed the request that leaves and its entry; where it raises, nothing goes.
    """

    def __init__(
        self,
        channel: str,
        ready: NextRequest,
        let_go: Callable[[HTTPRequest, Mapping[str, Any]], None],
        now: Callable[[], int],
    ) -> None:
        self._channel = channel
        self._ready = ready
        self._let_go = let_go
        self._now = now
        self.begun: Mapping[str, Any] | None = None
        """The entry as it stands in the journal, once it does."""
        self.status: int | None = None
        # Of what never went the entry does not show the values that it would have carried.
        never = {"url": ready.url.partition("?")[0], "sent": ""}
        self._never = self._entry(ready.request, "") | never
        self.entry: Mapping[str, Any] = self._never
        self._asked = False

    def __call__(self, request: HTTPRequest, route: str) -> None:
        self._asked = True
        self.entry = self.begun or self._never
        entry = self._entry(request, route)
        self._let_go(request, entry)
        self.entry = self.begun = entry

    def unasked(self, route: str) -> None:
        """What it was handed counts as gone, unless the fetcher asks; once it did not, nothing can
        be held back."""
        if not self._asked:
            self.entry = self._entry(self._ready.request, route)

    @property
    def left(self) -> bool:
        """Whether a byte of the request left, or may have: as the journal has it."""
        return bool(self.entry["sent"])

    def _entry(self, request: HTTPRequest, route: str) -> dict[str, Any]:
        """The entry of a request that goes, should the process end before the answer. By the
        direct way it carries no data, so it is plain."""
        return {
            "time": self._now(),
            "channel": self._channel,
            "level": self._ready.level if request == self._ready.request else consent.PLAIN,
            "url": request.url,
            "sent": request.shown,
            "route": route,
            "status": None,
            "reason": BEGUN,
            "serial": None,
        }

    def outcome(self, ending: Ending) -> Outcome:
        message = sentence(ending.error) if ending.error else ""
        where = (self.entry["level"], self.entry["url"], self.entry["route"], self.status)
        return Outcome(ending.reason, message, *where, ending.taken)

    def ended(self, ending: Ending) -> dict[str, Any]:
        """The entry when all is over."""
        try:
            text = json.dumps({n: said for n, said in ending.said.items() if n not in _OWN})
        except (TypeError, ValueError, AttributeError, RecursionError):
            text = "{}"
        said = json.loads(text) if len(text) <= SAID else {}
        return {**self.entry, "status": self.status, "reason": ending.reason, **said}


def sentence(error: MarsError) -> str:
    """What is wrong and what to do next, said to the application's user.

    The trust rules speak to publishers too, who mend what they name; a user can't.
    """
    refused = isinstance(error, WireError | TrustError)
    return f"{error.message} {REFUSED}" if refused else error.message


def told(error: BaseException, whose: str = "ours") -> MarsError:
    """``error`` as the host and the user get to hear it."""
    if isinstance(error, MarsError):
        return error
    return MarsError("internal", f"An error of {whose} ({type(error).__name__}); please report it.")


# --- what each reason means, for the codes have no sentence; docs/tor.md has the same table -----

_NOT_OURS = "the answer is not one that our server gives"
_GUARDED = "our own guards held a request back"
_UNUSABLE = "a bridge line, or the folder for our own Tor, is not usable"
_UNREACHED = "a server that is no onion service cannot be reached"
_ADDRESS = "the address is not `IP:PORT`"
_NO_DOCUMENT = "the server answers, and not with the document"
_CONTROL = "the control port is not there, or lets nobody in"

EXCHANGE = {
    BEGUN: "it was sent, and the process ended before an answer was written down",
    "day-used": "another request went that day, so this one waits for a day of its own",
    "withdrawn": "consent was withdrawn, or the client stopped, before anything went",
    "tor-unavailable": "no Tor answers",
    "tor-missing": "no `tor` program for a Tor of our own",
    "tor-start": "our own Tor ended at once, or what was named is no program",
    "tor-bootstrap": "our own Tor did not connect in time",
    "cannot-judge": "the program lacks what it needs to judge an answer, so it did not ask",
    "no-thread": "the system gave no thread for it",
    "tor-silent": "Tor is there, or should be, and does not answer, or whose it is cannot be read",
    "tor-foreign": "another user of this computer listens where Tor should",
    "tor-failed": "Tor could not make the connection, or nothing runs behind the onion service",
    "tor-closed": "Tor hung up on us",
    "not-socks": "something else listens at that port",
    "socks-auth": "the proxy refuses the login",
    "socks-address": _ADDRESS,
    "socks-scheme": _ADDRESS,
    "onion-invalid": "the onion address has a typing error",
    "onion-not-found": "no such onion service, it is offline, or its tor may not reach the server",
    "onion-unreachable": "it is known and does not answer",
    "onion-auth": "it admits only clients with a key",
    "host-not-found": _UNREACHED,
    "host-unreachable": _UNREACHED,
    "network-down": "Tor has no network",
    "refused": "the server refuses the connection",
    "timeout": "no complete answer in 180 seconds",
    "incomplete": "the connection broke off",
    "too-large": _NOT_OURS,
    "encoded": _NOT_OURS,
    "bad-answer": _NOT_OURS,
    "registry-unknown": "what came is not the registry that root's signed document names",
    "http-status": _NO_DOCUMENT,
    "redirect": _NO_DOCUMENT,
    "tls": "the certificate is not valid",
    "url-invalid": "the address is not a plain http, https or file URL",
    "file-unreadable": "the file of a `file:` URL cannot be read",
    "bridge-invalid": _UNUSABLE,
    "tor-folder": _UNUSABLE,
    "direct-refused": "what may not go directly would have",
    "not-golden": _GUARDED,
    "not-isolated": _GUARDED,
    "control-unavailable": _CONTROL,
    "control-auth": _CONTROL,
}
"""Of the way to the server and back; the document's own reasons are ``mars.trust``'s."""
