"""What keeps other sites in the operator's browser from the console: Host, origin, token. Pure.

Whoever reaches the socket is the operator. What reaches it through his browser may be a page of
somebody else's, which can send forms anywhere (J21), and bear a name that leads here (J22).
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from mars.errors import MarsError
from mars_server.serving.bind import Hosts

COOKIE = "mars-console"
"""Holds the session: of one browser, told to it with its first page."""
FIELD = "token"
"""Of every form."""
SECRET_BYTES = SESSION_BYTES = 32
_SESSION = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)


class RefusedError(MarsError):
    """A request that is not answered; ``status`` is that of HTTP."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(reason, message)
        self.status = status


@dataclass(frozen=True)
class Guard:
    """Of one process. Each method raises ``RefusedError`` or does nothing."""

    secret: bytes
    """New with each process: no token outlives it."""
    hosts: Hosts
    """By which the console is known."""

    def require_host(self, host: str) -> None:
        """``host`` is the Host field. Any other name may be one that a stranger made lead here."""
        if not self.hosts.admits(host):
            raise RefusedError(
                421,
                "other-host",
                "This console is not known by that name; open it as http://localhost and the port "
                "that you forward, or by its onion address.",
            )

    def require_origin(self, headers: Mapping[str, str], host: str) -> None:
        """That a browser says the form was on a page of ours.

        Where a page sends no referrer, as ours, Origin is ``null`` (Fetch standard, "append a
        request Origin header"); then Sec-Fetch-Site must say it.
        """
        site, origin = headers.get("Sec-Fetch-Site"), headers.get("Origin")
        ours = origin == f"http://{host}"
        if site not in (None, "same-origin") or not (ours or (site and origin in (None, "null"))):
            raise RefusedError(
                403,
                "other-origin",
                "This form came from another site, or from a browser that does not say from where; "
                "nothing was changed. Use the forms of this console, in a browser of today.",
            )

    def require_token(self, session: str, token: str) -> None:
        """That the form was on a page which this process showed to the browser with that cookie."""
        given = token.encode("utf-8", "replace")
        if not is_session(session) or not hmac.compare_digest(self.token(session).encode(), given):
            raise RefusedError(
                403,
                "bad-token",
                "This form was not made for this browser by the console that runs now; nothing was "
                "changed. Go back, load the page anew, and send it again.",
            )

    def token(self, session: str) -> str:
        """Of the forms of ``session``. Another program on the same host may read the cookie, since
        cookies know no ports; it cannot make this of it."""
        return hmac.new(self.secret, session.encode(), sha256).hexdigest()


def new_session(chance: bytes) -> str:
    """Of ``SESSION_BYTES`` random bytes."""
    return base64.urlsafe_b64encode(chance).rstrip(b"=").decode("ascii")


def is_session(text: str) -> bool:
    """Whether it has the form of one."""
    return _SESSION.fullmatch(text) is not None
