"""What an application pins: found quickly at its start, read strictly when first needed."""

from __future__ import annotations

import base64
import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from mars import factory
from mars.errors import ConfigError, WireError
from mars.wire.product import is_name
from mars.wire.query import MOTD_PATH
from mars.wire.times import parse_time

if TYPE_CHECKING:
    from mars.wire.keys import TrustRoot


@dataclass(frozen=True)
class Pinned:
    """The little of ``trust.json`` that is needed before the first fetch.

    Reading the keys loads libsodium, which an application that never fetches should not pay for.
    """

    product: str = ""
    channel: str = "stable"
    url: str = ""
    built: int = 0
    crowd: int = 0
    gen: int = 0
    """Of the file; 0 where there is none."""
    server: str = ""
    """The first built-in one, bare."""
    steered: str = ""
    """The first server of the steering document that rides in it."""

    @classmethod
    def of(cls, data: bytes, product: str | None = None) -> Self:
        """Raises ``ConfigError``: ``trust-invalid``, ``wrong-product``."""
        try:
            table = json.loads(data.decode("utf-8-sig"))
            name, channel = str(table["product"]), str(table["channel"])
            server, steered = _first(table), _first(_steering(table))
            built = parse_time(table["built"]) if table.get("built") else 0
            gen, crowd = table.get("gen", 1), table.get("crowd", 0)
            url = f"{server}{MOTD_PATH}" if server else ""
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError, WireError):
            raise _invalid("it is not what mars-motd trust writes") from None
        if not (is_name(name) and is_name(channel)):
            raise _invalid("its product or channel is not a name")
        if not all(type(number) is int and number >= 0 for number in (gen, crowd)):
            raise _invalid("its gen or crowd is not a number")
        _require_product(name, product)
        return cls(name, channel, url, built, crowd, gen, server, steered)


def _first(members: Mapping[str, Any]) -> str:
    return str((members.get("servers") or [""])[0])


def _steering(table: Mapping[str, Any]) -> dict[str, Any]:
    """The payload of ``x-steering``, unjudged; empty where there is none."""
    rider = table.get("x-steering")
    if not rider:
        return {}
    standard = str(rider["payload"]).replace("-", "+").replace("_", "/")
    said: dict[str, Any] = json.loads(base64.b64decode(standard))
    return said


def read_root(data: bytes, product: str | None = None) -> TrustRoot:
    """The whole of it. Raises ``ConfigError`` as ``Pinned.of``."""
    from mars.wire.keys import TrustRoot

    try:
        root = TrustRoot.decode(data)
    except WireError as error:
        raise _invalid(error.message.rstrip(".")) from None
    _require_product(root.product, product)
    return root


def read_bytes(trust: bytes | str | os.PathLike[str]) -> bytes:
    """The content of ``trust.json``, or of the file of that name. Raises ``ConfigError``."""
    if isinstance(trust, bytes):
        return trust
    if isinstance(trust, str) and trust.lstrip().startswith("{"):
        return trust.encode("utf-8", "replace")
    try:
        return factory.read_small(trust)
    except (OSError, ValueError, TypeError):
        raise _invalid("the file cannot be read") from None


def read_registry(registry: bytes | str | os.PathLike[str] | None) -> bytes | None:
    """The content of ``registry.json``, or of the file of that name; None of none.

    Whether it is one is judged when it is needed. Raises ``ConfigError`` (``registry-invalid``).
    """
    if registry is None or isinstance(registry, bytes):
        return registry
    from mars.wire.catalogue import MAX_REGISTRY  # late: it loads OpenSSL

    try:
        return factory.read_small(registry, MAX_REGISTRY)
    except (OSError, ValueError, TypeError):
        raise ConfigError(
            "registry-invalid",
            "The registry that the application ships cannot be read; name the registry.json that "
            "mars-motd registry writes.",
        ) from None


def require_own(path: Path, *, owned: bool = True) -> None:
    """Refuses what another user may change: it decides whose news are shown as whose.

    The file or folder itself, every folder in which its name is looked up, and every link on the
    way must be root's or ours, and writable for no others; without ``owned``, as for a file that
    a person names for once, only what anybody at all may change is refused. A folder with the
    sticky bit, such as /tmp, lets others change nothing of ours; the group of the user's own name
    is the user. Where files have no owners (Windows), nothing is looked at. Raises ``ConfigError``
    (``not-private``).
    """
    if not hasattr(os, "geteuid"):
        return
    try:
        _require_way(path.absolute(), owned)
    except FileNotFoundError:
        require_own(path.parent, owned=owned)  # what is missing can be made by whoever may
    except (OSError, RuntimeError, ValueError):
        raise _not_private(path, "cannot be looked at") from None


def _require_way(path: Path, owned: bool) -> None:
    at = Path(path.anchor)
    for part in path.parts[1:]:
        if part == "..":
            at = at.parent
            continue
        _require_sole(at, at.stat(), owned, passing=True)
        at = at / part
        if at.is_symlink():
            _require_sole(at, at.lstat(), owned, passing=True)
            _require_way(at.parent / at.readlink(), owned)
            at = at.resolve(strict=True)
    _require_sole(at, at.stat(), owned)


def _require_sole(path: Path, facts: os.stat_result, owned: bool, *, passing: bool = False) -> None:
    if owned and facts.st_uid not in (0, os.geteuid()):
        raise _not_private(path, "belongs to another user")
    shared = stat.S_IWOTH | (stat.S_IWGRP if owned and not _is_own_group(facts.st_gid) else 0)
    safe = stat.S_ISLNK(facts.st_mode) or (passing and facts.st_mode & stat.S_ISVTX)
    if facts.st_mode & shared and not safe:
        raise _not_private(path, "may be changed by others")


def _is_own_group(gid: int) -> bool:
    """Root's, or the one that some systems make for each user, under the same name."""
    import grp
    import pwd

    try:
        return gid == 0 or grp.getgrgid(gid).gr_name == pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return False


def _not_private(path: Path, what: str) -> ConfigError:
    return ConfigError(
        "not-private",
        f"{path} {what}; make it your own (chown) and take the right away (chmod go-w), or move "
        "what lies there into a folder of your own.",
    )


def _require_product(found: str, product: str | None) -> None:
    if product is not None and found != product:
        raise ConfigError(
            "wrong-product", "The pinned trust file is for another product; use that product's."
        )


def _invalid(why: str) -> ConfigError:
    return ConfigError(
        "trust-invalid",
        f"The pinned trust file is not usable: {why}. Take the one that the application ships.",
    )
