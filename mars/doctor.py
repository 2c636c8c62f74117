"""Walks the chain from Tor to the signature, step by step with times, and says where it breaks.

Works against any onion service: what needs more than an address is left out. Each step depends on
those before it, so after the first that fails the rest is not tried.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from mars.errors import MarsError
from mars.ports import Clock, Fetcher, Request, Response, Tor, TorSettings, TorStatus
from mars.wire.request import HTTPRequest
from mars.wire.url import parse_url

CLOCK_REASONS = frozenset({"future", "clock", "expired"})
"""Reasons for which a wrong clock may be the cause."""
STEPS = ("tor", "bootstrapped", "circuit", "onion", "signature", "clock")


@dataclass(frozen=True)
class Step:
    """``ok`` is None where the step could not be tried or does not apply."""

    name: str
    ok: bool | None
    detail: str
    reason: str | None = None
    seconds: float | None = None

    def plain(self) -> dict[str, Any]:
        seconds = None if self.seconds is None else round(self.seconds, 3)
        return {
            "step": self.name,
            "ok": self.ok,
            "seconds": seconds,
            "reason": self.reason,
            "detail": self.detail,
        }


@dataclass(frozen=True)
class Tools:
    """What the steps are made with; every one can be replaced."""

    clock: Clock
    find: Callable[[TorSettings], Tor]
    reach: Callable[[str, str, int, float], None]
    fetcher: Callable[[str], Fetcher]
    verify: Callable[[bytes], datetime] | None = None
    """Judges the document and returns when it was issued; None where nothing is pinned."""


@dataclass
class Walk:
    """One examination. ``url`` None stops after Tor itself."""

    tools: Tools
    settings: TorSettings
    url: str | None = None
    deadline: float = 60.0
    """Seconds for each step over the network."""
    _tor: Tor | None = None
    _status: TorStatus | None = None
    _answer: Response | None = None
    _issued: datetime | None = None
    _found: list[Step] = field(default_factory=list)

    def steps(self) -> Iterator[Step]:
        """All of ``STEPS`` in order, each as soon as it is known."""
        broken = False
        try:
            for name in STEPS:
                step = Step(name, None, "not tried") if broken else self._timed(name)
                broken = broken or step.ok is False
                self._found.append(step)
                yield step
        finally:
            if self._tor is not None:
                self._tor.close()

    @property
    def ok(self) -> bool:
        """Whether no step failed so far."""
        return all(step.ok is not False for step in self._found)

    def _timed(self, name: str) -> Step:
        act: Callable[[], str | None] = getattr(self, f"_{name}_step")
        began = self.tools.clock.monotonic()
        try:
            detail = act()
        except MarsError as error:
            seconds = self.tools.clock.monotonic() - began
            # A control port is a help, not a need: without it the next steps tell.
            fatal = not error.reason.startswith("control-")
            return Step(name, False if fatal else None, error.message, error.reason, seconds)
        if detail is None:
            return Step(name, None, _LEFT_OUT[name])
        return Step(name, True, detail, None, self.tools.clock.monotonic() - began)

    def _tor_step(self) -> str:
        self._tor = self.tools.find(self.settings)
        return f"{_HOW[self._tor.how]} answers at {self._tor.socks}"

    def _bootstrapped_step(self) -> str:
        assert self._tor is not None
        self._status = status = self._tor.status()
        if status.clock_skew:
            raise MarsError(
                "clock",
                f"Tor finds this machine's clock off by {status.clock_skew} seconds; set it right.",
            )
        if status.progress < 100:
            raise MarsError(
                "tor-bootstrap",
                f"Tor came to {status.progress} % only ({status.summary}); check that you are "
                "online and that the clock is right, or use a bridge.",
            )
        return f"tor {status.version}, connected, {status.circuits} circuits built"

    def _circuit_step(self) -> str | None:
        if self.url is None:
            return None
        assert self._tor is not None
        place = parse_url(self.url)
        self.tools.reach(self._tor.socks, place.host, place.port, self.deadline)
        return "a new circuit reached the server"

    def _onion_step(self) -> str | None:
        if self.url is None:
            return None
        assert self._tor is not None
        request = Request(HTTPRequest.get(self.url), self.deadline, expect=None)
        self._answer = answer = self.tools.fetcher(self._tor.socks).fetch(request)
        return f"the server answered with status {answer.status} and {len(answer.body)} bytes"

    def _signature_step(self) -> str | None:
        if self._answer is None or self.tools.verify is None:
            return None
        if self._answer.status != 200:
            raise MarsError(
                "http-status",
                f"The server answers with status {self._answer.status}, not with a document; "
                "check the path of the address.",
            )
        self._issued = self.tools.verify(self._answer.body)
        return f"genuine, issued {self._issued:%Y-%m-%d}"

    def _clock_step(self) -> str | None:
        here = datetime.fromtimestamp(self.tools.clock.now(), UTC)
        if self._issued is not None:
            return f"{here:%Y-%m-%d %H:%M} UTC, within the document's days"
        if self._answer is not None or self._status is not None:
            return f"{here:%Y-%m-%d %H:%M} UTC, right enough for Tor, which allows some hours"
        return None


_HOW = {
    "given": "the Tor that was given",
    "system": "a Tor that runs on this machine",
    "browser": "Tor Browser",
    "own": "a Tor of our own",
}

_LEFT_OUT = {
    "circuit": "left out: name a server with --url",
    "onion": "left out: name a server with --url",
    "signature": "left out: give what the application pins with --trust",
    "clock": "left out: nothing to compare it with",
}
