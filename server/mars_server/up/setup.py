"""The folder of a server: its settings, and which tor it stands on."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mars.errors import ConfigError, MarsError
from mars.ports import Chance
from mars.wire.product import Product
from mars_server.common.config import (
    Config,
    load_config,
    load_product,
    parse_config,
    template,
    write_durably,
)
from mars_server.onion.control import connected
from mars_server.serving.bind import parse_bind

SETTINGS = "server.toml"
RUN = "run"
"""Folder of the sockets and the lock."""
TOR = "tor"
"""Folder of a tor of our own."""
USUAL = ("unix:/run/tor/control", "127.0.0.1:9051")
"""Control ports of a tor that runs: Debian's has the socket, others the port (tor(1))."""
_SOCKET = "tor.sock"
_PORTS = range(20_000, 32_000)
"""Of which one is its SocksPort, for ``status``: below those that systems give out themselves."""
_MODE = 0o600


@dataclass(frozen=True)
class Place:
    """Which tor carries the onion service."""

    control: str
    onion: Path
    """Its HiddenServiceDir."""
    socks: str = ""
    is_ours: bool = False
    why: str = ""
    """What keeps us from the one that runs; empty where none does or it is taken."""


def own(data: Path, chance: Chance, why: str = "") -> Place:
    """A tor that we start, with all of its files in ``data``."""
    socks = f"127.0.0.1:{chance.choice(_PORTS)}"
    control = f"unix:{data / RUN / _SOCKET}"
    return Place(control, data / TOR / "onion", socks, is_ours=True, why=why)


def find(
    data: Path,
    product: Product,
    control: str | None,
    chance: Chance,
    places: Sequence[str] = USUAL,
) -> Place:
    """The tor at ``control``, else one that runs at a usual place and can be used, else our own.

    Raises ``MarsError`` where the one that was named cannot be used.
    """
    if control is not None:
        return _running(control, product, given=True)
    why = ""
    for usual in places:
        try:
            return _running(usual, product)
        except MarsError as error:
            if error.reason != "tor-control":  # it is there
                why = why or error.message
    return own(data, chance, why)


def _running(control: str, product: Product, *, given: bool = False) -> Place:
    """Raises ``ConfigError`` (``tor-unusable``) and as ``connected``."""
    with connected(control) as tor:
        home, pid = Path(tor.option("DataDirectory")), tor.info("process/pid")
        listeners = tor.info("net/listeners/socks").split()
    if not given and (what := _obstacle(home, pid)):
        raise ConfigError("tor-unusable", f"The tor at {control} {what}.")
    socks = next((each for each in (one.strip('"') for one in listeners) if ":" in each), "")
    return Place(control, home / f"mars-{product.product}-{product.channel}", socks)


def _obstacle(home: Path, pid: str) -> str:
    """Why a tor that runs could not reach our socket, or we not read the service's name."""
    try:
        confined = Path("/proc", pid, "attr/current").read_text("ascii").strip("\0\n")
    except (OSError, UnicodeDecodeError):
        confined = ""
    if confined.endswith("(enforce)"):
        return f"is confined ({confined}), and may not open a socket in our folder"
    if not os.access(home, os.X_OK):
        return f"keeps its folder {home} closed to us"
    if home.stat().st_uid != os.geteuid():
        return "runs as another user, who may not open a socket in our folder"
    return ""


def values(
    data: Path, product_file: Path, product: Product, tor: Place, given: Mapping[str, Path | None]
) -> dict[str, str]:
    """Entries of a new ``server.toml`` by their names; ``given`` may say other places for the
    document and what clients pin."""
    takes = product.statistics_releases or product.reports_releases
    return {
        "bind": f"unix:{data / RUN / 'motd.sock'}",
        "motd": str(given.get("motd") or data / "motd.json"),
        "product": str(product_file),
        "trust": str(given.get("trust") or data / "trust.json"),
        "log": str(data / "log"),
        "spool": str(data / "spool") if takes else "",
        "db": f"sqlite:///{data / 'counts.db'}",
        "site": str(data / "site"),
        "chart_cache": str(data / "charts"),
        "metrics": str(data / RUN / "metrics.sock"),
        "textfile": "",
        "socks": tor.socks,
        "folder": str(tor.onion),
        "control": tor.control,
    }


def written(entries: Mapping[str, str]) -> str:
    """The commented settings with ``entries`` in the place of what stands there."""
    text = template()
    for name, value in entries.items():
        before, after = re.split(rf"(?m)^{name} = .*$", text)
        text = f"{before}{name} = {json.dumps(value, ensure_ascii=False)}{after}"
    return text


def settled(
    data: Path,
    product_file: Path | None,
    control: str | None,
    given: Mapping[str, Path | None],
    chance: Chance,
) -> tuple[Config, Place, str]:
    """The settings, the tor, and the text of a ``server.toml`` that is still to be written, empty
    where one is there. Writes nothing.

    Raises ``ConfigError`` (``config-differs`` where what was given is not what stands there), and
    ``MarsError``.
    """
    file = data / SETTINGS
    if file.exists():
        config = load_config(file)
        told = {**given, "product": product_file}
        for name, value in told.items():
            if value and os.path.realpath(getattr(config, name)) != os.path.realpath(value):
                said = f"{file} names {getattr(config, name) or 'none'} as {name}; edit it there."
                raise ConfigError("config-differs", said)
        if control is not None and control != config.onion.control:
            said = f"{file} names {config.onion.control} as control; edit it there."
            raise ConfigError("config-differs", said)
        return config, _named(data, config), ""
    product_file = (product_file or data / "product.toml").absolute()
    product = load_product(product_file)
    place = find(data, product, control, chance)
    text = written(values(data, product_file, product, place, given))
    config = parse_config(text.encode())
    parse_bind(config.bind)
    return config, place, text


def _named(data: Path, config: Config) -> Place:
    """The tor of a ``server.toml`` that is there."""
    ours = config.onion.control == f"unix:{data / RUN / _SOCKET}"
    return Place(config.onion.control, Path(config.onion.folder), config.socks, is_ours=ours)


def make(data: Path, text: str) -> None:
    """The folder with what ``up`` needs in it, closed to others; ``text`` is its ``server.toml``,
    where that is still to be written. Raises ``OSError``."""
    for folder in (data, data / RUN):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if text:
        write_durably(data / SETTINGS, [text.encode()], _MODE)
