"""The typed catalogue of everything that can be sent."""

from __future__ import annotations

import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from mars.wire.events import read_errors
from mars.wire.registry import read_metrics

WHOLE = b"""[folders]
label = "Mail folders"
description = "How many there are."
project = "examplemail"
reason = "Decides whether the list needs a search field."
owner = "mail list team"
review = "https://example.org/12"
sensitivity = "technical"
expires = 2027-12-31
"""
EXAMPLE = Path(__file__).parents[3] / "motd"


def read(name: str) -> dict[str, Any]:
    return tomllib.loads((EXAMPLE / name).read_text("utf-8"))


def test_the_examples_two_files_are_whole() -> None:
    metrics, wrong = read_metrics(read("metrics.toml"))
    errors, further = read_errors(read("errors.toml"))
    assert wrong == further == ()
    folders, protocol, encryption, *_ = metrics
    assert (folders.key, folders.type, folders.bounds) == ("folders", "bucket", (1, 10, 100))
    assert (protocol.type, protocol.values) == ("enum", ("imap", "pop3", "jmap", "other"))
    assert encryption.expires == date(2027, 12, 31)
    assert [domain.name for domain in errors] == ["decryption", "transport"]
    causes = ["key_missing", "key_late", "message_damaged", "cancelled", "other"]
    assert [name.name for name in errors[0].names] == causes
    assert [name.name for name in errors[0].names if name.expected] == ["cancelled"]
    assert [it.values for it in errors[0].names[0].dimensions] == [("known", "new")]


@pytest.mark.parametrize(
    ("metrics", "errors", "said"),
    [
        (b"[mail]\nlabel = 'x'\n", b"", "description is missing"),
        (WHOLE + b"type = 'text'\n", b"", "type must be one of bool, enum, bucket"),
        (WHOLE + b"type = 'bool'\nvalues = ['a', 'b']\n", b"", "values belong to the type enum"),
        (WHOLE + b"type = 'enum'\nvalues = ['a', 'a']\n", b"", "2 to 32 different names"),
        (WHOLE + b"type = 'bucket'\nbounds = [9, 1]\n", b"", "whole numbers that grow"),
        (WHOLE + b"type = 'bool'\nunit = 'ms'\n", b"", "unknown entry unit"),
        (b"", b"[decryption.Key]\n", "'Key' is not a name"),
        (b"", b"decryption = 1\n", "must be a table"),
        (WHOLE.replace(b"[folders]", b"[x.'a.b']") + b"type = 'bool'\n", b"", "not a name"),
    ],
)
def test_what_is_not_whole_declares_nothing(metrics: bytes, errors: bytes, said: str) -> None:
    declared, wrong = read_metrics(tomllib.loads(metrics.decode()))
    causes, further = read_errors(tomllib.loads(errors.decode()))
    assert (declared, causes) == ((), ())
    assert said in "; ".join(fault.what for fault in (*wrong, *further))


def errors_of(member: str, text: str) -> list[str]:
    entry = tomllib.loads(WHOLE.decode() + "type = 'bool'\n")["folders"] | {member: text}
    metrics, wrong = read_metrics({"folders": entry})
    assert bool(metrics) != bool(wrong)
    error = {name: entry[name] for name in ("description", "owner", "review")}
    error |= {name: entry[name] for name in ("sensitivity", "expires")}
    if member in error:
        named, faults = read_errors({"mail": {"lost": error}})
        assert [each.what for each in faults] == [each.what for each in wrong]
        assert bool(named) != bool(faults)
    return [each.what for each in wrong]


@pytest.mark.parametrize(
    "character", ["\x07", "\x1b", "\u202e", "\u200b", "\u2028", "\ufeff", "\r"]
)
@pytest.mark.parametrize("member", ["label", "description", "reason", "owner", "review"])
def test_i18_a_text_that_shows_something_else_declares_nothing(member: str, character: str) -> None:
    """For clients too, which read the registry without the publisher's checks."""
    assert errors_of(member, f"a{character}b") == [
        f"{member} holds a character that cannot be seen, or that turns text around"
    ]


@pytest.mark.parametrize(
    ("member", "most"),
    [("label", 80), ("owner", 500), ("review", 500), ("description", 2000), ("reason", 2000)],
)
def test_i18_a_text_has_an_end(member: str, most: int) -> None:
    assert errors_of(member, "ü" * most) == []
    assert errors_of(member, "ü" * (most + 1)) == [f"{member} has more than {most} characters"]


def test_only_longer_texts_have_several_lines() -> None:
    assert errors_of("description", "one\ntwo") == errors_of("reason", "one\ntwo") == []
    assert errors_of("label", "one\ntwo") == ["label must be a single line"]
