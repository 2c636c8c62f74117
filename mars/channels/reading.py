"""What a person gets to read of a document. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from mars.core.state import App
from mars.wire.times import LAST, format_time

if TYPE_CHECKING:
    from mars.ports import Platform
    from mars.wire.motd import Motd
    from mars.wire.release import Release
    from mars.wire.targeting import Shown


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

    @classmethod
    def of(
        cls,
        motd: Motd,
        app: App,
        host: Platform,
        now: int,
        stale_since: int | None,
        links: Sequence[str] = (),
    ) -> Reading:
        """``motd`` as an installation may see it; the texts of an expired one are withheld, and so
        is a message's link that begins with none of ``links``."""
        from mars.wire.product import is_release
        from mars.wire.targeting import clean, select, update_status
        from mars.wire.variables import system_value

        locale = app.locale or host.locale
        about = (app.version, system_value(host.system), [locale] if locale else [], now)
        fresh = stale_since is None
        return cls(
            serial=motd.serial,
            issued=motd.issued,
            expires=motd.expires,
            stale_since=stale_since,
            news=clean(motd.news, newlines=True) if fresh else "",
            newest_version=motd.newest_version if fresh and is_release(motd.newest_version) else "",
            update=update_status(motd, *about) if fresh else "unknown",
            messages=tuple(select(motd, *about, links)) if fresh else (),
        )

    def plain(self) -> dict[str, Any]:
        """For ``--json``."""
        times = {name: written(vars(self)[name]) for name in ("issued", "expires", "stale_since")}
        return {**vars(self), **times, "messages": [asdict(one) for one in self.messages]}


def offered(release: Release | None, version: str) -> Release | None:
    """``release``, unless it is older than the installed ``version`` or cannot be compared with it:
    no signed document may lead back to what was mended since."""
    from mars.wire.targeting import version_matches

    known = release is not None and version_matches(f"<={release.release}", version)
    return release if known else None


def unseen(messages: tuple[Shown, ...], seen: Mapping[str, int]) -> tuple[Shown, ...]:
    """Those that were not shown in this revision or a later one."""
    return tuple(item for item in messages if item.revision > seen.get(item.id, -1))


def written(seconds: object) -> str | None:
    """A time in ISO 8601; None of what is no time."""
    if type(seconds) is not int or not 0 <= seconds <= LAST:
        return None
    return format_time(seconds)
