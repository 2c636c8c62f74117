"""Writes the client's part of docs/privacy.md from the code; ``--check`` only compares.

Run ``python tests/mars/generate.py`` after changing a variable or the request.
"""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

from mars.cli.consent import LEFT_OUT
from mars.wire.crowd import CROWDS, MANY, VALID
from mars.wire.request import request_bytes
from mars.wire.times import DAY
from mars.wire.variables import VARIABLES, rule

PAGE = Path(__file__).parents[2] / "docs" / "privacy.md"
BEGIN = "<!-- client: made by tests/mars/generate.py, do not edit -->"
END = "<!-- client: end -->"
ONION = "<56 characters>.onion"


def privacy() -> str:
    """The client's part of docs/privacy.md."""
    plain = request_bytes("onion", "").decode("ascii").replace("onion", ONION, 1)
    tracked = plain.replace(" HTTP", "?v=0.5.2&os=linux HTTP", 1)
    lines = [
        BEGIN,
        "",
        "### The whole request at level `plain`",
        "",
        *_block(plain),
        "### At level `tracked` one line differs",
        "",
        *_block(tracked.splitlines()[0]),
        "### Every variable that can ever be sent",
        "",
        "| variable | what it says | values | why | consent |",
        "|---|---|---|---|---|",
    ]
    for variable in VARIABLES:
        consent = (
            "asked for on its own"
            if variable.optional
            else "with `tracked`; can be switched off alone"
        )
        lines.append(
            f"| `{variable.name}` {variable.label} | {variable.description} | {variable.values} "
            f"| {variable.reason} | {consent} |"
        )
    return "\n".join([*lines, "", *_crowds(), END])


def _crowds() -> list[str]:
    """How much of it one request says."""
    lines = [
        "### How much of that one request says",
        "",
        "| `crowd` in the trust file | a tracked request |",
        "|---|---|",
    ]
    for crowd, after in pairwise((*CROWDS, 0)):
        reach = f"{crowd:,} to {after - 1:,}" if after else f"{crowd:,} and more"
        name = reach if crowd else f"absent, older than {VALID // DAY} days, below {after}"
        lines.append(f"| {name} | {rule(crowd)} |")
    folded = [
        f"below {MANY:,} `{one.name}` is only "
        + " or ".join(f"`{value}` ({name})" for value, name in one.folded_names.items())
        for one in VARIABLES
        if one.folded
    ]
    return [*lines, "", f"{'; '.join(folded).capitalize()}. {LEFT_OUT}", ""]


def _block(text: str) -> list[str]:
    return ["```", text.replace("\r\n", "\n").rstrip(), "```", ""]


def page() -> str:
    """docs/privacy.md as it must be."""
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    return before + privacy() + rest.partition(END)[2]


def main(arguments: list[str]) -> int:
    fresh = page()
    if PAGE.read_text("utf-8") == fresh:
        return 0
    if "--check" in arguments:
        print(f"{PAGE.name} is not what the code says; run {Path(__file__).name}")
        return 1
    PAGE.write_text(fresh, "utf-8")
    print(f"wrote {PAGE.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
