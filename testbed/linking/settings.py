"""The population that is attacked, and the rules that are compared."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial

from mars.testing.memory import START
from mars.wire import crowd
from mars.wire.variables import BASIC, OPTIONAL, chosen
from testbed.linking.traffic import Rule
from testbed.population import Plan, Shares

WEEKS = 26
TRACKED = 0.6
"""Share of installations that send metrics."""
RELEASE_EVERY = 45
"""Days between two releases."""
ADOPTION = 10.0
"""Mean days that an installation takes to update, each its own: 78 % have the newest release."""
SLOW_ADOPTION = 25.0
"""The same where 54 % have it."""


def zipf(count: int, power: float) -> Shares:
    """``count`` values, the n-th as frequent as n to the minus ``power``."""
    return {f"{rank:03d}": rank**-power for rank in range(1, count + 1)}


OPTIONAL_SHARES = {"lang": zipf(40, 1.3), "py": zipf(5, 1.0), "cc": zipf(120, 1.1)}


def plan(size: int, *, adoption: float = ADOPTION, weeks: int = WEEKS) -> Plan:
    """``size`` installations of one level for so many weeks, each optional agreed to by half."""
    first, count = -20, weeks * 7 // RELEASE_EVERY + 1
    releases = [(20.0 + RELEASE_EVERY * n, f"0.{n - first}") for n in range(first, count)]
    return Plan(
        START,
        weeks * 7,
        size=size,
        tracked=1.0,
        releases=releases,
        update_lag_days=adoption,
        optional=OPTIONAL_SHARES,
    )


def tracked(installations: int) -> int:
    """How many of them send metrics."""
    return int(TRACKED * installations + 1e-9)


def client(size: int) -> Rule:
    """The client's own rule where ``size`` installations send metrics."""
    return partial(_chosen, crowd.effective(size, 0, 0))


def _chosen(
    among: int, found: Mapping[str, str], consented: Collection[str], pick: float
) -> Mapping[str, str]:
    return chosen(found, consented, pick, among)


def plain(_found: Mapping[str, str], _consented: Collection[str], _pick: float) -> dict[str, str]:
    """Says nothing, so that time alone links."""
    return {}


def one_optional(
    found: Mapping[str, str], consented: Collection[str], pick: float
) -> dict[str, str]:
    """Version, system, age and one of what else was agreed to: too much, and the measure of the
    attacker's strength."""
    names = [name for name in BASIC if name in consented and name in found]
    others = [name for name in OPTIONAL if name in consented and name in found]
    if others:
        names.append(others[min(int(pick * len(others)), len(others) - 1)])
    return {name: found[name] for name in names}
