"""Version 3 onion addresses (Tor rend-spec-v3, section 6: encoding onion addresses)."""

from __future__ import annotations

import base64
import re

_HOST = re.compile(r"[a-z2-7]{56}\.onion", re.ASCII)
_VERSION = b"\x03"


def is_onion_host(host: str) -> bool:
    """Whether ``host`` is ``<56 base32>.onion`` in lower case with a right checksum."""
    if _HOST.fullmatch(host) is None:
        return False
    # Late, because it loads OpenSSL, which an application that only waits should not pay for.
    import hashlib

    raw = base64.b32decode(host[:56].upper())
    key, checksum, version = raw[:32], raw[32:34], raw[34:]
    digest = hashlib.sha3_256(b".onion checksum" + key + version).digest()
    return version == _VERSION and digest[:2] == checksum


def is_onion_server(url: str) -> bool:
    """Whether ``url`` is exactly ``http(s)://<56>.onion``: no port, path, query or userinfo."""
    scheme, _, host = url.partition("://")
    return scheme in ("http", "https") and is_onion_host(host)
