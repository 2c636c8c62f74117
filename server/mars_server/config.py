"""``server.toml``: everything an operator sets, in one commented file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from mars.errors import ConfigError
from mars_server.serving.limits import Limits

_TABLES = frozenset({"onion", "limits"})


@dataclass(frozen=True)
class OnionConfig:
    """The ``[onion]`` table; an empty ``folder`` means that tor's torrc holds the service."""

    folder: str = ""
    control: str = ""
    control_password_file: str = ""
    port: int = 80


@dataclass(frozen=True)
class Config:
    """Paths and addresses as written; an empty text means "not set"."""

    bind: str = ""
    motd: str = ""
    log: str = ""
    product: str = ""
    trust: str = ""
    workers: int = 1
    hosts: tuple[str, ...] = ()
    metrics: str = ""
    """Path of the unix socket of the Prometheus metrics."""
    db: str = ""
    """Database URL of the counts."""
    site: str = ""
    """Folder of the published site."""
    socks: str = ""
    """``HOST:PORT`` of a tor that can fetch our own onion service, for ``status``."""
    keep_days: int = 30
    """Days that a log is kept at most after its own day, counted or not."""
    onion: OnionConfig = OnionConfig()
    limits: Limits = field(default_factory=Limits)


def parse_config(data: bytes, where: str = "server.toml") -> Config:
    """Raises ``ConfigError`` (``config-invalid``) that names the entry."""
    try:
        table = tomllib.loads(data.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError("config-invalid", f"{where} is not TOML in UTF-8: {error}.") from None
    plain = {name: value for name, value in table.items() if name not in _TABLES}
    values = _typed(Config, plain, where, "")
    values["onion"] = OnionConfig(**_typed(OnionConfig, table.get("onion", {}), where, "onion."))
    values["limits"] = Limits(**_typed(Limits, table.get("limits", {}), where, "limits."))
    return Config(**values)


def load_config(path: Path) -> Config:
    """Reads the file. Raises ``ConfigError`` (``config-missing``, ``config-invalid``)."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            "config-missing", f"{path} cannot be read ({error.strerror}); try mars-server init."
        ) from None
    return parse_config(data, str(path))


def _typed(kind: type, table: object, where: str, prefix: str) -> dict[str, Any]:
    """The entries of ``table``, each of the type of the field of ``kind`` with its name."""
    if not isinstance(table, Mapping):
        raise ConfigError("config-invalid", f"{where}: [{prefix[:-1]}] must be a table.")
    defaults = {entry.name: getattr(kind(), entry.name) for entry in fields(kind)}
    found = {}
    for name, value in table.items():
        if name not in defaults or name in _TABLES:
            known = ", ".join(sorted(set(defaults) - _TABLES))
            raise ConfigError(
                "config-invalid", f"{where}: {prefix}{name} is unknown; known are {known}."
            )
        found[name] = _value(value, defaults[name], f"{where}: {prefix}{name}")
    return found


def _value(value: object, default: object, where: str) -> object:
    if isinstance(default, tuple):
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
        raise ConfigError("config-invalid", f"{where} must be a list of texts.")
    if isinstance(default, str) and isinstance(value, str):
        return value
    if isinstance(default, int | float) and type(value) in (int, type(default)):
        assert isinstance(value, int | float)
        if value <= 0:
            raise ConfigError("config-invalid", f"{where} must be more than 0.")
        return value
    kind = "a text" if isinstance(default, str) else "a number"
    raise ConfigError("config-invalid", f"{where} must be {kind}.")
