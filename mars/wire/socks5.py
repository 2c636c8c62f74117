"""SOCKS5 as a client speaks it to Tor: the bytes of RFC 1928 and RFC 1929, and nothing else.

Only user name and password are offered, never "no authentication": Tor separates circuits by
them, and a SocksPort with ``PreferSOCKSNoAuth`` would take the other method and put every fetch
on one circuit without a word. Names are always sent to the proxy (``socks5h``), never resolved.
"""

from __future__ import annotations

import ipaddress
import struct

from mars.errors import TransportError
from mars.wire.url import is_onion_host

GREETING = b"\x05\x01\x02"
"""Version 5, one method: user name and password."""
ACCEPTED = b"\x05\x02"
REFUSED = b"\x05\xff"
LOGGED_IN = b"\x01\x00"

_CONNECT = b"\x05\x01\x00"
_IPV4, _NAME, _IPV6 = 1, 3, 4
_MAX_FIELD = 255
"""Bytes: lengths are one byte."""

ADDRESS_SIZE = {_IPV4: 4, _IPV6: 16}
"""Bytes of the bound address in a reply, by its type; a name says its own length."""
NAME_TYPE = _NAME


def login(user: bytes, password: bytes) -> bytes:
    """The sub-negotiation of RFC 1929; each of both is 1 to 255 bytes."""
    if not (0 < len(user) <= _MAX_FIELD and 0 < len(password) <= _MAX_FIELD):
        raise ValueError("a SOCKS user name or password has 1 to 255 bytes")
    return b"\x01" + bytes([len(user)]) + user + bytes([len(password)]) + password


def connect(host: str, port: int) -> bytes:
    """The CONNECT request; an IP literal as an address, all else as a name."""
    return _CONNECT + _address(host) + struct.pack(">H", port)


def _address(host: str) -> bytes:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        name = host.encode("ascii")
        if not 0 < len(name) <= _MAX_FIELD:
            raise TransportError(
                "url-invalid", "The URL's host name is too long; check it."
            ) from None
        return bytes([_NAME, len(name)]) + name
    return bytes([_IPV4 if address.version == 4 else _IPV6]) + address.packed


_GENERAL = 0x01

_REPLIES = {
    0x01: (
        "tor-failed",
        "Tor could not make the connection: the network is down, or nothing runs there. Try later.",
    ),
    0x02: ("refused", "Tor's own rules refuse this connection; check its configuration."),
    0x03: ("network-down", "Tor has no way to the network; check that you are online."),
    0x04: (
        "onion-not-found",
        (
            "Tor does not reach this server: it is offline, it never existed, Tor is still "
            "connecting, or the service's own tor may not open the server's socket; check the "
            "address and try again later."
        ),
    ),
    0x05: ("refused", "The server is there and refuses the connection; check the port."),
    0x06: ("onion-unreachable", "Tor's attempt took too long; try again later."),
    0x07: ("not-socks", "The proxy does not do CONNECT; give Tor's own SocksPort."),
    0x08: ("not-socks", "The proxy takes no host names; give Tor's own SocksPort."),
    # Tor's own codes, sent where the SocksPort has ExtendedErrors (tor's man page; proposal 304).
    0xF0: (
        "onion-not-found",
        "No such onion service is known; check the address, and try again later if it is right.",
    ),
    0xF1: ("onion-invalid", "The onion service's descriptor is invalid; tell its operator."),
    0xF2: ("onion-unreachable", "The onion service does not answer; try again later."),
    0xF3: ("onion-unreachable", "The meeting with the onion service failed; try again later."),
    0xF4: ("onion-auth", "The onion service wants a key of this Tor; ask its operator for one."),
    0xF5: ("onion-auth", "The onion service refuses this Tor's key; ask its operator for another."),
    0xF6: ("onion-invalid", "This is not a valid onion address; check it letter by letter."),
    0xF7: ("onion-unreachable", "Tor could not reach the onion service in time; try again later."),
}


def failure(code: int, host: str) -> TransportError:
    """What reply ``code`` (not 0) to a CONNECT for ``host`` means.

    Plain tor answers 0x01 to a malformed address and 0x04 to an unknown one; the checksum tells
    the first apart, so nobody has to look for a network fault behind a typing error.
    """
    if host.endswith(".onion") and code == _GENERAL:
        code = 0xF6 if not is_onion_host(host) else code
    reason, message = _REPLIES.get(
        code, ("tor-failed", f"Tor could not connect (unknown code {code}); try again later.")
    )
    if reason == "onion-not-found" and not host.endswith(".onion"):
        reason, message = "host-not-found", "Tor does not find this host; check its name."
    elif reason == "onion-unreachable" and not host.endswith(".onion"):
        reason, message = "host-unreachable", "Tor could not reach this host in time; try later."
    return TransportError(reason, message)
