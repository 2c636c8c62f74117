"""What a person gets to read: the last accepted document, as meant for this installation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mars.plan import App
from mars.ports import Platform
from mars.wire.motd import Motd
from mars.wire.product import is_release
from mars.wire.targeting import Shown, clean, select, update_status
from mars.wire.times import format_time
from mars.wire.variables import system_value


@dataclass(frozen=True)
class Reading:
    """Plain text, ready to be shown; nothing in it may be interpreted as anything but text."""

    serial: int
    issued: int
    expires: int
    stale_since: int | None
    """When the document expired; then there is nothing to show but this."""
    news: str
    newest_version: str
    update: str
    """``up-to-date``, ``update``, ``security-update`` or ``unknown``."""
    messages: tuple[Shown, ...]

    def plain(self) -> dict[str, Any]:
        """For ``--json``."""
        stale = self.stale_since
        return {
            "serial": self.serial,
            "issued": format_time(self.issued),
            "expires": format_time(self.expires),
            "stale_since": None if stale is None else format_time(stale),
            "news": self.news,
            "newest_version": self.newest_version,
            "update": self.update,
            "messages": [asdict(message) for message in self.messages],
        }


def read(motd: Motd, app: App, host: Platform, now: int, stale_since: int | None) -> Reading:
    """``motd`` as this installation may see it; the texts of an expired one are withheld."""
    locale = app.locale or host.locale
    about = (app.version, system_value(host.system), [locale] if locale else [], now)
    fresh = stale_since is None
    return Reading(
        serial=motd.serial,
        issued=motd.issued,
        expires=motd.expires,
        stale_since=stale_since,
        news=clean(motd.news, newlines=True) if fresh else "",
        newest_version=motd.newest_version if fresh and is_release(motd.newest_version) else "",
        update=update_status(motd, *about) if fresh else "unknown",
        messages=tuple(select(motd, *about)) if fresh else (),
    )


def unseen(messages: tuple[Shown, ...], seen: Mapping[str, int]) -> tuple[Shown, ...]:
    """Those that were not shown in this revision or a later one."""
    return tuple(item for item in messages if item.revision > seen.get(item.id, -1))
