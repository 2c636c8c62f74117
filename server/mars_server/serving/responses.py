"""Responses of the long way: the same few fields as the short cut's, and uniform errors."""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import hdrs, web

from mars_server.serving.fast_request import FIELDS


class Plain(web.Response):
    """A response without Date and Server."""

    async def _prepare_headers(self) -> None:
        await super()._prepare_headers()
        strip_headers(self)


def strip_headers(response: web.StreamResponse) -> None:
    """Takes out what would tell of the machine; aiohttp adds both to every response."""
    response.headers.pop(hdrs.DATE, None)
    response.headers.pop(hdrs.SERVER, None)


def motd(body: bytes) -> Plain:
    return Plain(body=body, headers=dict(FIELDS))


def uniform(status: int, allow: str = "") -> Plain:
    """The answer to everything that is not served: the status and its standard words.

    ``allow`` are the methods that a 405 has to name (RFC 9110 15.5.6).
    """
    phrase = HTTPStatus(status).phrase
    response = Plain(status=status, text=f"{status} {phrase}\n")
    response.headers[hdrs.CACHE_CONTROL] = "no-store"
    if allow:
        response.headers[hdrs.ALLOW] = allow
    return response
