"""The payload: the news of one product and channel, as signed."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from mars.errors import WireError
from mars.wire import members as m
from mars.wire import strictjson
from mars.wire.envelope import MAX_PAYLOAD
from mars.wire.product import is_name
from mars.wire.times import format_time

FORMAT_VERSION = 1
KINDS = ("news", "update", "security")
SEVERITIES = ("info", "warning", "critical")

MAX_MESSAGES = 32
MAX_TEXT = 4000
"""Characters of ``news`` and of one translation of ``text``."""
MAX_TITLE = 200
"""Characters of one translation of ``title``."""
MAX_LANGUAGES = 64
"""Translations of one text, and entries of one list of a target."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:[_-][A-Za-z0-9]{2,8}){0,3}", re.ASCII)
_TARGET = frozenset({"platforms", "versions", "languages"})


@dataclass(frozen=True)
class Target:
    """Whom a message is for; None means no restriction."""

    platforms: tuple[str, ...] | None = None
    versions: str | None = None
    """A PEP 440 specifier such as ``>=0.1,<0.1.3``; garbage matches nobody."""
    languages: tuple[str, ...] | None = None
    unknown: bool = False
    """Has a key from a later format: then it matches nobody here."""


@dataclass(frozen=True)
class Message:
    """One item of news. Texts are as signed; clean them before display (``targeting``)."""

    id: str
    title: dict[str, str]
    text: dict[str, str] = field(default_factory=dict)
    revision: int = 1
    kind: str = "news"
    severity: str = "info"
    not_before: int | None = None
    not_after: int | None = None
    target: Target | None = None
    url: str = ""


@dataclass(frozen=True)
class Motd:
    """The payload, its members in the order in which they are signed. Times are Unix seconds."""

    product: str
    channel: str
    epoch: int
    serial: int
    issued: int
    expires: int
    reportback_next: int = 0
    """Seconds; restates the steering document, as ``reportback_server`` does."""
    reportback_server: str = ""
    news: str = ""
    newest_version: str = ""
    messages: tuple[Message, ...] = ()


def decode(payload: bytes) -> Motd:
    """Reads a payload strictly; unknown members at the top and in messages are ignored.

    Raises ``WireError``: the reasons of ``strictjson.parse``, ``wrong-kind`` (another ``type``),
    ``newer-format``, ``duplicate-message``, ``bad-payload``.
    """
    members = m.table(strictjson.parse(payload, MAX_PAYLOAD), "the payload")
    return Motd(
        *dated(members, "motd"),
        expires=m.time(members, "expires"),
        reportback_next=m.whole(members, "reportback_next", 0),
        reportback_server=m.text(members, "reportback_server", MAX_PAYLOAD, ""),
        news=m.text(members, "news", MAX_TEXT, ""),
        newest_version=m.text(members, "newest_version", MAX_PAYLOAD, ""),
        messages=_messages(members.get("messages", [])),
    )


def encode(motd: Motd) -> bytes:
    """The payload as we sign it: compact UTF-8 JSON, members in the documented order.

    Raises ``WireError``: ``bad-payload`` for a target with keys that we did not understand when we
    read it, ``bad-time`` for a time after the year 9999.
    """
    return strictjson.write(
        {
            "type": "motd",
            "version": FORMAT_VERSION,
            **vars(motd),
            "issued": format_time(motd.issued),
            "expires": format_time(motd.expires),
            "messages": [_plain(message) for message in motd.messages],
        }
    )


def header(members: dict[str, Any], kind: str) -> None:
    """Checks ``type`` and ``version``, which every document of ours begins with."""
    if members.get("type") != kind:
        raise WireError("wrong-kind", f"The document is not of the type {kind!r}.")
    if m.whole(members, "version") != FORMAT_VERSION:
        raise WireError(
            "newer-format", "The document has a newer format than this program; update it."
        )


def name(members: dict[str, Any], member: str) -> str:
    """A product's or channel's name."""
    value = m.text(members, member, 40)
    if not is_name(value):
        raise m.bad(f"{member} must be 1-40 characters of a-z, 0-9 and inner hyphens")
    return value


