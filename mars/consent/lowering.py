"""What an administrator's policy file and the environment say: they can only lower. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from mars.consent import BY_LEVEL, LEVELS, OFF, REPORTS, SWITCHES, TRACKED, Layer, cap
from mars.consent.purposes import ALWAYS, MODES, NEVER

if TYPE_CHECKING:
    from mars.ports import Platform


def lowering(host: Platform, *, automatic: bool) -> list[Layer]:
    """The administrator's layer, if any, and the environment's. Whose the policy is is not asked:
    they can only lower."""
    layers = environment_layers(host.environ, automatic=automatic)
    try:
        table = policy_table(host)
        policies = [] if table is None else [policy_layer(table)]
    except (OSError, ValueError):
        policies = [policy_layer(None)]
    return [*policies, *layers]


def policy_table(host: Platform) -> Mapping[str, object] | None:
    """What the policy file says; None where there is none.

    Raises ``OSError`` and ``ValueError`` where it cannot be read.
    """
    data = host.policy()
    if data is None:
        return None
    import tomllib  # late: hardly any machine has such a file

    return tomllib.loads(data.decode("utf-8-sig"))


def environment_layers(environ: Mapping[str, str], *, automatic: bool = True) -> list[Layer]:
    """``MARS_LEVEL``, ``MARS_VARIABLES``, ``MARS_REPORTS``; for automatic traffic ``DO_NOT_TRACK``,
    ``CI`` too."""
    layers = []
    if automatic:
        layers += [
            cap(name, OFF, f"{name} is set: no automatic traffic at all")
            for name in ("DO_NOT_TRACK", "CI")
            if is_set(environ.get(name, ""))
        ]
    level = environ.get("MARS_LEVEL", "")
    names = environ.get("MARS_VARIABLES")
    if level or names is not None:
        listed = None if names is None else names.replace(",", " ").split()
        layers.append(
            cap("MARS_LEVEL" if level else "MARS_VARIABLES", level or TRACKED, variables=listed)
        )
    if mode := environ.get("MARS_REPORTS", ""):
        known = mode if mode in MODES else NEVER
        says = f"error reports: {known}" if known == mode else "a mode nobody knows: never"
        layers.append(_lowered(cap("MARS_REPORTS", TRACKED, says), known))
    return layers


def _lowered(layer: Layer, mode: str) -> Layer:
    """With error reports in at most this ``mode``."""
    refused = layer.refused | ({REPORTS.name} if mode == NEVER else set())
    return replace(layer, refused=refused, always=mode == ALWAYS)


def policy_layer(table: Mapping[str, object] | None) -> Layer:
    """The system policy file's table; None is one that cannot be read, which means off.

    ``level`` is a level; ``variables`` a list of names, ``refused`` one of purposes beyond the
    level; ``stats``, ``events``, ``errors`` and ``direct`` are true or false; ``reports`` is
    ``never``, ``ask`` or ``always``; the table ``statistics`` has less said of single entries
    (``mars.channels.altering``). What is left out is not limited; what is not understood means off.
    """
    if table is None:
        return cap("policy", OFF, "the policy file cannot be read, which means off")
    level, names = table.get("level", TRACKED), table.get("variables")
    mode = table.get("reports", ALWAYS)
    flags = {name: table.get(name, True) for name in (*SWITCHES, "direct")}
    listed = table.get("refused", [])
    if (
        not set(table) <= {"level", "variables", "refused", "reports", "statistics", *flags}
        or mode not in MODES
        or not isinstance(table.get("statistics", {}), dict)
        or level not in LEVELS
        or not (names is None or isinstance(names, list))
        or not all(isinstance(flag, bool) for flag in flags.values())
        or not isinstance(listed, list)
        or not all(isinstance(name, str) and name not in BY_LEVEL for name in listed)
    ):
        return cap("policy", OFF, "the policy file says something unknown, which means off")
    layer = cap("policy", str(level), variables=names if names is None else map(str, names))
    switched = [one.name for switch, one in SWITCHES.items() if not flags[switch]]
    refused = frozenset([*switched, *listed])
    layer = replace(layer, refused=refused, direct=layer.direct and flags["direct"] is True)
    return _lowered(layer, str(mode))


def is_set(value: str) -> bool:
    """Whether a switch in the environment is on: not empty, ``0``, ``false`` or ``no``."""
    return value.strip().lower() not in ("", "0", "false", "no")
