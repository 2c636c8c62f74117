"""The release document: what may be downloaded, and what is too old. The role ``release`` signs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from mars.wire import members as m
from mars.wire import strictjson
from mars.wire.links import MAX_URL, link
from mars.wire.motd import FORMAT_VERSION, MAX_TEXT, dated, translations
from mars.wire.product import PLATFORMS, is_release
from mars.wire.times import format_time

MAX_RELEASE = 16 * 1024
"""Bytes of the payload."""
MAX_DOWNLOADS = 16

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True)
class Download:
    """One file of a release."""

    platform: str
    url: str
    size: int
    """Bytes."""
    sha256: str
    """Hex."""
    page: str = ""
    """Where a person reads about it."""


@dataclass(frozen=True)
class Release:
    """The payload, its members in the order in which they are signed. Times are Unix seconds."""

    product: str
    channel: str
    epoch: int
    serial: int
    issued: int
    release: str
    """The version that the downloads are."""
    minimum_version: str = ""
    """Older installations should be replaced; empty where none need."""
    notes: Mapping[str, str] = field(default_factory=dict)
    """Language to plain text; clean it before display."""
    downloads: tuple[Download, ...] = ()

    @classmethod
    def decode(cls, payload: bytes) -> Release:
        """Raises ``WireError`` as ``motd.decode``."""
        members = m.table(strictjson.parse(payload, MAX_RELEASE), "the payload")
        return cls(
            *dated(members, "release"),
            release=_version(members, "release"),
            minimum_version=_version(members, "minimum_version", empty=True),
            notes=translations(members, "notes", MAX_TEXT),
            downloads=_downloads(members.get("downloads", [])),
        )

    def encode(self) -> bytes:
        """The payload as we sign it."""
        said = {**vars(self), "issued": format_time(self.issued)}
        said["downloads"] = [_plain(each) for each in self.downloads]
        return strictjson.write({"type": "release", "version": FORMAT_VERSION, **said})

    def same_as(self, other: Release) -> bool:
        """Whether both say the same to clients, whenever they were made."""
        return replace(self, serial=0, issued=0) == replace(other, serial=0, issued=0)


def _version(members: Mapping[str, Any], name: str, *, empty: bool = False) -> str:
    value = m.text(members, name, 20, "" if empty else None)
    if not (is_release(value) or (empty and not value)):
        raise m.bad(f"{name} must be a release like 0.5.2")
    return value


def _downloads(value: object) -> tuple[Download, ...]:
    if not isinstance(value, list) or len(value) > MAX_DOWNLOADS:
        raise m.bad(f"downloads must be a list of at most {MAX_DOWNLOADS}")
    return tuple(_download(m.table(each, "a download")) for each in value)


def _download(members: dict[str, Any]) -> Download:
    platform, size = m.text(members, "platform", 20), m.whole(members, "size")
    if platform not in PLATFORMS:
        raise m.bad(f"platform must be one of {', '.join(PLATFORMS)}")
    sha256 = m.text(members, "sha256", 64)
    if _SHA256.fullmatch(sha256) is None:
        raise m.bad("sha256 must be 64 hex digits")
    url, page = m.text(members, "url", MAX_URL), m.text(members, "page", MAX_URL, "")
    if not link(url) or (page and not link(page)):
        raise m.bad("a download's addresses must be plain https or onion URLs")
    return Download(platform, url, size, sha256, page)


def _plain(download: Download) -> dict[str, object]:
    return {name: value for name, value in asdict(download).items() if name != "page" or value}
