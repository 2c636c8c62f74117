"""The console's application: what each address shows and each form does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from mars.errors import MarsError
from mars.ports import Chance, Clock
from mars.wire.reports.fault import Fault
from mars_server.common.calendar import utc_day
from mars_server.console.door import MAX_BODY, STATUSES, Door
from mars_server.console.guard import SECRET_BYTES, Guard, RefusedError
from mars_server.console.pages import STATIC, Pages, Part, static
from mars_server.serving.bind import Bind, allowed_hosts
from mars_server.storage import Engine
from mars_server.storage.database import counting_lock
from mars_server.storage.triage import store
from mars_server.storage.triage.groups import Member, Report
from mars_server.triage import setup, upkeep
from mars_server.triage.desk import STATES, Desk, Details, Resolution

LOCK_SECONDS: Final = 3.0
"""That a form waits for ``errors open`` or another command to end."""
_DONE: Final = {
    "resolved": "It is resolved.",
    "reopened": "It is open again, and what was said of it is taken back.",
    "noted": "It is noted.",
    "deleted": "What you chose is deleted.",
}
"""What a page says after a form, by its parameter ``done``."""


@dataclass(frozen=True)
class Console:
    """One product's database, and what its pages need."""

    engine: Engine
    pages: Pages
    product_file: Path
    rules_file: Path | None
    clock: Clock
    chance: Chance
    tell: Callable[[str], None]
    onion: str = ""
    """``<56 base32>.onion``, where there is such a service."""

    def application(self) -> web.Application:
        hosts = allowed_hosts((), Bind(), onion=True, name=self.onion or None)
        guard = Guard(self.chance.token(SECRET_BYTES), hosts)
        door = Door(guard, self.pages, self.chance, self.tell)
        app = web.Application(middlewares=[door.middleware()], client_max_size=MAX_BODY)
        number = r"/faults/{number:[0-9]{1,9}}"
        app.add_routes([
            web.get("/", self.faults),
            web.get("/rules", self.rules),
            web.get("/kept", self.kept),
            web.get(number, self.fault),
            web.post("/find", self.find),
            web.post(f"{number}/resolve", self.resolve),
            web.post(f"{number}/reopen", self.reopen),
            web.post(f"{number}/note", self.note),
            web.post(f"{number}/choose", self.choose),
            web.post(f"{number}/delete", self.delete),
            *(web.get(path, _static) for path in STATIC),
        ])  # fmt: skip
        return app

    # -- pages, which change nothing

    async def faults(self, request: web.Request) -> web.Response:
        """The groups, by the filter of the query."""
        asked = request.query
        states = [each for each in asked.getall("state", []) if each in STATES]
        release, text = asked.get("release", "").strip(), asked.get("text", "").strip()

        def look() -> tuple[Any, ...]:
            desk = self._desk()
            overview = desk.overview()
            return overview.entries(states, release, text), desk.unread(), len(overview.conflicts())

        found, unread, conflicts = await asyncio.to_thread(look)
        query = {"state": states, "release": [release], "text": [text]}
        return self._page(
            request, "faults", "Faults", here="/", part=Part.of("page", found, asked),
            unread=unread, conflicts=conflicts, states=STATES, wanted=states, release=release,
            text=text, asked=query, done=_done(request),
        )  # fmt: skip

    async def fault(self, request: web.Request) -> web.Response:
        """A group with all that can be read of it."""
        return await self._fault(request, _done(request))

    async def rules(self, request: web.Request) -> web.Response:
        """The rules, what each claims, and where two claim one fault."""

        def look() -> tuple[Any, ...]:
            overview = self._desk().overview()
            return overview.rules.claims, overview.claimed(), overview.conflicts()

        claims, claimed, conflicts = await asyncio.to_thread(look)
        return self._page(
            request, "rules", "Rules", here="/rules", claims=claims, claimed=claimed,
            conflicts=conflicts,
        )  # fmt: skip

    async def kept(self, request: web.Request) -> web.Response:
        """What cannot be read yet, what is kept, and what was dropped."""

        def look() -> dict[str, Any]:
            unread = self._desk().unread()
            with self.engine.connect() as connection:
                return {
                    "unread": unread,
                    "dropped": store.reasons(connection),
                    "waiting": store.waiting(connection),
                    "held": store.held(connection),
                }

        found = await asyncio.to_thread(look)
        quota = upkeep.QUOTA._asdict()
        return self._page(request, "kept", "Kept and dropped", here="/kept", quota=quota, **found)

    # -- forms. What they hold comes in a body, so that no GUID is in an address

    async def find(self, request: web.Request) -> web.Response:
        """To a group, by its number or the GUID of one of its reports."""
        guid = request["form"].get("guid", "").strip().lower()
        found = await asyncio.to_thread(lambda: self._desk().show(guid))
        raise web.HTTPSeeOther(f"/faults/{found.entry.number}")

    async def resolve(self, request: web.Request) -> web.Response:
        said = Resolution(**{name: _text(request, name) for name in Resolution._fields})
        return await self._done(
            request, "resolved", lambda desk, name, day: desk.resolve(name, day, said)
        )

    async def reopen(self, request: web.Request) -> web.Response:
        return await self._done(request, "reopened", Desk.reopen)

    async def note(self, request: web.Request) -> web.Response:
        private = request["form"].get("private") == "yes"
        text = _text(request, "memo" if private else "summary")

        def do(desk: Desk, name: str, day: str) -> None:
            desk.note(name, day, text, private=private)

        return await self._done(request, "noted", do)

    async def choose(self, request: web.Request) -> web.Response:
        """Asks whether a report, or all direct ones of a group, shall go; changes nothing."""
        found = await asyncio.to_thread(lambda: self._desk().show(_number(request)))
        guid = request["form"].get("guid", "")
        chosen = _chosen(found, guid)
        return self._page(request, "choose", "Delete", entry=found.entry, chosen=chosen, guid=guid)

    async def delete(self, request: web.Request) -> web.Response:
        """What ``choose`` asked about, where it still is what it was then."""
        number, form = _number(request), request["form"]
        guid, seen = form.get("guid", ""), form.get("seen", "")

        def do(desk: Desk, name: str, day: str) -> None:
            if str(len(_chosen(desk.show(name), guid))) != seen:
                raise RefusedError(
                    409,
                    "changed",
                    "Meanwhile there are other reports than you were asked about; nothing was "
                    "deleted. Go back to the fault and look again.",
                )
            desk.delete(guid or name, day)

        await self._change(number, do)
        is_left = await asyncio.to_thread(lambda: self._desk().is_listed(int(number)))
        raise web.HTTPSeeOther(f"{f'/faults/{number}' if is_left else '/'}?done=deleted")

    # -- what they share

    def _desk(self) -> Desk:
        """With the rules as they stand in their file now. Raises as ``load_rules``."""
        return Desk(self.engine, setup.load_rules(self.product_file, self.rules_file))

    async def _change(self, name: str, do: Callable[[Desk, str, str], object]) -> None:
        """Under the lock that commands take too. Raises ``StateError`` (``database-busy``)."""
        day = utc_day(self.clock.now()).isoformat()

        def changed() -> None:
            with counting_lock(self.engine, patience=LOCK_SECONDS):
                do(self._desk(), name, day)

        await asyncio.to_thread(changed)

    async def _done(
        self, request: web.Request, done: str, do: Callable[[Desk, str, str], object]
    ) -> web.Response:
        """Changes a group and leads back to it. What is refused is shown on its page, with all that
        was written."""
        number = _number(request)
        try:
            await self._change(number, do)
        except MarsError as error:
            if error.reason in ("group-unknown", "rules-invalid"):
                raise
            status = STATUSES.get(error.reason, 400)
            return await self._fault(request, alert=error.message, status=status)
        raise web.HTTPSeeOther(f"/faults/{number}?done={done}")

    async def _fault(
        self, request: web.Request, done: str = "", alert: str = "", status: int = 200
    ) -> web.Response:
        found = await asyncio.to_thread(lambda: self._desk().show(_number(request)))
        return self._page(
            request, "fault", found.entry.title, status, entry=found.entry, done=done, alert=alert,
            members=Part.of("faults", _most_met(found), request.query),
            reports=Part.of("reports", found.reports, request.query),
            written={**_said(found), **request.get("form", {})},
        )  # fmt: skip

    def _page(
        self, request: web.Request, name: str, title: str, status: int = 200, **context: Any
    ) -> web.Response:
        text = self.pages.page(name, title, request["token"], **context)
        return web.Response(text=text, content_type="text/html", status=status)


