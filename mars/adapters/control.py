"""Tor's control port, for its status. The one home of stem, imported only when used."""

from __future__ import annotations

import logging
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mars.adapters.owners import require_trusted
from mars.adapters.socks import parse_proxy
from mars.errors import TransportError, starting_thread
from mars.ports import TorStatus

if TYPE_CHECKING:
    from stem.control import Controller

UNIX = "unix:"
SECONDS = 10.0
"""A control port on this machine answers in milliseconds."""
PAUSE = 0.05
"""Seconds between two attempts to end a session that is over its time."""
_PHASE = re.compile(r'PROGRESS=(\d+) TAG=\S+ SUMMARY="([^"\r\n]*)"')
_SKEW = re.compile(r"CLOCK_SKEW SKEW=(-?\d+)")


def read_status(
    control: str, password: str | None = None, *, given: bool = True, cookie: str = ""
) -> TorStatus:
    """Raises ``TransportError``: ``control-unavailable``, ``control-auth``, and where the address
    was not ``given`` ``tor-foreign``; ``ConfigError``."""
    with session(control, password, SECONDS, given=given, cookie=cookie) as controller:
        return status_of(controller)


@contextmanager
def session(
    control: str,
    password: str | None,
    seconds: float,
    *,
    given: bool = True,
    cookie: str = "",
    fallback: bool = True,
) -> Iterator[Controller]:
    """An authenticated connection that lasts ``seconds`` at most; never goes on without a login.

    stem knows no time limit: its threads wait for ever for a port that says nothing. ``cookie`` is
    its path where we know it, else tor is asked; without ``fallback`` a ``password`` is all that is
    tried. Raises what ``read_status`` raises, also where tor ends within the block.
    """
    import stem
    import stem.connection

    with starting_thread():  # stem's own
        controller = _connected(control, given)
    done = threading.Event()
    try:
        with starting_thread():
            threading.Thread(target=_limit, args=(controller, done, seconds), daemon=True).start()
        _log_in(controller, password, cookie, fallback)
        yield controller
    except stem.connection.AuthenticationFailure as error:
        if type(error) in (
            stem.connection.AuthenticationFailure,  # the connection ended
            stem.connection.IncorrectSocketType,
        ):
            raise _unavailable(control) from None
        raise _no_entry(error) from None
    except (stem.ControllerError, UnicodeDecodeError):  # stem reads the cookie's path as UTF-8
        raise _unavailable(control) from None
    finally:
        done.set()
        controller.close()


def _log_in(controller: Controller, password: str | None, cookie: str, fallback: bool) -> None:
    import stem.connection

    escaped = None if password is None else _escaped(password)
    if cookie:
        stem.connection.authenticate_safecookie(controller, cookie)
    elif escaped is not None and not fallback:
        stem.connection.authenticate_password(controller, escaped)
    else:
        controller.authenticate(password=escaped)


def _escaped(password: str) -> str:
    """As stem must be handed it, which sends Latin-1 and escapes the quotes alone: what arrives is
    a C string (control-spec, 2.1.1) of the bytes that ``tor --hash-password`` was given."""
    octets = password.encode("utf-8", "surrogateescape").decode("latin-1")
    return octets.replace("\\", "\\\\")


def _limit(controller: Controller, done: threading.Event, seconds: float) -> None:
    """Closes, and closes again: stem answers a lost connection during the login by a new one."""
    if not done.wait(seconds):
        while not done.wait(PAUSE):
            controller.close()


def _connected(control: str, given: bool) -> Controller:
    _knock(control, given)
    import stem
    from stem.control import Controller

    # stem would write what the control port says into the application's log.
    logging.getLogger("stem").setLevel(logging.CRITICAL)
    try:
        if control.startswith(UNIX):
            return Controller.from_socket_file(control.removeprefix(UNIX))
        address = parse_proxy(control)
        return Controller.from_port(address.host, address.port)
    except (stem.SocketError, ValueError):  # ValueError: stem knows no IPv6 here
        raise _unavailable(control) from None


def _knock(control: str, given: bool) -> None:
    """Connects once by itself: where nothing listens, stem need not be loaded (and it would leave
    its socket open). A stranger is told neither password nor cookie: it is he who would name the
    cookie's file."""
    try:
        with _dialled(control) as sock:
            if not given:
                require_trusted(sock, control)
    except (OSError, AttributeError):  # AttributeError: no unix sockets on this platform
        raise _unavailable(control) from None


def _dialled(control: str) -> socket.socket:
    if not control.startswith(UNIX):
        address = parse_proxy(control)
        return socket.create_connection((address.host, address.port), SECONDS)
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.connect(control.removeprefix(UNIX))
    except OSError:
        sock.close()
        raise
    return sock


def status_of(controller: Controller) -> TorStatus:
    """Raises ``stem.ControllerError`` where tor ends in between."""
    phase = controller.get_info("status/bootstrap-phase")
    found = _PHASE.search(phase)
    skew = _SKEW.search(phase)
    built = [
        line
        for line in controller.get_info("circuit-status").splitlines()
        if line.split(" ")[1:2] == ["BUILT"]
    ]
    return TorStatus(
        version=str(controller.get_version()),
        progress=int(found[1]) if found else 0,
        summary=found[2] if found else "unknown",
        circuits=len(built),
        clock_skew=int(skew[1]) if skew else None,
    )


def _unavailable(control: str) -> TransportError:
    return TransportError(
        "control-unavailable",
        f"No Tor control port answers at {control}; Tor may work all the same; check the address.",
    )


def _no_entry(error: Exception) -> TransportError:
    from stem import connection

    if isinstance(error, connection.MissingPassword | connection.PasswordAuthFailed):
        what = "the password is missing or wrong"
    elif isinstance(error, connection.CookieAuthFailed):
        what = "its cookie cannot be read by this user"
    else:
        what = "it accepts neither cookie nor password"
    return TransportError(
        "control-auth",
        f"Tor's control port lets nobody in: {what}; give the password or join the group that "
        "may read the cookie.",
    )
