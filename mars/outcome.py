"""What one fetch was: its outcome for the host, its entry in the user's journal. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mars.errors import MarsError, TrustError, WireError
from mars.plan import Plan

if TYPE_CHECKING:
    from mars.wire.motd import Motd

BEGUN = "begun"
"""In the journal, the reason of a request whose end nobody saw."""
DIRECT = "direct"
"""``Response.route`` of a document that did not come through Tor."""
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

    @property
    def ok(self) -> bool:
        return self.reason is None


def sentence(error: MarsError) -> str:
    """What is wrong and what to do next, said to the application's user.

    The trust rules speak to publishers too, who mend what they name; a user can't.
    """
    refused = isinstance(error, WireError | TrustError)
    return f"{error.message} {REFUSED}" if refused else error.message


def told(error: Exception) -> MarsError:
    """``error`` as the host and the user get to hear it."""
    if isinstance(error, MarsError):
        return error
    return MarsError("internal", f"An error of ours ({type(error).__name__}); please report it.")


def _sent(ready: Plan, url: str) -> str:
    """The request as it went: by the direct way the query was cut off."""
    sent = ready.bytes.decode("ascii")
    target, sep, rest = sent.partition(" HTTP/1.1\r\n")
    return sent if "?" in url else target.partition("?")[0] + sep + rest


def begun(ready: Plan, url: str, route: str, now: int) -> dict[str, Any]:
    """What stands in the journal should the process end before the answer."""
    return {
        "time": now,
        "level": ready.level,
        "url": url,
        "sent": _sent(ready, url),
        "route": route,
        "status": None,
        "reason": BEGUN,
        "serial": None,
    }


def ended(
    outcome: Outcome, ready: Plan, now: int, went: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """How it ended. What never went is not shown as sent."""
    if went:
        sent = went[0]
    elif outcome.route:
        direct = outcome.route == DIRECT
        url = ready.url.partition("?")[0] if direct else ready.url
        sent = {"url": url, "sent": _sent(ready, url), "time": now}
    else:
        sent = {"url": ready.url.partition("?")[0], "sent": "", "time": now}
    return {
        "time": sent["time"],
        "level": ready.level,
        "url": sent["url"],
        "sent": sent["sent"],
        "route": outcome.route,
        "status": outcome.status,
        "reason": outcome.reason,
        "serial": outcome.motd.serial if outcome.motd else None,
    }
