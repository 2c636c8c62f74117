"""Every reason comes with a sentence that says what to do next."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import mars
from mars.core.journal import REFUSED, sentence
from mars.errors import MarsError, TransportError, TrustError, WireError
from mars.trust.state import RefusedError, TrustState
from mars.wire import socks5

SOURCE = Path(mars.__file__).parent
RAISED = frozenset({"TransportError", "ConfigError", "StateError", "ConsentError"})
ACTION = re.compile(
    r"(?:^|[;:,.?] |/|\b(?:and|or|then) )(?:ask|check|choose|come|copy|correct|do not|end|give|"
    r"have|install|leave|make|mend|name|read|remove|report|see|send|set|start|take|tell|try|use|"
    r"wait|write)\b",
    re.IGNORECASE,
)
"""An imperative at the beginning of a clause."""
PUT_TOGETHER = {
    *("tor-bootstrap", "no-consent", "product-invalid", "state-unreadable", "state-unwritable"),
    "unknown-application",
}
"""Their advice, or what an entry must be, is filled in; a test of their own shows it."""
NOTHING_TO_DO = {
    "timeout": "the next attempt comes by itself, and the sentence says so",
    "withdrawn": "the user's own wish, fulfilled",
    "undeclared": "tells a developer which names the registry does not hold",
    "wrong-call": "tells a developer what Python said of the call",
    "no-network": "the guard of commands that only look; no way leads there",
}


def _words(node: ast.expr) -> str:
    """The constant text of a message; what is filled in counts as ``…``."""
    if isinstance(node, ast.JoinedStr):
        return "".join(_words(part) for part in node.values)
    return str(node.value) if isinstance(node, ast.Constant) else "…"


def _raised() -> Iterator[tuple[str, str, str]]:
    """File, reason and message of each error that is not about a document's content."""
    for path in sorted(SOURCE.rglob("*.py")):
        if path.is_relative_to(SOURCE / "testing"):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
                continue
            if node.func.id in RAISED and isinstance(node.args[0], ast.Constant):
                yield path.name, str(node.args[0].value), _words(node.args[1])


def test_every_error_of_the_client_names_a_next_step() -> None:
    found = list(_raised())
    assert len(found) > 40, "the walk finds the places where errors are made"
    silent = [
        (file, reason, message)
        for file, reason, message in found
        if reason not in {*NOTHING_TO_DO, *PUT_TOGETHER} and ACTION.search(message) is None
    ]
    assert silent == []
    assert set(NOTHING_TO_DO) <= {reason for _, reason, _ in found}, "an exemption too many"


@pytest.mark.parametrize("code", [*range(1, 9), *range(0xF0, 0xF8), 0x99])
@pytest.mark.parametrize("host", ["a.onion", "news.example"])
def test_every_answer_of_tor_names_a_next_step(code: int, host: str) -> None:
    assert ACTION.search(socks5.failure(code, host).message) is not None


@pytest.mark.parametrize(
    "error",
    [
        WireError("not-json", "The document is not JSON."),
        TrustError("rollback", "The document is older."),
        RefusedError("expired", "The document has expired.", TrustState.initial()),
    ],
)
def test_of_a_refused_document_a_user_hears_whom_to_tell(error: MarsError) -> None:
    assert sentence(error) == f"{error.message} {REFUSED}"
    assert ACTION.search(REFUSED) is not None


def test_other_errors_are_said_as_they_are() -> None:
    assert sentence(TransportError("tor-missing", "Install it.")) == "Install it."
