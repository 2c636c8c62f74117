"""The declared statistics and error events of examplemail.

Written by "mars-motd generate" from metrics.toml and errors.toml; edit these. The
function of a statistic takes the application's ``Mars.statistics`` and the value, or what
is called for it when a report is due. The causes of a domain are an enum, for
``mars.failures(domain).fail``; one with dimensions has a function, which takes that stream.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any, Literal, Protocol, TypeVar

Failed = TypeVar("Failed", covariant=True)


class Statistics(Protocol):
    """``Mars.statistics``, as far as it is used here."""

    def provide(self, name: str, given: Any, /) -> Any: ...


class Failures(Protocol[Failed]):
    """``Mars.failures(domain)``, as far as it is used here."""

    def fail(self, cause: str, /, subject: Any = ..., **dimensions: Any) -> Failed: ...


def folders(
    statistics: Statistics,
    value: int | Callable[[], int],
) -> None:
    """Mail folders

    How many mail folders there are, in coarse steps.

    Decides whether the folder list needs a search field.
    """
    statistics.provide("examplemail/folders", value)


ProtocolValue = Literal[
    "imap",
    "pop3",
    "jmap",
    "other",
]


def protocol(
    statistics: Statistics,
    value: ProtocolValue | Callable[[], ProtocolValue],
) -> None:
    """Mail protocol

    By which protocol the first account fetches mail.

    Decides which protocol is worked on first.
    """
    statistics.provide("examplemail/protocol", value)


def encryption_used(
    statistics: Statistics,
    value: bool | Callable[[], bool],
) -> None:
    """Encryption used

    Whether an encrypted mail was sent in the period.

    Says whether encryption is found by those who look for it.
    """
    statistics.provide("examplemail/encryption_used", value)


def documents(
    statistics: Statistics,
    value: int | Callable[[], int],
) -> None:
    """Documents

    How many documents the application keeps, in coarse steps.

    Decides whether the list of documents is worked on.
    """
    statistics.provide("examplemail/documents", value)


def module_calendar(
    statistics: Statistics,
    value: bool | Callable[[], bool],
) -> None:
    """Calendar

    Whether the calendar is switched on.

    Decides which modules are on from the beginning.
    """
    statistics.provide("examplemail/module_calendar", value)


def module_encryption(
    statistics: Statistics,
    value: bool | Callable[[], bool],
) -> None:
    """Encryption

    Whether encryption is switched on.

    Decides which modules are on from the beginning.
    """
    statistics.provide("examplemail/module_encryption", value)


def module_spelling(
    statistics: Statistics,
    value: bool | Callable[[], bool],
) -> None:
    """Spelling

    Whether spelling is checked while somebody writes.

    Decides which modules are on from the beginning.
    """
    statistics.provide("examplemail/module_spelling", value)


MarsRuntimeImplementationValue = Literal[
    "cpython",
    "pypy",
    "other",
]


def mars_runtime_implementation(
    statistics: Statistics,
    value: MarsRuntimeImplementationValue | Callable[[], MarsRuntimeImplementationValue],
) -> None:
    """Python implementation

    Which implementation of Python the application runs on.

    Decides what is tried before a release.
    """
    statistics.provide("mars-runtime/implementation", value)


def mars_runtime_bits64(
    statistics: Statistics,
    value: bool | Callable[[], bool],
) -> None:
    """64 bit

    Whether the application runs as a program of 64 bits.

    Decides how long programs of 32 bits are built.
    """
    statistics.provide("mars-runtime/bits64", value)


def mars_runtime_frozen(
    statistics: Statistics,
    value: bool | Callable[[], bool],
) -> None:
    """Packed as one program

    Whether the application is one program, with Python inside.

    Decides which way of packing is tried first.
    """
    statistics.provide("mars-runtime/frozen", value)


MarsRuntimeRouteValue = Literal[
    "system",
    "browser",
    "other",
    "direct",
    "none",
]


def mars_runtime_route(
    statistics: Statistics,
    value: MarsRuntimeRouteValue | Callable[[], MarsRuntimeRouteValue],
) -> None:
    """Way to Tor

    By which Tor the news came: the system's, Tor Browser's, another, or without.

    Decides which way is tried first, and which one needs better help.
    """
    statistics.provide("mars-runtime/route", value)


class Decryption(StrEnum):
    """Decrypting a mail that somebody sent."""

    KEY_MISSING = "key_missing"
    """No key on this computer opens an encrypted mail."""
    KEY_LATE = "key_late"
    """The sender's key has not arrived yet; the mail is opened once it has."""
    MESSAGE_DAMAGED = "message_damaged"
    """An encrypted mail was cut off or changed on its way."""
    CANCELLED = "cancelled"
    """Somebody closed the question for the passphrase."""
    OTHER = "other"
    """Any other reason why an encrypted mail was not opened."""


def decryption_key_missing(
    stream: Failures[Failed],
    subject: Any = None,
    *,
    sender: Literal[
        "known",
        "new",
    ],
) -> Failed:
    """No key on this computer opens an encrypted mail."""
    return stream.fail(Decryption.KEY_MISSING, subject, sender=sender)


class Transport(StrEnum):
    """Fetching mail from a server, and handing it to one."""

    LOGIN_REFUSED = "login_refused"
    """The mail server refused name or password."""
    CERTIFICATE_REFUSED = "certificate_refused"
    """The mail server's certificate is not to be trusted."""
    NO_NETWORK = "no_network"
    """The computer has no connection."""
    OTHER = "other"
    """Any other reason why mail was not fetched or sent."""
