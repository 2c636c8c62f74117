"""Error events that would say more than was declared, than was agreed to, or as something else."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mars.errors import WireError
from mars.wire.events import Dimension, Domain, ErrorName, read_errors
from mars.wire.registry import EVENTS, STATISTICS
from mars_server.counting.reports import Dropped, Opening, Statistic
from tests.server.counting.spools import WEEK, found, opening, report, sealed, spool

__all__ = ["opening"]

NAME: dict[str, Any] = {
    "description": "It is gone.",
    "owner": "mail team",
    "review": "#1",
    "sensitivity": "technical",
    "expires": date(2027, 6, 30),
}
MISSING = ErrorName("key_missing", **NAME)
DEVICE, VERIFIED = Dimension("device", ("own", "other")), Dimension("verified")
DOMAIN = Domain("decryption", (replace(MISSING, dimensions=(DEVICE, VERIFIED)),), "Decrypting.")
ANYTHING = st.text() | st.integers() | st.booleans() | st.none() | st.lists(st.text(max_size=3))


@given(ANYTHING)
def test_i06_a_dimension_says_declared_values_alone(value: object) -> None:
    for dimension, known in ((DEVICE, {"own", "other"}), (VERIFIED, {"false", "true"})):
        with suppress(WireError):
            assert dimension.said(value) in known


@given(ANYTHING | st.dictionaries(st.text(), st.text()))
def test_i06_a_dimension_is_declared_with_few_values_or_not_at_all(values: object) -> None:
    entry = {**NAME, "dimensions": {"context": values}}
    for domain in read_errors({"decryption": {"lost": entry}})[0]:
        for told in domain.entries:
            assert len(told.values_known) <= 32
            assert len(set(told.values_known)) == len(told.values_known)


@pytest.mark.parametrize("values", [["none", "own"], ["own", "own"], [f"v{n}" for n in range(32)]])
def test_i06_lists_that_say_nothing_or_too_much_declare_nothing(values: list[str]) -> None:
    entry = {**NAME, "dimensions": {"context": values}}
    assert read_errors({"decryption": {"lost": entry}})[0] == ()


@pytest.mark.parametrize(
    ("project", "key", "value", "purpose"),
    [("mail", "encrypted", "true", STATISTICS), ("decryption", "key_missing", "10-99", EVENTS)],
)
def test_i13_a_report_counts_under_the_type_of_its_entry_alone(
    opening: Opening, project: str, key: str, value: str, purpose: str
) -> None:
    declared = replace(opening.catalogue, domains=(DOMAIN,))
    both = replace(opening, catalogue=declared)
    for told in (STATISTICS, EVENTS):
        said = report(project=project, key=key, value=value, purpose=told)
        out = found(both, spool([sealed(said)]))
        counts = {Statistic(WEEK, f"{project}/{key}", "0.5.2", value): 1}
        assert out.counted == (counts if told == purpose else {})
        assert out.dropped == ({} if told == purpose else {Dropped(WEEK, "other-type"): 1})


@pytest.mark.parametrize(
    ("changed", "covered"),
    [
        (replace(DOMAIN, names=(*DOMAIN.names, replace(MISSING, name="key_late"))), True),
        (replace(DOMAIN, rate=0.1), True),
        (replace(DOMAIN, grace=5, late=90), True),
        (replace(DOMAIN, rate=0.3), False),
        (replace(DOMAIN, description="Something else."), False),
        (replace(DOMAIN, name="encryption"), False),
        (replace(DOMAIN, names=(replace(MISSING, dimensions=(DEVICE,)),)), False),
        (replace(DOMAIN, names=(replace(MISSING, dimensions=(VERIFIED, DEVICE)),)), True),
    ],
)
def test_i27_a_yes_to_a_domain_holds_for_more_causes_but_not_for_more_dimensions(
    changed: Domain, covered: bool
) -> None:
    assert DOMAIN.question.covers(changed.question) is covered
