"""Onionbalance: one public address in front of several servers, each with its own key and log.

Source: https://onionservices.torproject.org/apps/base/onionbalance/v3/tutorial/. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

from mars.errors import ConfigError
from mars.wire.onion import is_onion_host

MOST_BACKENDS = 8
"""Onionbalance puts at most 20 introduction points into one descriptor."""


def balancer_config(key_file: str, backends: Sequence[str]) -> str:
    """``config.yaml`` of Onionbalance. Raises ``ConfigError`` (``onion-address``)."""
    if not 1 <= len(backends) <= MOST_BACKENDS:
        raise ConfigError("onion-address", f"Name 1 to {MOST_BACKENDS} backends.")
    lines = ["services:", f"- key: {key_file}", "  instances:"]
    for number, backend in enumerate(backends, 1):
        _require(backend)
        lines += [f"  - address: {backend}", f"    name: backend{number}"]
    return "\n".join(lines) + "\n"


def backend_config(front: str) -> str:
    """``ob_config`` for the HiddenServiceDir of each backend. Raises as ``balancer_config``."""
    _require(front)
    return f"MasterOnionAddress {front}\n"


def _require(host: str) -> None:
    if not is_onion_host(host):
        raise ConfigError("onion-address", f"{host!r} is no version 3 onion address.")
