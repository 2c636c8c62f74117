"""What one fetch was: its outcome for the host, its entry in the user's journal. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mars import consent
from mars.errors import MarsError, TrustError, WireError
from mars.plan import Plan

if TYPE_CHECKING:
    from mars.wire.motd import Motd
    from mars.wire.request import HTTPRequest

BEGUN = "begun"
"""In the journal, the reason of a request whose end nobody saw."""
REFUSED = "Nothing of it was taken; if this goes on, tell the application's developers."
"""What a user can do about a document that is not as it should be."""


@dataclass(frozen=True)
class Outcome:
    """What came of one fetch. ``reason`` is None when a document was accepted."""

    reason: str | None
    message: str
    level: str
    url: str
    route: str = ""
    status: int | None = None
    motd: Motd | None = None
    news: bool = False

    @classmethod
    def of(
        cls,
        entry: Mapping[str, Any],
        status: int | None,
        reason: str | None = None,
        message: str = "",
        motd: Motd | None = None,
        news: bool = False,
    ) -> Outcome:
        """Of the request that the journal's ``entry`` tells of."""
        where = (entry["level"], entry["url"], entry["route"])
        return cls(reason, message, *where, status, motd, news)

    @property
    def ok(self) -> bool:
        return self.reason is None


def sentence(error: MarsError) -> str:
    """What is wrong and what to do next, said to the application's user.

    The trust rules speak to publishers too, who mend what they name; a user can't.
    """
    refused = isinstance(error, WireError | TrustError)
    return f"{error.message} {REFUSED}" if refused else error.message


@dataclass
class Departure:
    """``Request.leaving`` of one fetch; knows afterwards what went, if anything did."""

    entry: Mapping[str, Any]
    """In the journal: at first that of a request ``unsent``."""
    let_go: Callable[[HTTPRequest, str], Mapping[str, Any]]
    """Records that it goes, and returns the entry. Where it raises, nothing goes."""
    gone: bool = False

    def __call__(self, request: HTTPRequest, route: str) -> None:
        self.entry, self.gone = self.let_go(request, route), True


def told(error: Exception) -> MarsError:
    """``error`` as the host and the user get to hear it."""
    if isinstance(error, MarsError):
        return error
    return MarsError("internal", f"An error of ours ({type(error).__name__}); please report it.")


def begun(ready: Plan, request: HTTPRequest, route: str, now: int) -> dict[str, Any]:
    """What stands in the journal of a request that goes, should the process end before the
    answer. By the direct way it carries no data, so it is plain."""
    return {
        "time": now,
        "level": ready.level if request == ready.request else consent.PLAIN,
        "url": request.url,
        "sent": request.shown,
        "route": route,
        "status": None,
        "reason": BEGUN,
        "serial": None,
    }


def unsent(ready: Plan, now: int) -> dict[str, Any]:
    """Of what never went: not shown with the values that it would have carried."""
    entry = begun(ready, ready.request, "", now)
    return {**entry, "url": ready.url.partition("?")[0], "sent": ""}


def ended(entry: Mapping[str, Any], outcome: Outcome) -> dict[str, Any]:
    """The entry when all is over."""
    serial = outcome.motd.serial if outcome.motd else None
    return {**entry, "status": outcome.status, "reason": outcome.reason, "serial": serial}
