"""Onionbalance: one public address in front of several servers, each with its own key and log.

Source: https://onionservices.torproject.org/apps/base/onionbalance/v3/tutorial/. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from mars.errors import ConfigError
from mars.wire.onion import is_onion_host

OB_CONFIG = "ob_config"
"""In a backend's HiddenServiceDir: tor(1), HiddenServiceOnionBalanceInstance."""
_PLAIN = re.compile(r"[A-Za-z0-9._/-]{1,255}", re.ASCII)
MOST_BACKENDS = 10
"""A descriptor holds 20 introduction points, and Onionbalance takes two of each backend (0.2.4,
``N_INTROS_PER_INSTANCE``)."""


def balancer_config(key_file: str, front: str, backends: Sequence[str]) -> str:
    """``config.yaml`` of Onionbalance, with what each backend needs in its comments.

    Raises ``ConfigError`` (``onion-address``, ``onion-path``).
    """
    if not 1 <= len(backends) <= MOST_BACKENDS:
        raise ConfigError("onion-address", f"Name 1 to {MOST_BACKENDS} backends.")
    if _PLAIN.fullmatch(key_file) is None:
        raise ConfigError("onion-path", "The key file's path takes A-Z a-z 0-9 . _ - / only.")
    lines = [
        f"# Onionbalance for http://{_require(front)}",
        f'# Each backend: hosts = ["{front}"] and, in [onion], balanced = true in server.toml,',
        f"# and {OB_CONFIG} in its HiddenServiceDir with this line:",
        f"#   {backend_config(front)}",
        "services:",
        f"- key: {key_file}",
        "  instances:",
    ]
    for number, backend in enumerate(backends, 1):
        if _require(backend) == front:
            raise ConfigError("onion-address", "The public address is no backend of itself.")
        lines += [f"  - address: {backend}", f"    name: backend{number}"]
    return "\n".join(lines) + "\n"


def backend_config(front: str) -> str:
    """The line of ``ob_config`` in each backend's HiddenServiceDir. Raises as above."""
    return f"MasterOnionAddress {_require(front)}"


def _require(host: str) -> str:
    if not is_onion_host(host):
        raise ConfigError("onion-address", f"{host!r} is no version 3 onion address.")
    return host
