"""What failed here this week by cause, what would be told of it, and a switch for each domain."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from examples.desktop.switches import Row, Switches
from mars.wire.events import BELOW_1, BELOW_10, FAILED_SHARE, FEW, MIN_TRIES, MORE

MEANS = {
    FEW: f"few (fewer than {MIN_TRIES} tries)",
    BELOW_1: "below 1 %",
    BELOW_10: "below 10 %",
    MORE: "10 % or more",
}
"""The share that failed, for people."""


class Failures(Switches):
    """A group for each domain, which is agreed to as a whole."""

    LOCAL = "Count failures and show them here. Nothing is sent by this."

    def is_shown(self) -> bool:
        return bool(self.mars.status()["streams"]["mode"] != "off")

    def rows(self) -> list[Row]:
        return [
            Row(
                group=str(domain["domain"]),
                name=domain["name"],
                label=domain["description"] or domain["domain"],
                agreed=bool(domain["agreed"]),
                may_switch=domain["agreed"] or domain["state"] == "collected",
                lines=list(lines(domain)),
            )
            for domain in self.mars.failures_seen()
        ]


def lines(domain: dict[str, Any]) -> Iterator[str]:
    """What stands below its switch: each cause, then what is told of them all."""
    if domain["changed"]:
        yield "It asks something else, or more, than you agreed to, so it is off."
    if domain["state"] != "collected":
        yield "It is not collected any more."
    elif domain["agreed"] and not domain["on"]:
        yield "You agreed to it, and a setting of this computer holds it back."
    if domain["counted"] is None:
        yield "Nothing is counted."
        return
    entries = {one["name"]: one for one in domain["entries"]}
    for name in domain["names"]:
        told = entries.pop(f"{domain['domain']}/{name['name']}")
        expected = " It is no fault." if name["expected"] else ""
        yield f"{name['description']}{expected}"
        yield f"    {name['week']} in the last seven days, {name['today']} today. {_told(told)}"
    worked = domain["succeeded"]
    yield f"It worked {worked['week']} times in the last seven days, {worked['today']} today."
    for told in entries.values():
        yield f"{told['label']}. {_told(told)}"


def _told(entry: dict[str, Any]) -> str:
    value, last = entry["said"] or entry["value"], entry["last"]
    means = MEANS.get(value, value) if entry["name"].endswith(f"/{FAILED_SHARE}") else value
    would = f"Would be told: {means}." if value else "Nothing to tell before seven days."
    went = f" Last told: {last['value']}, on {last['time'][:10]}." if last else " Never told."
    return would + went