def _chosen(found: Details, guid: str) -> list[Report]:
    """The report with this GUID, or where it is empty all direct ones. Raises ``RefusedError``
    (``report-unknown``)."""
    chosen = [each for each in found.reports if guid in ("", each.guid)]
    if not chosen:
        raise RefusedError(404, "report-unknown", "There is no such report; it may be gone.")
    return chosen


def _most_met(found: Details) -> list[Member]:
    """Each fault of a release once, those first that most have met."""
    both: dict[tuple[str, Fault], Member] = {}
    for one in found.members:
        known = both.setdefault((one.release, one.fault), one._replace(direct=0, crowd=0))
        both[one.release, one.fault] = known._replace(
            direct=known.direct + one.direct, crowd=known.crowd + one.crowd
        )
    return sorted(both.values(), key=lambda each: -each.direct - each.crowd)


def _said(found: Details) -> dict[str, str]:
    """What the fields of the forms hold at first."""
    word = found.entry.word
    texts = {name: getattr(word, name) for name in Resolution._fields}
    return {**texts, "memo": found.entry.memo}


def _done(request: web.Request) -> str:
    """What the form did that led here."""
    return _DONE.get(request.query.get("done", ""), "")


def _number(request: web.Request) -> str:
    return request.match_info["number"]


def _text(request: web.Request, name: str) -> str:
    text: str = request["form"].get(name, "")
    return text.strip()


async def _static(request: web.Request) -> web.Response:
    return web.Response(body=static(request.path), content_type=STATIC[request.path][1])
