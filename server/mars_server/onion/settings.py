"""The options of the onion service, for SETCONF and for a torrc alike; those of Onionbalance. Pure.

Source: tor(1), HIDDEN SERVICE OPTIONS and DENIAL OF SERVICE MITIGATION OPTIONS.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mars.errors import ConfigError
from mars.wire.url import is_onion_host

Option = tuple[str, str]
_DIR = "HiddenServiceDir"
_FORBIDDEN = frozenset('"\\\r\n\0#')
"""Characters that neither a quoted SETCONF value nor a torrc line takes plainly."""


_LIMITS = (
    # The folder and "hostname", not the key, so that the server can read its name.
    ("HiddenServiceDirGroupReadable", "1"),
    # On one rendezvous circuit; a client opens one.
    ("HiddenServiceMaxStreams", "20"),
    ("HiddenServiceMaxStreamsCloseCircuit", "1"),
    # Introductions per second that each introduction point lets through.
    ("HiddenServiceEnableIntroDoSDefense", "1"),
    ("HiddenServiceEnableIntroDoSRatePerSec", "25"),
    ("HiddenServiceEnableIntroDoSBurstPerSec", "200"),
)
_PROOF_OF_WORK = (
    ("HiddenServicePoWDefensesEnabled", "1"),
    # Rendezvous requests per second that its queue hands out under load.
    ("HiddenServicePoWQueueRate", "250"),
    ("HiddenServicePoWQueueBurst", "2500"),
)


@dataclass(frozen=True)
class OnionSettings:
    """One onion service."""

    folder: str
    """HiddenServiceDir: holds the key; tor makes it with mode 0700."""
    target: str
    """Where tor reaches the server: ``unix:PATH`` or ``127.0.0.1:PORT``."""
    port: int = 80
    """The virtual port that clients ask for."""
    balanced: bool = False
    """A backend of Onionbalance: answers for the public address in ``ob_config`` too."""
    tells_circuit: bool = True
    """Whether tor may write a PROXY line before a request; a front server takes none."""

    def __post_init__(self) -> None:
        for value in (self.folder, self.target):
            if not value or _FORBIDDEN & set(value):
                raise ConfigError(
                    "onion-path", "The onion folder and target take no quotes and no backslashes."
                )
        if " " in self.target:
            raise ConfigError("onion-path", "tor takes no blank in the path of a unix socket.")

    @property
    def circuit_ids(self) -> bool:
        """tor tells the circuit by a PROXY line; our server strips it on a unix socket only."""
        return self.tells_circuit and self.target.startswith("unix:")


def options(settings: OnionSettings, pow_defence: bool = True) -> list[Option]:
    """The service's options, HiddenServiceDir first, as tor wants them.

    ``pow_defence=False`` is for a tor built without its proof-of-work module.
    """
    found = [
        (_DIR, settings.folder),
        ("HiddenServiceVersion", "3"),
        ("HiddenServicePort", f"{settings.port} {settings.target}"),
        *_LIMITS,
        *(_PROOF_OF_WORK if pow_defence else ()),
    ]
    if settings.balanced:
        found.append(("HiddenServiceOnionBalanceInstance", "1"))
    if settings.circuit_ids:
        found.append(("HiddenServiceExportCircuitID", "haproxy"))
    return found


def torrc(settings: OnionSettings) -> str:
    """The same as lines for a torrc."""
    return "".join(f"{name} {value}\n" for name, value in options(settings))


def with_service(existing: Sequence[Option], wanted: Sequence[Option]) -> list[Option]:
    """All services of a tor with ours among them.

    SETCONF of one hidden service replaces every other, so those that are there are named again,
    in their order; one with our folder is replaced.
    """
    return [*without_service(existing, wanted[0][1]), *wanted]


def without_service(existing: Sequence[Option], folder: str) -> list[Option]:
    """The options of all services but the one in ``folder``."""
    return [option for where, option in _by_service(existing) if where != _plain(folder)]


def holds(existing: Sequence[Option], wanted: Sequence[Option]) -> bool:
    """Whether a tor has our service with every option as we want it."""
    folder = _plain(wanted[0][1])
    return set(wanted) <= {option for where, option in _by_service(existing) if where == folder}


def _by_service(existing: Sequence[Option]) -> Iterator[tuple[str, Option]]:
    """Each option with the folder of its service: that of the last HiddenServiceDir before it."""
    folder = ""
    for name, value in existing:
        if name.lower() == _DIR.lower():
            folder = _plain(value)
        yield folder, (name, value)


def _plain(folder: str) -> str:
    return folder.rstrip("/")


# --- Onionbalance: one public address in front of several servers, each with its own key and log.
# Source: https://onionservices.torproject.org/apps/base/onionbalance/v3/tutorial/ ---

OB_CONFIG = "ob_config"
"""In a backend's HiddenServiceDir: tor(1), HiddenServiceOnionBalanceInstance."""
_PLAIN_PATH = re.compile(r"[A-Za-z0-9._/-]{1,255}", re.ASCII)
MOST_BACKENDS = 10
"""A descriptor holds 20 introduction points, and Onionbalance takes two of each backend (0.2.4,
``N_INTROS_PER_INSTANCE``)."""


def balancer_config(key_file: str, front: str, backends: Sequence[str]) -> str:
    """``config.yaml`` of Onionbalance, with what each backend needs in its comments.

    Raises ``ConfigError`` (``onion-address``, ``onion-path``).
    """
    if not 1 <= len(backends) <= MOST_BACKENDS:
        raise ConfigError("onion-address", f"Name 1 to {MOST_BACKENDS} backends.")
    if _PLAIN_PATH.fullmatch(key_file) is None:
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
