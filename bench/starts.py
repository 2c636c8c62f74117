"""What a fetch tells of a start: machines in use by four patterns, for a year each.

The figures stand in docs/adr/0014.
"""

from __future__ import annotations

import sys

from testbed.machine import Shares, live

MACHINES = {"always": 20, "office": 200, "short": 300, "brief": 60}
"""How many of each are simulated."""


def main() -> int:
    print("Share of fetches within 5 minutes of a start, and of running time (the fair share):")
    print(f"{'sessions':10}{'ended':10}{'fetches':>9}{'running time':>14}{'mean gap, days':>16}")
    for pattern, machines in MACHINES.items():
        for killed in (False, True):
            shares = Shares.of(
                [live(seed, 365, pattern, killed=killed) for seed in range(machines)]
            )
            ended = "killed" if killed else "in order"
            print(f"{pattern:10}{ended:10}{shares.seen:9.1%}{shares.fair:14.1%}{shares.gap:16.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