def identity(members: dict[str, Any]) -> tuple[str, str, int]:
    """Product, channel and epoch. Raises ``WireError`` (``bad-payload``)."""
    epoch = m.whole(members, "epoch")
    if epoch == 0:
        raise m.bad("epoch starts at 1")
    return name(members, "product"), name(members, "channel"), epoch


def dated(members: dict[str, Any], kind: str) -> tuple[str, str, int, int, int]:
    """Product, channel, epoch, serial and ``issued`` (Unix seconds) of a document of this ``kind``.
    Raises ``WireError`` as ``header``, and ``bad-payload``."""
    header(members, kind)
    serial = m.whole(members, "serial")
    if serial == 0:
        raise m.bad("serial starts at 1; 0 is what a client has that has seen none")
    return *identity(members), serial, m.time(members, "issued")


def _messages(value: object) -> tuple[Message, ...]:
    if not isinstance(value, list) or len(value) > MAX_MESSAGES:
        raise m.bad(f"messages must be a list of at most {MAX_MESSAGES}")
    messages = tuple(_message(m.table(item, "a message")) for item in value)
    if len({message.id for message in messages}) != len(messages):
        raise WireError("duplicate-message", "Two messages have the same id.")
    return messages


def _message(members: dict[str, Any]) -> Message:
    ident = m.text(members, "id", 64)
    if _ID.fullmatch(ident) is None:
        raise m.bad("a message's id must be 1-64 characters of A-Z, a-z, 0-9, dot, - and _")
    title = translations(members, "title", MAX_TITLE)
    if not title:
        raise m.bad("a message must have a title")
    return Message(
        id=ident,
        title=title,
        text=translations(members, "text", MAX_TEXT),
        revision=m.whole(members, "revision", 1),
        kind=m.choice(members, "kind", KINDS, "news"),
        severity=m.choice(members, "severity", SEVERITIES, "info"),
        not_before=m.optional_time(members, "not_before"),
        not_after=m.optional_time(members, "not_after"),
        target=_target(members["target"]) if "target" in members else None,
        url=m.text(members, "url", MAX_PAYLOAD, ""),
    )


def translations(members: dict[str, Any], member: str, limit: int) -> dict[str, str]:
    """Language to text of at most ``limit`` characters. Raises ``WireError`` (``bad-payload``)."""
    value = m.table(members.get(member, {}), member)
    if len(value) > MAX_LANGUAGES:
        raise m.bad(f"{member} has more than {MAX_LANGUAGES} translations")
    for language in value:
        if _LANGUAGE.fullmatch(language) is None:
            raise m.bad(f"{member} has a language that is not like en or pt_BR")
        m.text(value, language, limit)
    return value


def _target(value: object) -> Target:
    members = m.table(value, "target")
    return Target(
        platforms=m.texts(members, "platforms", MAX_LANGUAGES, 64),
        versions=m.text(members, "versions", MAX_PAYLOAD) if "versions" in members else None,
        languages=m.texts(members, "languages", MAX_LANGUAGES, 64),
        unknown=not _TARGET.issuperset(members),
    )


def _plain(message: Message) -> dict[str, object]:
    plain = {member: getattr(message, member) for member in ("id", "revision", "kind", "severity")}
    for member in ("not_before", "not_after"):
        if (at := getattr(message, member)) is not None:
            plain[member] = format_time(at)
    if message.target is not None:
        plain["target"] = _plain_target(message.target)
    plain |= {"title": message.title, "text": message.text}
    if message.url:
        plain["url"] = message.url
    return plain


def _plain_target(target: Target) -> dict[str, object]:
    if target.unknown:
        # Without the keys that we did not keep, the message would reach people it is not for.
        raise m.bad("a target with keys from a later format cannot be written again")
    said = {name: getattr(target, name) for name in ("platforms", "versions", "languages")}
    return {name: value for name, value in said.items() if value is not None}
