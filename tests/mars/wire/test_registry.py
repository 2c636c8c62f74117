"""The typed catalogue of everything that can be sent."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from mars.errors import ConfigError
from mars.wire.registry import parse_registry
from mars.wire.variables import NAMES

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


def test_the_examples_two_files_and_the_variables_are_one_catalogue() -> None:
    registry = parse_registry(
        (EXAMPLE / "metrics.toml").read_bytes(), (EXAMPLE / "errors.toml").read_bytes()
    )
    assert tuple(variable.name for variable in registry.variables) == NAMES
    folders, protocol, encryption = registry.metrics
    assert (folders.key, folders.type, folders.bounds) == ("folders", "bucket", (1, 10, 100))
    assert (protocol.type, protocol.values) == ("enum", ("imap", "pop3", "jmap", "other"))
    assert encryption.expires == date(2027, 12, 31)
    assert [(each.domain, each.name) for each in registry.errors] == [
        ("decryption", "key_missing"),
        ("decryption", "message_damaged"),
        ("transport", "login_refused"),
    ]


@pytest.mark.parametrize(
    ("metrics", "errors", "said"),
    [
        (b"\xff", b"", "metrics.toml"),
        (b"", b"[decryption", "errors.toml"),
        (b"[mail]\nlabel = 'x'\n", b"", r"\[mail\] description is missing"),
        (WHOLE + b"type = 'text'\n", b"", "type must be one of bool, enum, bucket"),
        (WHOLE + b"type = 'bool'\nvalues = ['a', 'b']\n", b"", "values belong to the type enum"),
        (WHOLE + b"type = 'enum'\nvalues = ['a', 'a']\n", b"", "2 to 32 different names"),
        (WHOLE + b"type = 'bucket'\nbounds = [9, 1]\n", b"", "whole numbers that grow"),
        (WHOLE + b"type = 'bool'\nunit = 'ms'\n", b"", "unknown entry unit"),
        (b"", b"[decryption.Key]\n", r"\[decryption.Key\] 'Key' is not a name"),
        (b"", b"decryption = 1\n", r"\[decryption.\]"),
    ],
)
def test_what_is_not_whole_declares_nothing(metrics: bytes, errors: bytes, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        parse_registry(metrics, errors)
    assert caught.value.reason == "registry-invalid"
