"""A tor that runs already, asked over its control port; the server's one home of stem."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import stem
import stem.connection
import stem.control

from mars import factory
from mars.errors import ConfigError, MarsError, TransportError
from mars_server.common.config import read
from mars_server.onion.authorised import AuthorisedService
from mars_server.onion.folder import hostname, obstacle
from mars_server.onion.settings import (
    OB_CONFIG,
    OnionSettings,
    Option,
    holds,
    options,
    with_service,
    without_service,
)

_SECONDS = 60.0
"""Within which all that is asked of tor must be answered."""


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

    def save(self) -> None:
        """Writes tor's configuration to its torrc. Raises ``ConfigError`` (``tor-refused``)."""
        try:
            self._controller.save_conf()
        except stem.ControllerError as error:
            raise ConfigError(
                "tor-refused", f"tor cannot write its torrc ({error}); use the printed lines."
            ) from None

    def info(self, key: str) -> str:
        """``GETINFO key``."""
        return str(self._controller.get_info(key))

    def option(self, name: str) -> str:
        """``GETCONF name``, the first value; empty where there is none."""
        return str(self._controller.get_conf(name, ""))

    def has(self, host: str) -> bool:
        """Whether it carries this service, which ``add`` gave it."""
        return host.removesuffix(".onion") in self.info("onions/detached").split()

    def add(self, service: AuthorisedService) -> None:
        """Until ``remove``, or the end of this tor. Raises ``ConfigError`` (``tor-refused``)."""
        reply = self._controller.msg(service.command)
        if not reply.is_ok():
            *_, (_, _, told) = reply.content()
            raise ConfigError(
                "tor-refused",
                f"tor refused the onion service ({told.rstrip('.')}). Use tor 0.4.6 or later.",
            )

    def remove(self, host: str) -> None:
        """The service goes, where it was there."""
        self._controller.msg(f"DEL_ONION {host.removesuffix('.onion')}")


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value


@contextmanager
def connected(address: str, password_file: str | Path = "") -> Iterator[Tor]:
    """A control connection to ``HOST:PORT``, ``PORT``, ``unix:PATH`` or ``/PATH``.

    Authenticates by the cookie, or by the password in ``password_file``. An open control port,
    one that asks for nothing, is refused: whoever reaches it owns the onion service's key.
    Raises ``ConfigError`` (``control-address``, ``control-open``, ``control-auth``, what ``read``
    raises) and ``TransportError`` (``tor-control``), also where tor ends within the block.
    """
    written = require_address(address)
    password = None
    if password_file:
        data = read(password_file, "The password file").strip(b"\r\n")
        password = data.decode("utf-8", "surrogateescape")
    try:
        with factory.tor_control(written, password, _SECONDS) as controller:
            _require_closed(controller)
            yield Tor(controller)
    except TransportError as error:
        raise _told(error, address) from None


def require_address(address: str) -> str:
    """``address`` as the client writes it. Raises ``ConfigError`` (``control-address``)."""
    path = address.removeprefix("unix:")
    if path.startswith("/"):
        return f"unix:{path}"
    host, _, port = address.rpartition(":")
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 1 << 16):
        raise ConfigError(
            "control-address", "Write the control port as 127.0.0.1:9051 or unix:/run/tor/control."
        )
    return f"{'127.0.0.1' if host in ('', 'localhost') else host}:{port}"


def _require_closed(controller: stem.control.Controller) -> None:
    methods = stem.connection.get_protocolinfo(controller).auth_methods
    if stem.connection.AuthMethod.NONE in methods:
        raise ConfigError(
            "control-open",
            "This control port asks for no authentication. Set CookieAuthentication 1 in torrc.",
        )


def _told(error: TransportError, address: str) -> MarsError:
    if error.reason == "control-auth":
        return ConfigError(
            "control-auth",
            f"{error.message} In torrc: CookieAuthentication 1; its group is debian-tor.",
        )
    return TransportError(
        "tor-control",
        f"tor's control port does not answer at {address}. Is tor running, and is this its "
        "ControlPort or ControlSocket?",
    )


# --- Our service in it, kept there whatever becomes of that tor ---

UNDEFENDED = "this tor has no proof-of-work module; the service runs without that defence"
"""What to tell the operator of such a service."""


def announced(folder: str) -> str:
    """What to tell the operator of a service that was added."""
    if (name := hostname(folder)) is not None:
        return f"onion service http://{name}"
    return f"onion service added to tor, but {unnamed(folder)}"


def unnamed(folder: str) -> str:
    """What a service whose address we cannot read means, and what to do."""
    return (
        f"its address is not known, and requests to it get 404: {obstacle(folder)}. Be in tor's "
        f"group and let it in (DataDirectoryGroupReadable 1 in torrc; chmod g+rx {folder}; chmod "
        f"g+r {folder}/hostname), or name the address in servers of product.toml or in hosts"
    )


def for_publisher(name: str) -> str:
    """The line by which clients come to know the address."""
    return f'for the publisher\'s product.toml: servers = ["http://{name}"]'


def ensure(
    settings: OnionSettings, control: str, password_file: str | Path = ""
) -> tuple[bool, bool]:
    """(whether the service had to be added, whether it has the proof-of-work defence).

    Safe to call again and again: a tor that restarted has forgotten the service and gets it
    anew, with the same key from the same folder. Raises ``ConfigError`` and ``TransportError``
    as ``connected``.
    """
    with connected(control, password_file) as tor:
        existing = tor.services()
        for defended in (True, False):
            if holds(existing, options(settings, defended)):
                return False, defended
        return True, _add(tor, existing, settings)


def _add(tor: Tor, existing: Sequence[Option], settings: OnionSettings) -> bool:
    if not settings.balanced:
        return _set(tor, existing, settings)
    try:
        # A running service that becomes a backend answers nobody until its next descriptor, up
        # to a day away (tor 0.4.9, get_subcredential_for_handling_intro2_cell): make it anew.
        tor.configure(without_service(existing, settings.folder))
        return _set(tor, existing, settings)
    except ConfigError as error:
        tor.configure(existing)
        if error.reason != "tor-refused":
            raise
        raise ConfigError(
            "tor-refused",
            f"{error.message} A backend needs {settings.folder}/{OB_CONFIG} first; "
            "mars-server onion balance prints its line.",
        ) from None


def _set(tor: Tor, existing: Sequence[Option], settings: OnionSettings) -> bool:
    try:
        tor.configure(with_service(existing, options(settings)))
    except ConfigError as error:
        if error.reason != "tor-option":
            raise
        tor.configure(with_service(existing, options(settings, pow_defence=False)))
        return False
    return True


def ensure_authorised(
    service: AuthorisedService, control: str, password_file: str | Path = "", anew: bool = False
) -> bool:
    """Whether the service had to be added. ``anew``: one that is there is replaced, so that nobody
    is let in but its clients. Raises as ``connected`` and ``Tor.add``.
    """
    with connected(control, password_file) as tor:
        if anew:
            tor.remove(service.host)
        elif tor.has(service.host):
            return False
        tor.add(service)
        return True


def remove_authorised(host: str, control: str, password_file: str | Path = "") -> None:
    """Raises as ``connected``."""
    with connected(control, password_file) as tor:
        tor.remove(host)
