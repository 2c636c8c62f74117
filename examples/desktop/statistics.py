"""The declared statistics: a switch for each, what it says now, and what went."""

from __future__ import annotations

from typing import Any

from examples.desktop.switches import Row, Switches


class Statistics(Switches):
    """A group for each project."""

    LOCAL = "Collect the values and show them here. Nothing is sent by this."

    def is_shown(self) -> bool:
        return self.mars.statistics.mode != "off"

    def rows(self) -> list[Row]:
        is_shown = self.is_shown()
        return [
            Row(
                group=str(entry["project"]),
                name=entry["name"],
                label=entry["label"],
                agreed=bool(entry["agreed"]),
                # A yes can be taken back at any time.
                may_switch=entry["agreed"] or (is_shown and entry["state"] == "collected"),
                lines=lines(entry),
            )
            for entry in sorted(self.mars.statistics.entries(), key=lambda one: str(one["project"]))
        ]


def lines(entry: dict[str, Any]) -> list[str]:
    """What stands below its switch."""
    said = [f"{entry['description']} {entry['reason']}"]
    if entry["changed"]:
        said.append("It asks something else, or more, than you agreed to, so it is off.")
    if entry["state"] != "collected":
        return [*said, f"Not collected any more ({entry['state']})."]
    if entry["agreed"] and not entry["on"]:
        said.append("You agreed to it, and a setting of this computer holds it back.")
    if entry["value"] is not None:
        said.append(f"Now: {entry['value']}. Would be sent: {entry['said']}. {entry['randomized']}")
    if entry["problem"] is not None:
        said.append(f"No value: {entry['problem']['message']}")
    last = entry["last"]
    went = f"Last sent: {last['value']}, on {last['time'][:10]}." if last else "Never sent."
    return [*said, went]
