"""``server.toml``: everything an operator sets, in one commented file."""

from __future__ import annotations

import errno
import math
import os
import re
import stat
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from glob import glob
from pathlib import Path
from typing import Any

from mars.errors import ConfigError
from mars.wire.catalogue import Catalogue
from mars.wire.events import read_errors
from mars.wire.product import Product, parse_product
from mars.wire.registry import Entry, Read, read_metrics

_TABLES = frozenset({"onion", "limits", "publish"})
_SQLITE = re.compile(r"sqlite(?:\+\w+)?:///([^?]+)")
"""With or without the name of a driver; group 1 is the file."""
_CLOSED = ("site", "log", "spool", "onion.folder")
"""Folders in which no other may lie."""
_FOLDERS = (*_CLOSED, "chart_cache")
_SECRET = (
    *("db", "triage_db", "onion.control_password_file"),
    *("passphrase_file", "status_key", "publish.sign_key", "publish.noise_key"),
)
"""Files that must not lie in the public site."""
_LARGEST = {"workers": 64, "onion.port": 65535}


@dataclass(frozen=True)
class OnionConfig:
    """The ``[onion]`` table; an empty ``folder`` means that tor's torrc holds the service."""

    folder: str = ""
    control: str = ""
    control_password_file: str = ""
    port: int = 80
    balanced: bool = False
    """A backend of Onionbalance; tor then wants ``ob_config`` in the folder."""


@dataclass(frozen=True)
class Limits:
    """Caps and deadlines of one server process, times in seconds. Each has a reason; none is there
    for tuning."""

    connections: int = 4096
    """Open at once in one process. A client's connection idles for one round trip through Tor
    before its request arrives, so at 1,781 requests a second some 2,000 honest ones are idle."""
    idle: float = 20.0
    """A connection that has not sent a complete request head, or no next request."""
    request: float = 60.0
    """From the end of the request head to the answer, the request's body included."""
    write: float = 120.0
    """Until the peer has taken the whole answer."""
    linger: float = 10.0
    """For the rest of a request's body that nobody reads, after the answer."""
    line: int = 8190
    """Bytes of the request line, and of one header field."""
    headers: int = 64
    """Header fields."""
    head: int = 32 * 1024
    """Bytes of a whole request head; the client's own has about 250. With all connections open and
    each head as long as it may be, that is 128 MiB."""
    body: int = 64 * 1024
    """Bytes of a request's body."""
    grace: float = 10.0
    """At the end, for answers that are under way."""
    hits_per_circuit: int = 3
    """Counted answers and kept reports on one Tor circuit; an honest client takes a fresh one for
    each request."""


@dataclass(frozen=True)
class PublishConfig:
    """The ``[publish]`` table: what ``publish`` takes beside the database and the site."""

    sign_key: str = ""
    """Private key of the operator, with which the index is signed."""
    noise_key: str = ""
    noise_epsilon: float = 0.0
    """As the option; 0 where it is not set."""
    notes: str = ""
    faults: str = ""
    """Weekly figures of faults, which ``errors stats --out`` writes."""
    operator: str = ""
    """Who runs this and how to reach them, as the pages say it."""


@dataclass(frozen=True)
class Config:
    """Paths and addresses as written; an empty text means "not set"."""

    bind: str = ""
    motd: str = ""
    log: str = ""
    spool: str = ""
    """Folder of what is posted; empty takes nothing."""
    product: str = ""
    trust: str = ""
    workers: int = 1
    hosts: tuple[str, ...] = ()
    metrics: str = ""
    """The Prometheus metrics: path of a unix socket, or loopback ``HOST:PORT``."""
    textfile: str = ""
    """Where ``up`` writes what ``status`` finds, for node_exporter."""
    db: str = ""
    """Database URL of the counts."""
    triage_db: str = ""
    """Database URL of the error reports."""
    keys: tuple[str, ...] = ()
    """Files of secret keys, or patterns of their names, on a machine that opens spools."""
    passphrase_file: str = ""
    """Holds the passphrase of ``keys``."""
    status_key: str = ""
    """Secret key of the role status."""
    site: str = ""
    """Folder of the published site."""
    chart_cache: str = ""
    """Folder for charts of ranges that visitors choose; empty keeps them in memory alone."""
    socks: str = ""
    """``HOST:PORT`` of a tor that can fetch our own onion service, for ``status``."""
    keep_days: int = 30
    """Days that a log is kept at most after its own day, counted or not."""
    keep_spool_days: int = 35
    """Days that a spool is kept at most after it was closed, read or not."""
    onion: OnionConfig = OnionConfig()
    publish: PublishConfig = PublishConfig()
    limits: Limits = Limits()

    @property
    def key_files(self) -> tuple[str, ...]:
        """``keys``, with those that a pattern such as ``intake-*.secret`` means now."""
        found = [sorted(glob(name)) or [name] for name in self.keys]  # noqa: PTH207 - absolute ones too
        return tuple(name for names in found for name in names)

    @property
    def logs(self) -> tuple[str, ...]:
        """What ``count`` reads: the spools too where there are keys to open them."""
        return tuple(filter(None, (self.log, self.spool if self.keys else "")))

    @property
    def spools(self) -> tuple[str, ...]:
        """What ``errors open`` reads."""
        return (self.spool,) if self.spool else ()

    @property
    def document(self) -> str:
        """The signed document, once it is there."""
        return _there(self.motd)

    @property
    def status(self) -> str:
        """The status document that is served, beside the signed one."""
        return str(Path(self.motd).with_name("status.json")) if self.motd else ""

    @property
    def answers(self) -> str:
        """The status document, once it is there."""
        return _there(self.status)

    @property
    def answers_trust(self) -> str:
        """What the status document is judged by."""
        return self.trust if self.answers else ""

    @property
    def faults(self) -> str:
        """The figures of faults, once they are there."""
        return _there(self.publish.faults)


