"""Who may have a statistic say less: vetoes and coarser values, and never anything new."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from mars.channels.altering import NOTHING, Rules
from mars.wire.registry import Metric


def metric(kind: str, **more: Any) -> Metric:
    return Metric(
        key="docs",
        project="app",
        label="x",
        description="x",
        reason="x",
        owner="x",
        review="x",
        sensitivity="technical",
        expires=date(2028, 1, 1),
        type=kind,
        **more,
    )


DOCS = metric("bucket", bounds=(1, 10, 100))
PROTOCOL = metric("enum", values=("imap", "pop3", "other"))


@pytest.mark.parametrize("pattern", ["app/docs", "app/*", "*"])
def test_a_veto_names_an_entry_a_project_or_all(pattern: str) -> None:
    assert Rules(veto=(pattern,)).applied(DOCS, "0") is None
    assert Rules(veto=("app/doc", "ap/*", "docs")).applied(DOCS, "0") == "0"


@pytest.mark.parametrize(
    ("value", "coarser"), [("0", "0"), ("1-9", "0"), ("10-99", "10-99"), ("100+", "10-99")]
)
def test_a_wider_bucket_is_said_by_the_first_declared_one_in_it(value: str, coarser: str) -> None:
    assert Rules(coarsen={"app/docs": (10,)}).applied(DOCS, value) == coarser


def test_one_declared_value_may_be_said_whatever_is_true() -> None:
    rules = Rules(coarsen={"app/docs": "other"})
    assert rules.applied(PROTOCOL, "imap") == "other"


@pytest.mark.parametrize("rule", ["smtp", "", (1,), (7,), ()])
def test_what_is_not_declared_is_never_said(rule: str | tuple[int, ...]) -> None:
    rules = Rules(coarsen={"app/docs": rule})
    assert rules.applied(PROTOCOL, "imap") is None
    assert rules.vetoes(PROTOCOL), "which is told as a veto"
    if rule == (7,):
        assert rules.applied(DOCS, "0") is None
        assert rules.vetoes(DOCS)
    assert not Rules(coarsen={"app/docs": (10,)}).vetoes(DOCS)


@pytest.mark.parametrize(
    "table",
    [
        None,
        [],
        {"vetoes": []},
        {"veto": "app/docs"},
        {"veto": [1]},
        {"coarsen": ["app/docs"]},
        {"coarsen": {"app/docs": 3}},
        {"coarsen": {"app/docs": [True]}},
        {"coarsen": {"app/docs": [1.0]}},
    ],
)
def test_what_is_not_understood_vetoes_all(table: object) -> None:
    assert Rules.read(table) == NOTHING
    assert NOTHING.applied(DOCS, "0") is None


def test_a_table_as_the_policy_file_has_it() -> None:
    said = {"veto": ["app/other"], "coarsen": {"app/docs": [10], "app/x": "true"}}
    assert Rules.read(said) == Rules(("app/other",), {"app/docs": (10,), "app/x": "true"})
    assert Rules.read({}) == Rules()
