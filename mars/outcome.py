"""What one fetch was: its outcome for the host, its entry in the user's journal. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mars import consent
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


def as_sent(outcome: Outcome, ready: Plan, went: Sequence[Mapping[str, Any]]) -> Outcome:
    """With what really went: by the direct way the query was cut off, so it was plain; and what
    never went is not shown with the values that it would have carried."""
    bare = ready.url.partition("?")[0]
    gone = bool(went or outcome.route)
    through = outcome.route not in ("", DIRECT)
    url = str(went[0]["url"]) if went else ready.url if through else bare
    return replace(outcome, url=url, level=_level(ready, url) if gone else ready.level)


def _level(ready: Plan, url: str) -> str:
    return ready.level if url == ready.url else consent.PLAIN


def told(error: Exception) -> MarsError:
    """``error`` as the host and the user get to hear it."""
    if isinstance(error, MarsError):
        return error
    return MarsError("internal", f"An error of ours ({type(error).__name__}); please report it.")


def _sent(ready: Plan, url: str) -> str:
    """The request as it went to ``url``, with its query or without."""
    sent = ready.bytes.decode("ascii")
    target, sep, rest = sent.partition(" HTTP/1.1\r\n")
    return sent if url == ready.url else target.partition("?")[0] + sep + rest


def begun(ready: Plan, url: str, route: str, now: int) -> dict[str, Any]:
    """What stands in the journal should the process end before the answer."""
    return {
        "time": now,
        "level": _level(ready, url),
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
    """How it ended, of an outcome ``as_sent``."""
    return {
        "time": went[0]["time"] if went else now,
        "level": outcome.level,
        "url": outcome.url,
        "sent": _sent(ready, outcome.url) if went or outcome.route else "",
        "route": outcome.route,
        "status": outcome.status,
        "reason": outcome.reason,
        "serial": outcome.motd.serial if outcome.motd else None,
    }