def _there(path: str) -> str:
    return path if path and Path(path).exists() else ""


def parse_config(data: bytes, where: str = "server.toml") -> Config:
    """Raises ``ConfigError`` (``config-invalid``) that names the entry."""
    table = _toml(data, where, "config-invalid")
    plain = {name: value for name, value in table.items() if name not in _TABLES}
    values = _typed(Config, plain, where, "")
    values["onion"] = OnionConfig(**_typed(OnionConfig, table.get("onion", {}), where, "onion."))
    values["publish"] = PublishConfig(
        **_typed(PublishConfig, table.get("publish", {}), where, "publish.")
    )
    values["limits"] = Limits(**_typed(Limits, table.get("limits", {}), where, "limits."))
    return Config(**values)


def load_config(path: Path) -> Config:
    """Raises ``ConfigError`` (``config-missing``, ``config-unreadable``, ``config-invalid``)."""
    return parse_config(read(path, "The settings", "config", "try mars-server init"), str(path))


def require_apart(config: Config) -> None:
    """Raises ``ConfigError`` (``config-invalid``) where two entries name one place, or one lies in
    a folder that holds nothing else: the public site, the logs, the onion service's key."""
    places = dict(_places(config))
    for name, place in places.items():
        for other, folder in places.items():
            if name == other:
                continue
            if place == folder:
                raise ConfigError("config-invalid", f"{name} and {other} are both {place}.")
            closed = other in _CLOSED if name in _FOLDERS else name in _SECRET and other == "site"
            if closed and Path(place).is_relative_to(folder):
                raise ConfigError("config-invalid", f"{name} lies in the folder of {other}.")


def _places(config: Config) -> Iterator[tuple[str, str]]:
    """Each path that is set, with the name of its entry, links resolved."""
    onion = config.onion
    found = {
        "bind": config.bind.removeprefix("unix:") if config.bind.startswith("unix:") else "",
        "metrics": config.metrics.removeprefix("unix:") if "/" in config.metrics else "",
        **{name: getattr(config, name) for name in ("motd", "product", "trust")},
        **{name: getattr(config, name) for name in ("log", "spool", "site", "chart_cache")},
        "db": _file(config.db),
        "triage_db": _file(config.triage_db),
        "onion.folder": onion.folder,
        "onion.control": onion.control.removeprefix("unix:") if "/" in onion.control else "",
        "onion.control_password_file": onion.control_password_file,
        **{name: getattr(config, name) for name in ("passphrase_file", "status_key")},
        "publish.sign_key": config.publish.sign_key,
        "publish.noise_key": config.publish.noise_key,
    }
    return ((name, os.path.realpath(path)) for name, path in found.items() if path)


def _file(url: str) -> str:
    """Of a database; empty where it is none."""
    return sqlite[1] if (sqlite := _SQLITE.match(url)) else ""


def load_product(path: str | Path) -> Product:
    """Raises ``ConfigError`` (``file-missing``, ``file-unreadable``, ``product-invalid``)."""
    return parse_product(read(path, "The product file"), str(path))


def load_catalogue(product_file: str | Path) -> Catalogue:
    """What the product declares that may be sent: ``metrics.toml`` and ``errors.toml`` beside its
    file, and nothing where there are none. Raises ``ConfigError`` as ``load_product``, and
    ``metrics-invalid``, ``errors-invalid``."""
    product = load_product(product_file)
    metrics = _declared(product_file, "metrics", read_metrics)
    domains = _declared(product_file, "errors", read_errors)
    found = Catalogue(
        product.product,
        product.channel,
        product.statistics_releases,
        metrics,
        domains=domains,
    )
    if found.fault:
        where = Path(product_file).with_name("errors.toml")
        raise ConfigError("errors-invalid", f"{where}: {found.fault}.")
    return found


