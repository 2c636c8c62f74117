"""Rules: whole words with and, or, not, read strictly and the same as Python would."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mars.errors import WireError
from mars.wire.reports.fault import Fault
from mars.wire.reports.rules import MAX_DEPTH, MAX_RULE, Rule

WORDS = ("a", "b", "c")


@pytest.mark.parametrize(
    ("text", "claims"),
    [
        ("app.store:load", True),
        ("FileNotFoundError[ENOENT]", True),
        ("FileNotFoundError", True),
        ("app.store:loa", False),
        ("store:load", False),
        ("APP.STORE:LOAD", False),
        ("load", False),
        ("app.store:load and KeyError", False),
        ("app.store:load or KeyError", True),
        ("not KeyError", True),
        ("not not KeyError", False),
        ("not (KeyError or app.store:load)", False),
        ("KeyError and KeyError or app.store:load", True),
        ("app.store:load or KeyError and KeyError", True),
        ("(app.store:load or KeyError) and KeyError", False),
        ("not KeyError and app.store:load", True),
        ("\tapp.store:load\n  and(not(KeyError))", True),
        ("app.ui:<lambda>", True),
        ("And", False),
    ],
)
def test_a_rule_claims_by_whole_words(text: str, claims: bool) -> None:
    fault = Fault.bounded(
        ["FileNotFoundError[ENOENT]"], ["app.ui:f.<lambda>", "app.store:C.load+1"]
    )
    assert Rule.parse(text).claims(fault.words) is claims


def test_a_rule_tells_all_words_that_it_names() -> None:
    assert Rule.parse("a and (b or not c)").words == {"a", "b", "c"}


def test_a_rule_may_name_one_fault_by_its_digest() -> None:
    fault, other = Fault(("E",)), Fault(("F",))
    rule = Rule.parse(f"#{fault.digest}")
    assert rule.claims(fault.words) and not rule.claims(other.words)


DEEP = "(" * MAX_DEPTH + "a" + ")" * MAX_DEPTH


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", "word 1 should be one to look for"),
        ("and", "word 1 should be one to look for"),
        ("a and", "word 3 should be one to look for"),
        ("a or or b", "word 3 should be one to look for"),
        ("not", "word 2 should be one to look for"),
        ("a not b", "word 2 should be and, or, or the end"),
        ("a b", "word 2 should be and, or, or the end"),
        ("a)", "word 2 should be and, or, or the end"),
        ("(a", "word 3 should be and, or, or a closing parenthesis"),
        ("(a b)", "word 3 should be and, or, or a closing parenthesis"),
        ("()", "word 2 should be one to look for"),
        ("(" + DEEP + ")", "more than 16 deep"),
        ("(" * MAX_RULE, "more than 16 deep"),
        ("a" * (MAX_RULE + 1), "more than 2000 characters"),
    ],
)
def test_what_is_no_rule_is_told_by_its_place(text: str, where: str) -> None:
    with pytest.raises(WireError) as caught:
        Rule.parse(text)
    assert caught.value.reason == "rule-invalid" and where in caught.value.message


def test_the_longest_rules_are_read() -> None:
    assert Rule.parse(DEEP).claims({"a"})
    assert Rule.parse("not " * 499 + "a").claims(()) is True
    assert Rule.parse(" or ".join(["a"] * 400)).claims({"a"})


RULES = st.recursive(
    st.sampled_from(WORDS),
    lambda inner: (
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda it: f"({' '.join(it)})")
        | inner.map(lambda it: f"not {it}")
        | st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(" ".join)
    ),
    max_leaves=12,
)


@given(RULES, st.sets(st.sampled_from(WORDS)))
def test_it_means_what_python_means_by_it(text: str, words: set[str]) -> None:
    rule = Rule.parse(text)
    assert rule.claims(words) is eval(text, {}, {each: each in words for each in WORDS})
    assert rule.words == {each for each in WORDS if each in text.replace("and", "")}
    assert rule == Rule.parse(text) and rule.text == text


@given(st.text(st.sampled_from("ab()  andornt"), max_size=40))
def test_any_text_is_a_rule_or_an_error(text: str) -> None:
    try:
        rule = Rule.parse(text)
    except WireError as error:
        assert error.reason == "rule-invalid"
    else:
        assert rule.words and isinstance(rule.claims({"a"}), bool)
