"""Before every page and form: who may pass, and how a refusal looks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from mars.errors import MarsError
from mars.ports import Chance
from mars_server.console.guard import (
    COOKIE,
    FIELD,
    SESSION_BYTES,
    Guard,
    RefusedError,
    is_session,
    new_session,
)
from mars_server.console.pages import STATIC, Pages
from mars_server.site.html import HEADERS

MAX_BODY: Final = 64 * 1024
"""Bytes of a form: two texts of 2,000 characters, each of up to twelve bytes, and the rest."""
STATUSES: Final = {"group-unknown": 404, "report-unknown": 404, "database-busy": 503}
"""Of HTTP by the reason of an error; others are 400."""
_FORM: Final = "application/x-www-form-urlencoded"
_MAX_FIELDS: Final = 20
_HEADERS: Final = {
    **HEADERS,
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_SENTENCES: Final = {
    404: "There is nothing here; go back to the list.",
    405: "A page is not changed in this way; use its forms.",
    413: "That is too much for a form; a text has at most 2,000 characters.",
}


@dataclass(frozen=True)
class Door:
    """Of one process."""

    guard: Guard
    pages: Pages
    chance: Chance
    tell: Callable[[str], None]

    def middleware(self) -> Middleware:
        """For aiohttp."""

        @web.middleware
        async def passed(request: web.Request, handler: Handler) -> web.StreamResponse:
            try:
                response = await self._passed(request, handler)
            except web.HTTPException as answer:
                response = self._of(answer)
            except MarsError as error:
                status = getattr(error, "status", STATUSES.get(error.reason, 400))
                response = self._refused(status, error.message)
            except Exception as error:  # noqa: BLE001 - any defect or fault
                self.tell(f"internal error: {type(error).__name__}")
                response = self._refused(500, "The console failed; its terminal names the fault.")
            response.headers.update(_HEADERS)
            return response

        return passed

    async def _passed(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Raises ``RefusedError`` before a handler is asked."""
        self.guard.require_host(request.host)
        held = request.cookies.get(COOKIE, "")
        if request.method == hdrs.METH_POST:
            self.guard.require_origin(request.headers, request.host)
            request["form"] = await _form(request)
            self.guard.require_token(held, request["form"].get(FIELD, ""))
        session = held if is_session(held) else new_session(self.chance.token(SESSION_BYTES))
        request["token"] = self.guard.token(session)
        response = await handler(request)
        if session != held and request.path not in STATIC:
            response.set_cookie(COOKIE, session, httponly=True, samesite="Strict", path="/")
        return response

    def _of(self, answer: web.HTTPException) -> web.StreamResponse:
        if answer.status < 400:
            where = {hdrs.LOCATION: answer.headers[hdrs.LOCATION]}
            return web.Response(status=answer.status, headers=where)
        return self._refused(answer.status, _SENTENCES.get(answer.status, f"{answer.reason}."))

    def _refused(self, status: int, sentence: str) -> web.Response:
        text = self.pages.page("refused", "Not done", alert=sentence)
        return web.Response(status=status, text=text, content_type="text/html")


async def _form(request: web.Request) -> Mapping[str, str]:
    """The first value of each field, in UTF-8. Line ends are those of our texts, and there is no
    NUL, which PostgreSQL keeps in no text."""
    if request.content_type != _FORM:
        raise RefusedError(415, "other-form", "Forms are sent as a browser sends them.")
    text = (await request.read()).decode("utf-8", "replace")
    try:
        fields = parse_qs(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError:
        raise RefusedError(400, "bad-form", "This form has too many fields.") from None
    return {name: _clean(values[0]) for name, values in fields.items()}


def _clean(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
