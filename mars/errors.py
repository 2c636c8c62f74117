"""One tree of errors. Each carries a stable reason code for programs and a sentence for people."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class MarsError(Exception):
    """Root of everything this project raises on purpose.

    ``reason`` is a stable, kebab-case code for programs (``rollback``, ``tor-unavailable``).
    ``message`` is one sentence for people that says what is wrong and what to do next; it never
    quotes bytes that came from the network or from a log.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message

    def __str__(self) -> str:
        return f"{self.message} [{self.reason}]"

    def plain(self) -> dict[str, str]:
        """For JSON."""
        return {"reason": self.reason, "message": self.message}


class WireError(MarsError):
    """Bytes that do not have the form they must have (envelope, payload, keys, query)."""


class TrustError(MarsError):
    """A well-formed document that the trust rules refuse (signature, rollback, expiry)."""

    offered: Any = None
    """``mars.trust.Offered`` of the refused document, where its signatures hold by the keys that
    hold here: whoever sent it does serve."""


@contextmanager
def naming(where: object) -> Iterator[None]:
    """Puts a file's name before what is wrong with it, in errors that know its bytes alone."""
    try:
        yield
    except WireError as error:
        error.message = f"{where}: {error.message}"
        raise


class TransportError(MarsError):
    """The request did not reach the server, or no complete answer came back."""


@contextmanager
def starting_thread() -> Iterator[None]:
    """Raises ``TransportError`` (``no-thread``) where the system gives no more threads."""
    try:
        yield
    except (RuntimeError, MemoryError):
        raise TransportError(
            "no-thread",
            "No thread can be started, so nothing is fetched; end other programs, or leave it: the "
            "next start of the application, or the next attempt, tries again.",
        ) from None


def cannot_judge(error: Exception) -> MarsError:
    """A part of the program without which no answer can be judged is missing or broken."""
    if isinstance(error, MarsError) and error.reason == "cannot-judge":
        return error
    what = getattr(error, "name", None) or type(error).__name__
    return TransportError(
        "cannot-judge",
        f"This program cannot check the news that it would get ({what}), so it asks for none; "
        "install it anew, or tell whoever packed it.",
    )


def not_golden() -> TransportError:
    """What would have gone is not what was planned and shown."""
    return TransportError(
        "not-golden",
        "The request differs from the one that was shown, so it was not sent; report this mistake "
        "of ours.",
    )


class ConsentError(MarsError):
    """Nobody has agreed to what was asked for, so nothing was sent."""


class ConfigError(MarsError):
    """A file or an option of the operator, publisher or developer is wrong; says where."""


class StateError(MarsError):
    """A local file, folder, lock or database is missing, unreadable or held by another process."""
