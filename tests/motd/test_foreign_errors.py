"""What matrix-analytics-events counts of failures, in our form: what can be said, and what cannot.

Read for facts, the names of domains, errors and choices, were its schemas of errors.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from mars.wire.catalogue import Catalogue
from mars.wire.events import Domain, read_errors
from mars_motd import generated
from mars_motd.lints import judged_domains

TODAY = date(2026, 12, 1)
TEXT = (Path(__file__).parent / "foreign/matrix-errors.toml").read_text("utf-8")


def domains() -> tuple[Domain, ...]:
    found, faults = read_errors(tomllib.loads(TEXT))
    assert faults == ()
    return found


def test_its_domains_and_names_can_be_declared() -> None:
    found = domains()
    assert {domain.name: len(domain.names) for domain in found} == {
        "e2ee": 9,
        "voip": 5,
        "to_device": 1,
        "session": 3,
    }
    catalogue = Catalogue("messenger", "stable", domains=found)
    assert Catalogue.decode(catalogue.encode()) == catalogue
    module = generated.module(catalogue).decode()
    assert 'ROOM_KEYS_WITHHELD_FOR_UNVERIFIED_DEVICE = "room_keys_withheld' in module


def test_what_a_reviewer_would_say_of_it() -> None:
    found = list(judged_domains(domains(), TODAY))
    told = Counter((it.name, it.text.partition(":")[0], it.warning) for it in found)
    refused = "names something that could identify somebody (token)"
    assert told == {
        ("e2ee", "calls its catch-all unknown_error", True): 1,
        ("voip", "has no name other", True): 1,
        ("to_device", "has no name other", True): 1,
        ("session", "has no name other", True): 1,
        ("session/m_unknown_token", f"dimension {refused}", False): 1,
    }


def declared(name: str, dimension: str, value: Any) -> str:
    """What is said of a dimension more of that name."""
    table = tomllib.loads(TEXT)
    domain, _, cause = name.partition("/")
    table[domain][cause].setdefault("dimensions", {})[dimension] = value
    found, faults = read_errors(table)
    texts = [fault.what for fault in faults]
    texts += [it.text for it in judged_domains(found, TODAY) if it.name == name]
    return "; ".join(texts)


@pytest.mark.parametrize(
    ("name", "member", "kind"),
    [
        ("e2ee/unknown_error", "context", "string"),
        ("e2ee/unknown_error", "time_to_decrypt_millis", "integer"),
        ("e2ee/unknown_error", "event_local_age_millis", {"type": "integer"}),
        ("voip/voip_ice_failed", "num_participants", "integer"),
        ("session/m_unknown", "error_reason", "string"),
    ],
)
def test_free_text_times_and_numbers_are_refused_and_the_sentence_says_what_to_use(
    name: str, member: str, kind: Any
) -> None:
    said = declared(name, member, kind)
    assert f"the dimension {member} must be a list of 2 to 31 different names" in said
    assert "no text, number, time or identifier can be told" in said
    assert "name the few cases that a decision tells apart" in said
    assert "what resolves late is counted as that anyway" in said
    table = tomllib.loads(TEXT)
    domain, _, cause = name.partition("/")
    table[domain][cause][member] = kind
    (fault,) = read_errors(table)[1]
    assert 'is a dimension with a list of names or "bool"' in fault.what


@pytest.mark.parametrize("member", ["device_id", "sender_email", "session_uuid", "user_name"])
def test_identifiers_are_refused_though_their_form_is_right(member: str) -> None:
    said = declared("e2ee/unknown_error", member, ["alice", "bob"])
    assert "could identify somebody" in said
    assert "ask for a coarser thing, and name that" in said


def test_what_took_time_is_told_in_few_steps_instead() -> None:
    steps = ["below_1s", "below_1min", "more"]
    assert "must be" not in declared("e2ee/unknown_error", "took", steps)