def _declared(
    product_file: str | Path, name: str, parse: Callable[[Mapping[str, Any]], Read[Entry]]
) -> tuple[Entry, ...]:
    path = Path(product_file).with_name(f"{name}.toml")
    data = read(path, "The registry") if path.exists() else b""
    found, faults = parse(_toml(data, str(path), f"{name}-invalid"))
    if faults:
        said = f"{path}: {faults[0].name}: {faults[0].what}."
        raise ConfigError(f"{name}-invalid", said)
    return found


def _toml(data: bytes, where: str, reason: str) -> dict[str, Any]:
    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(reason, f"{where} is not TOML in UTF-8: {error}.") from None


def read(path: str | Path, what: str, kind: str = "file", make: str = "", most: int = -1) -> bytes:
    """The bytes of a regular file that the operator named, at most ``most``; ``make`` says how to
    come by one. Whatever else lies there is not waited for, such as a pipe that nobody writes to.

    Raises ``ConfigError``: ``KIND-missing``, ``KIND-unreadable`` where it is there.
    """
    try:
        with open(path, "rb", opener=_at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise OSError(None, "not a regular file")
            return file.read(most)
    except OSError as error:
        gone = error.errno in _NO_FILE
        advice = make if gone else _whose(path) if isinstance(error, PermissionError) else ""
        raise ConfigError(
            f"{kind}-{'missing' if gone else 'unreadable'}",
            f"{what} {path} cannot be read ({error.strerror}){advice and '; '}{advice}.",
        ) from None


def stamp(path: Path) -> tuple[int, int, int]:
    """Inode, size and time of change (ns), by which a file is known to be another one than before;
    zeros where there is none."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0, 0
    return found.st_ino, found.st_size, found.st_mtime_ns


def _at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def write_durably(path: Path, blocks: Iterable[bytes], mode: int, end: str = ".new") -> None:
    """Writes a file whole or not at all; when this returns it is on the disk, with its name. Until
    then ``end`` stands behind the name. Never goes through a link. Raises ``OSError``."""
    new = path.with_name(path.name + end)
    new.unlink(missing_ok=True)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with os.fdopen(os.open(new, flags, mode), "wb") as out:
            out.writelines(blocks)
            out.flush()
            os.fsync(out.fileno())
        new.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError:
        new.unlink(missing_ok=True)
        raise


_NO_FILE = (None, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENXIO)
"""There is no such file, or something that is none; None is said of what cannot be asked."""


def _whose(path: str | Path) -> str:
    whose = ""
    with suppress(OSError):
        whose = f" (it belongs to {owner(path)})"
    return f"run this as a user who may read it, such as that of the server{whose}"


def owner(path: str | Path) -> str:
    """``USER:GROUP`` of the file, as numbers where they have no names."""
    path = Path(path)
    try:
        return f"{path.owner()}:{path.group()}"
    except KeyError:
        facts = path.stat()
        return f"{facts.st_uid}:{facts.st_gid}"


def _typed(kind: type, table: object, where: str, prefix: str) -> dict[str, Any]:
    """The entries of ``table``, each of the type of the field of ``kind`` with its name."""
    if not isinstance(table, Mapping):
        raise ConfigError("config-invalid", f"{where}: [{prefix[:-1]}] must be a table.")
    defaults = {entry.name: getattr(kind(), entry.name) for entry in fields(kind)}
    found = {}
    for name, value in table.items():
        if name not in defaults or name in _TABLES:
            known = ", ".join(sorted(set(defaults)))
            raise ConfigError(
                "config-invalid", f"{where}: {prefix}{name} is unknown; known are {known}."
            )
        found[name] = _value(value, defaults[name], f"{where}: {prefix}{name}")
        if (most := _LARGEST.get(prefix + name)) is not None and value > most:
            raise ConfigError("config-invalid", f"{where}: {prefix}{name} is {most} at most.")
    return found


_CALLED = {
    str: "a text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    tuple: "a list of texts",
}
"""What a value is called, by the type that it has in the end."""


def _value(value: Any, default: object, where: str) -> object:
    wanted = type(default)
    if wanted is tuple and isinstance(value, list) and all(type(each) is str for each in value):
        return tuple(value)
    if type(value) is not wanted and (type(value), wanted) != (int, float):
        raise ConfigError("config-invalid", f"{where} must be {_CALLED[wanted]}.")
    if wanted in (int, float) and not 0 < value < math.inf:  # TOML knows nan and inf
        raise ConfigError("config-invalid", f"{where} must be more than 0, and a number.")
    return value


def template() -> str:
    """A commented ``server.toml`` to begin with."""
    return Path(__file__).with_name("server.toml").read_text("utf-8")
