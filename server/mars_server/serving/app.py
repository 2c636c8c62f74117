"""The aiohttp application: a fixed table of paths, nothing found by searching a disk."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from aiohttp import HttpVersion10, HttpVersion11, hdrs, web
from aiohttp.typedefs import Middleware

from mars.wire.query import MOTD_PATH
from mars_server.serving.aiohttp_connection import HIT, motd, strip_headers, uniform
from mars_server.serving.service import Service

CHECK_PATH = "/motd/check.json"
"""The same bytes for whoever watches over the server; never logged, so that no count grows."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_VERSIONS = (HttpVersion10, HttpVersion11)
_READING = ("GET", "HEAD")


def application(service: Service, routes: Iterable[web.RouteDef] = ()) -> web.Application:
    """``routes``: those of the dashboard and of the intake, each at a fixed path."""
    app = web.Application(middlewares=[_guard(service)], client_max_size=service.limits.body)
    app.router.add_route("*", MOTD_PATH, _motd(service, logged=True))
    app.router.add_route("*", CHECK_PATH, _motd(service, logged=False))
    app.add_routes(list(routes))
    app.on_response_prepare.append(_anonymous)
    return app


def _motd(service: Service, logged: bool) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.method not in _READING:
            return uniform(405, "GET, HEAD")
        if logged and request.method == "GET":
            _, _, query = request.raw_path.partition("?")
            request[HIT] = service.canonical(query)
        return motd(service.document.body)

    return answer


async def _anonymous(_request: web.Request, response: web.StreamResponse) -> None:
    strip_headers(response)


def _guard(service: Service) -> Middleware:
    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        refusal = _refusal(service, request)
        if refusal is not None:
            service.counters.add("refused")
            return uniform(refusal, close=True)
        try:
            async with asyncio.timeout(service.limits.request):
                return await handler(request)
        except web.HTTPException as error:
            if error.status < 400:
                raise
            service.counters.add("refused")
            return uniform(error.status, error.headers.get(hdrs.ALLOW, ""))
        except TimeoutError:
            service.counters.add("refused")
            return uniform(408, close=True)

    return guard


def _refusal(service: Service, request: web.Request) -> int | None:
    """The status of a request that no route gets to see, or None."""
    host = request.headers.get(hdrs.HOST)  # two are refused by aiohttp's parser
    path = request.raw_path.partition("?")[0]
    if request._message.version not in _VERSIONS:
        request._version = HttpVersion11  # else aiohttp repeats theirs in the status line
        return 400
    if host is None and request.version == HttpVersion11:
        return 400
    if not service.hosts.admits(host or ""):
        return 404
    if not path.startswith("/") or path != request.path:
        return 404
    if hdrs.CONTENT_ENCODING in request.headers:
        return 415
    if (request.content_length or 0) > service.limits.body:
        return 413
    return None
