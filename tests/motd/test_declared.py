"""What is declared in the registry, whole or not."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from mars_motd.registry import error_faults, metric_faults

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
EXAMPLE = Path(__file__).parents[2] / "motd"


def read(name: str) -> dict[str, Any]:
    return tomllib.loads((EXAMPLE / name).read_text("utf-8"))


def test_the_examples_two_files_are_whole() -> None:
    assert list(read("metrics.toml")) == ["folders", "protocol", "encryption_used"]
    assert list(read("errors.toml")) == ["decryption", "transport"]
    assert metric_faults(read("metrics.toml")) == error_faults(read("errors.toml")) == []


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
    ],
)
def test_what_is_not_whole_is_told(metrics: bytes, errors: bytes, said: str) -> None:
    wrong = metric_faults(tomllib.loads(metrics.decode()))
    wrong += error_faults(tomllib.loads(errors.decode()))
    assert said in "; ".join(fault.what for fault in wrong)
