"""What tells of a computer and not of the application."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import urllib.error
from email.message import Message

import pytest

from mars.faults.environment import RULES, Environment
from mars.faults.own import Own
from mars.wire.reports.rules import Rule

OWN = Own([__name__])
ENVIRONMENT = Environment(OWN, [])


class LibraryError(Exception):
    """Of a library that hides what it met."""


def raised(error: BaseException, cause: BaseException | None = None) -> BaseException:
    try:
        raise error from cause
    except BaseException as caught:  # noqa: BLE001 - of any kind
        return caught


def while_handling(error: BaseException, other: BaseException, *, ours: bool) -> BaseException:
    """``other``, raised by our own code or by code of nobody's."""
    code = "raise other"
    try:
        try:
            raise error
        except BaseException:  # noqa: BLE001
            if ours:
                raise other  # noqa: B904
            exec(code, {"other": other})
    except BaseException as caught:  # noqa: BLE001
        return caught
    raise AssertionError


@pytest.mark.parametrize(
    "error",
    [
        *(KeyboardInterrupt(), SystemExit(1), GeneratorExit(), asyncio.CancelledError()),
        *(MemoryError(), BrokenPipeError(), ConnectionResetError(), TimeoutError()),
        *(socket.gaierror(-2, "hunter2"), ssl.SSLCertVerificationError(1, "hunter2")),
        urllib.error.URLError("hunter2"),
        *(OSError(getattr(errno, name), "hunter2") for name in ("ENOSPC", "EROFS", "EMFILE")),
        *(OSError(getattr(errno, name), "hunter2") for name in ("EDQUOT", "EIO", "ENETUNREACH")),
    ],
    ids=lambda error: f"{type(error).__name__}-{getattr(error, 'errno', '')}",
)
def test_of_the_environment(error: BaseException) -> None:
    assert ENVIRONMENT.claims(error, ())
    assert ENVIRONMENT.claims(raised(LibraryError(), error), ()), "as the cause"
    assert ENVIRONMENT.claims(while_handling(error, LibraryError(), ours=False), ())
    assert not ENVIRONMENT.claims(while_handling(error, KeyError(), ours=True), ()), (
        "a mistake in what handles it is the application's"
    )
    assert ENVIRONMENT.claims(BaseExceptionGroup("hunter2", [error, raised(error)]), ())
    mixed = BaseExceptionGroup("hunter2", [error, ValueError()])
    assert not ENVIRONMENT.claims(mixed, ())


@pytest.mark.parametrize(
    "error",
    [
        *(ValueError(), KeyError(), RecursionError(), PermissionError(13, "hunter2")),
        *(FileNotFoundError(2, "hunter2"), OSError("hunter2"), LibraryError()),
        urllib.error.HTTPError("http://hunter2", 404, "hunter2", Message(), None),
    ],
    ids=lambda error: type(error).__name__,
)
def test_of_the_application(error: BaseException) -> None:
    assert not ENVIRONMENT.claims(error, ())
    if isinstance(error, urllib.error.HTTPError):
        error.close()


def test_every_rule_is_one_of_the_grammar_that_triage_has() -> None:
    assert all(Rule.parse(text).words for text in RULES)


def test_an_applications_rules_name_types_of_libraries_and_own_frames() -> None:
    mine = Environment(OWN, [f"{__name__}.LibraryError and examplemail.sync:fetch"])
    assert mine.claims(LibraryError(), ["examplemail.sync:fetch"])
    assert not mine.claims(LibraryError(), ["examplemail.sync:store"])
    assert not mine.claims(ValueError(), ["examplemail.sync:fetch"])


def test_chains_without_end_are_looked_at_so_far() -> None:
    first = error = ValueError()
    for _ in range(10_000):
        error.__cause__ = ValueError()
        error = error.__cause__
    error.__cause__ = first
    assert not ENVIRONMENT.claims(first, ())
