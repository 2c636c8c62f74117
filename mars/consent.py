"""What may be sent: the minimum over all layers, and only the user's dated decision can raise it.

Undecided means off. Everything but the user can only lower.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from mars.errors import ConsentError
from mars.wire.variables import BASIC, NAMES

OFF, PLAIN, TRACKED = LEVELS = ("off", "plain", "tracked")
"""From least to most."""

USERS = ("user", "command line")
"""Names of the layers that can raise."""


@dataclass(frozen=True)
class Decision:
    """What the user decided, when, and which variables existed when they were asked."""

    level: str
    decided: int
    """Unix time. Nothing from before it is ever sent."""
    variables: tuple[str, ...] = BASIC
    asked: tuple[str, ...] = NAMES
    stats: bool = False
    errors: bool = False
    direct: bool = False
    """Whether the plain document may come by direct HTTPS where there is no Tor."""


@dataclass(frozen=True)
class Layer:
    """One voice in the decision. ``variables`` None means that it does not limit them."""

    name: str
    level: str
    says: str
    variables: frozenset[str] | None = None
    stats: bool = True
    errors: bool = True
    direct: bool = True


@dataclass(frozen=True)
class Effective:
    """What may be sent now, and the layer that decided the level."""

    level: str
    variables: frozenset[str]
    stats: bool
    errors: bool
    direct: bool
    by: Layer
    layers: tuple[Layer, ...]


def effective(layers: Iterable[Layer]) -> Effective:
    """The minimum. Where the user alone would have led to the same level, the user decided."""
    heard = tuple(layers)
    lowest = min(heard, key=lambda layer: (LEVELS.index(layer.level), layer.name not in USERS))
    variables = frozenset(NAMES)
    for layer in heard:
        if layer.variables is not None:
            variables &= layer.variables
    return Effective(
        level=lowest.level,
        variables=variables if lowest.level == TRACKED else frozenset(),
        stats=all(layer.stats for layer in heard),
        errors=all(layer.errors for layer in heard),
        direct=all(layer.direct for layer in heard),
        by=lowest,
        layers=heard,
    )


def user_layer(decision: Decision | None, now: int) -> Layer:
    """The only layer that can say more than ``off`` of its own."""
    if decision is None:
        return Layer(
            "user",
            OFF,
            "nobody has decided yet",
            frozenset(),
            stats=False,
            errors=False,
            direct=False,
        )
    layer = Layer(
        "user",
        decision.level,
        f"decided {decision.level}",
        frozenset(decision.variables) & frozenset(decision.asked),
        stats=decision.stats,
        errors=decision.errors,
        direct=decision.direct,
    )
    if now >= decision.decided:
        return layer
    says = "the clock stands before the date of the decision, so no metrics"
    level = min(decision.level, PLAIN, key=LEVELS.index)
    return replace(layer, level=level, says=says, variables=frozenset(), stats=False, errors=False)


def asked_layer(level: str, decision: Decision | None) -> Layer:
    """An explicit ``--level``: consent for one fetch alone, with the switches as last decided."""
    kept = BASIC if decision is None or decision.level != TRACKED else decision.variables
    return Layer(
        "command line",
        level,
        f"asked for {level} this once",
        frozenset(kept),
        stats=False,
        errors=False,
        direct=decision is not None and decision.direct,
    )


def cap(name: str, level: str, says: str = "", variables: Iterable[str] | None = None) -> Layer:
    """A layer that only lowers. Statistics and errors are metrics: they need ``tracked``.

    A level that nobody knows means off.
    """
    known = level in LEVELS
    return Layer(
        name,
        level if known else OFF,
        says or (f"at most {level}" if known else "a level nobody knows, which means off"),
        None if variables is None else frozenset(variables),
        stats=level == TRACKED,
        errors=level == TRACKED,
        direct=level in (PLAIN, TRACKED),
    )


def environment_layers(environ: Mapping[str, str], *, automatic: bool = True) -> list[Layer]:
    """``MARS_LEVEL``, ``MARS_VARIABLES``; for automatic traffic ``DO_NOT_TRACK``, ``CI`` too."""
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
    return layers


def policy_layer(table: Mapping[str, object] | None) -> Layer:
    """The system policy file's table; None is one that cannot be read, which means off.

    ``level`` is a level; ``variables`` a list of names; ``stats``, ``errors`` and ``direct`` are
    true or false. What is left out is not limited; what is not understood means off.
    """
    if table is None:
        return cap("policy", OFF, "the policy file cannot be read, which means off")
    level, names = table.get("level", TRACKED), table.get("variables")
    switches = {name: table.get(name, True) for name in ("stats", "errors", "direct")}
    if (
        not set(table) <= {"level", "variables", *switches}
        or level not in LEVELS
        or not (names is None or isinstance(names, list))
        or not all(isinstance(value, bool) for value in switches.values())
    ):
        return cap("policy", OFF, "the policy file says something unknown, which means off")
    layer = cap("policy", str(level), variables=names if names is None else map(str, names))
    return replace(
        layer,
        stats=layer.stats and switches["stats"] is True,
        errors=layer.errors and switches["errors"] is True,
        direct=layer.direct and switches["direct"] is True,
    )


def is_set(value: str) -> bool:
    """Whether a switch in the environment is on: not empty, ``0``, ``false`` or ``no``."""
    return value.strip().lower() not in ("", "0", "false", "no")


def new_variables(decision: Decision | None) -> tuple[str, ...]:
    """What has been declared since the user was asked; they are off until the user is asked."""
    if decision is None or decision.level == OFF:
        return ()
    return tuple(name for name in NAMES if name not in decision.asked)


def undeclared(variables: Collection[str]) -> tuple[str, ...]:
    """Names that nobody has declared; they are never sent."""
    return tuple(name for name in variables if name not in NAMES)


def refusal(voice: Effective) -> ConsentError:
    """Why nothing was sent, with what to do about it."""
    if voice.by.name == "user" and voice.by.level == OFF:
        hint = "choose with `mars consent grant plain` or ask once with --level plain"
    else:
        hint = "see `mars consent explain`"
    return ConsentError(
        "no-consent", f"Nothing was sent ({voice.by.name}: {voice.by.says}); {hint}."
    )
