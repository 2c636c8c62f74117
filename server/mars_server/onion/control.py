"""The one home of stem: a tor that runs already, asked over its control port."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import stem
import stem.connection
import stem.control
import stem.util.log

from mars.errors import ConfigError, TransportError
from mars_server.onion.settings import Option

_CONNECT_SECONDS = 5.0
_TIMEOUT_HINT = "Is tor running, and is this its ControlPort or ControlSocket?"


class Tor:
    """An authenticated control connection."""

    def __init__(self, controller: stem.control.Controller) -> None:
        self._controller = controller

    def services(self) -> list[Option]:
        """Options of every onion service that tor's configuration names, in order."""
        reply = self._controller.msg("GETCONF HiddenServiceOptions")
        found = []
        for _code, _divider, content in reply.content():
            name, equals, value = content.partition("=")
            if equals:
                found.append((name, _unquoted(value)))
        return found

    def configure(self, services: Sequence[Option]) -> None:
        """Makes ``services`` all onion services of this tor (SETCONF). Raises ``ConfigError``:
        ``tor-option`` for an option this tor does not know, ``tor-refused`` for values it does not
        take.
        """
        try:
            self._controller.set_options(list(services) or [("HiddenServiceDir", "")])
        except stem.InvalidArguments as error:
            raise ConfigError(
                "tor-option", f"This tor does not know an option: {error}. Use tor 0.4.8 or later."
            ) from None
        except stem.InvalidRequest as error:
            raise ConfigError(
                "tor-refused",
                f"tor refused the onion service ({str(error).rstrip('.')}); tor's log says why.",
            ) from None
        except stem.ControllerError as error:
            raise _gone(error) from None

    def save(self) -> None:
        """Writes tor's configuration to its torrc. Raises ``ConfigError`` (``tor-refused``)."""
        try:
            self._controller.save_conf()
        except stem.ControllerError as error:
            raise ConfigError(
                "tor-refused", f"tor cannot write its torrc ({error}); use the printed lines."
            ) from None

    def info(self, key: str) -> str:
        """``GETINFO key``. Raises ``TransportError`` (``tor-control``)."""
        try:
            return str(self._controller.get_info(key))
        except stem.ControllerError as error:
            raise _gone(error) from None


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value


@contextmanager
def connected(address: str, password_file: str | Path = "") -> Iterator[Tor]:
    """A control connection to ``HOST:PORT``, ``PORT``, ``unix:PATH`` or ``/PATH``.

    Authenticates by the cookie, or by the password in ``password_file``. An open control port,
    one that asks for nothing, is refused: whoever reaches it owns the onion service's key.
    Raises ``ConfigError`` (``control-address``, ``control-open``, ``control-auth``) and
    ``TransportError`` (``tor-control``).
    """
    stem.util.log.get_logger().setLevel(logging.CRITICAL)
    controller = _open(address)
    try:
        _authenticate(controller, password_file)
        yield Tor(controller)
    except stem.ControllerError as error:
        raise _gone(error) from None
    finally:
        controller.close()


def require_address(address: str) -> None:
    """Raises ``ConfigError`` (``control-address``) where ``connected`` would."""
    if not address.removeprefix("unix:").startswith("/") and not _is_port(address):
        raise ConfigError(
            "control-address", "Write the control port as 127.0.0.1:9051 or unix:/run/tor/control."
        )


def _is_port(address: str) -> bool:
    port = address.rpartition(":")[2]
    return port.isascii() and port.isdigit() and 0 < int(port) < 1 << 16


def _open(address: str) -> stem.control.Controller:
    require_address(address)
    path = address.removeprefix("unix:")
    host, _, port = address.rpartition(":")
    try:
        if path.startswith("/"):
            _probe(socket.AF_UNIX, path)
            return stem.control.Controller.from_socket_file(path)
        host = host.removeprefix("[").removesuffix("]") or "127.0.0.1"
        _probe(socket.AF_INET6 if ":" in host else socket.AF_INET, (host, int(port)))
        return stem.control.Controller.from_port(host, int(port))
    except (stem.SocketError, OSError) as error:
        raise _gone(error) from None


def _probe(family: socket.AddressFamily, address: str | tuple[str, int]) -> None:
    """Connects and hangs up: stem leaves its socket open when the connection fails."""
    with socket.socket(family) as probe:
        probe.settimeout(_CONNECT_SECONDS)
        probe.connect(address)


def _authenticate(controller: stem.control.Controller, password_file: str | Path) -> None:
    offered = stem.connection.get_protocolinfo(controller)
    methods = set(offered.auth_methods)
    if stem.connection.AuthMethod.NONE in methods:
        raise ConfigError(
            "control-open",
            "This control port asks for no authentication. Set CookieAuthentication 1 in torrc.",
        )
    try:
        if password_file:
            password = Path(password_file).read_text("utf-8").strip("\r\n")
            stem.connection.authenticate_password(controller, password, False)
        else:
            _by_cookie(controller, offered.cookie_path, methods)
    except (stem.connection.AuthenticationFailure, OSError) as error:
        raise ConfigError("control-auth", f"tor did not let us in: {_why(error)}.") from None


def _by_cookie(controller: stem.control.Controller, path: str | None, methods: set[object]) -> None:
    if path is None:
        raise ConfigError(
            "control-auth",
            "tor wants a password; give --control-password-file, or set CookieAuthentication 1.",
        )
    if stem.connection.AuthMethod.SAFECOOKIE in methods:
        stem.connection.authenticate_safecookie(controller, path, False)
    else:
        stem.connection.authenticate_cookie(controller, path, False)


def _why(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"the password file cannot be read ({error.strerror})"
    if isinstance(error, stem.connection.UnreadableCookieFile):
        return "its cookie file cannot be read; join tor's group (debian-tor) or set the path"
    if isinstance(error, stem.connection.IncorrectPassword):
        return "the password is wrong"
    return str(error).rstrip(".")


def _gone(error: Exception) -> TransportError:
    return TransportError(
        "tor-control", f"tor's control port does not answer ({error}). " + _TIMEOUT_HINT
    )
