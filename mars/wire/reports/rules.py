"""Rules that claim faults: whole words with ``and``, ``or``, ``not`` and parentheses. Pure.

::

    rule = term *("or" term)
    term = part *("and" part)
    part = *"not" (word / "(" rule ")")

A word is anything without white space and parentheses that is none of the three; it holds of a
fault that has it among its ``words``, compared whole and with its capitals.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from mars.errors import WireError

MAX_RULE = 2_000
"""Characters."""
MAX_DEPTH = 16
"""Parentheses inside one another."""
_AND, _OR, _NOT, _OPEN, _CLOSE = _MARKS = ("and", "or", "not", "(", ")")
_TOKEN = re.compile(r"[()]|[^\s()]+")
_Node = str | tuple[str, tuple["_Node", ...]]
"""A word, or an operator and what it joins."""


@dataclass(frozen=True)
class Rule:
    """Made by ``parse``; equal where the texts are."""

    text: str
    _node: _Node = field(repr=False, compare=False)

    @classmethod
    def parse(cls, text: str) -> Rule:
        """Raises ``WireError`` (``rule-invalid``), which says where."""
        if len(text) > MAX_RULE:
            raise _invalid(f"it has more than {MAX_RULE} characters")
        parser = _Parser(_TOKEN.findall(text))
        node = parser.joined(_OR, 0)
        if parser.left:
            raise _invalid(f"its word {parser.at + 1} should be and, or, or the end")
        return cls(text, node)

    def claims(self, words: Collection[str]) -> bool:
        """Whether it holds of a fault with these ``words`` (``Fault.words``)."""
        return _holds(self._node, words)

    @property
    def words(self) -> frozenset[str]:
        """All that it names."""
        return frozenset(_words(self._node))


class _Parser:
    def __init__(self, left: list[str]) -> None:
        self.left = left[::-1]
        self.at = 0
        """Words that were taken."""

    def joined(self, operator: str, depth: int) -> _Node:
        """A rule, or a term."""
        parts = [self._part(operator, depth)]
        while self._next() == operator:
            self._take()
            parts.append(self._part(operator, depth))
        return parts[0] if len(parts) == 1 else (operator, tuple(parts))

    def _part(self, of: str, depth: int) -> _Node:
        if of == _OR:
            return self.joined(_AND, depth)
        negated = False
        while self._next() == _NOT:
            self._take()
            negated = not negated
        node = self._operand(depth)
        return (_NOT, (node,)) if negated else node

    def _operand(self, depth: int) -> _Node:
        if self._next() != _OPEN:
            if self._next() in (*_MARKS, ""):
                raise _invalid(f"its word {self.at + 1} should be one to look for")
            return self._take()
        if depth == MAX_DEPTH:
            raise _invalid(f"parentheses stand more than {MAX_DEPTH} deep")
        self._take()
        node = self.joined(_OR, depth + 1)
        if self._next() != _CLOSE:
            raise _invalid(f"its word {self.at + 1} should be and, or, or a closing parenthesis")
        self._take()
        return node

    def _next(self) -> str:
        return self.left[-1] if self.left else ""

    def _take(self) -> str:
        self.at += 1
        return self.left.pop()


def _holds(node: _Node, words: Collection[str]) -> bool:
    if isinstance(node, str):
        return node in words
    operator, parts = node
    if operator == _NOT:
        return not _holds(parts[0], words)
    return (all if operator == _AND else any)(_holds(each, words) for each in parts)


def _words(node: _Node) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    else:
        for each in node[1]:
            yield from _words(each)


def _invalid(what: str) -> WireError:
    return WireError("rule-invalid", f"The rule is not words with and, or, not: {what}.")
