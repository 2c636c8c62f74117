"""Questions and answers as one picture, to be sent or hung up."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Final

from mars_server.site.charts.render import Chart

_LETTERS: Final = 112
"""Of a line of an answer that fit beside each other."""
_TITLE: Final = 26
_TEXT: Final = 14
_LINE: Final = 19
_GAP: Final = 11
_INK: Final = "#23313a"
_SOFT: Final = "#4a5861"


def brief_chart(title: str, under: str, answers: Sequence[tuple[str, str]]) -> Chart:
    """A ``title`` with the line ``under`` it, then each question and its answer."""
    lines: list[dict[str, object]] = []
    y = 0

    def put(
        text: str, down: int, size: int = _TEXT, colour: str = _INK, bold: bool = False
    ) -> None:
        nonlocal y
        y += down
        lines.append({"x": 0, "y": y, "text": text, "size": size, "colour": colour, "bold": bold})

    put(title, _TITLE, _TITLE, bold=True)
    put(under, _LINE + _GAP // 2, colour=_SOFT)
    for question, answer in answers:
        put(question, _LINE + _GAP, bold=True)
        for part in textwrap.wrap(answer, _LETTERS):
            put(part, _LINE)
    return Chart("brief", {"lines": lines}, height=y)
