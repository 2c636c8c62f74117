"""What may be sent: a yes to each purpose, and of all layers the least holds. Pure.

Undecided means off, and ``off`` is off for every purpose. Only the user's dated decision can
raise; everything else can only lower.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from mars.consent.entries import (
    covered,
    decided_entries,
    of_purposes,
    outgrown,
    purpose_of,
    refused_all,
    switched,
)
from mars.consent.purposes import (
    ALWAYS,
    BUILT_IN,
    BY_LEVEL,
    DELETIONS,
    EVENTS,
    LEVELS,
    METRICS,
    NEVER,
    NEWS,
    OFF,
    PLAIN,
    REPORTS,
    STATISTICS,
    SWITCHES,
    TRACKED,
    Purpose,
    mode_of,
    require_level,
    require_mode,
)
from mars.errors import ConfigError, ConsentError
from mars.wire.registry import Question
from mars.wire.variables import BASIC, NAMES

__all__ = [
    "BUILT_IN",
    "BY_LEVEL",
    "DELETIONS",
    "EVENTS",
    "LEVELS",
    "METRICS",
    "NEWS",
    "OFF",
    "PLAIN",
    "REPORTS",
    "STATISTICS",
    "SWITCHES",
    "TRACKED",
    "Choice",
    "Decision",
    "Effective",
    "Layer",
    "Purpose",
    "asked_layer",
    "cap",
    "decided",
    "effective",
    "new_entries",
    "new_variables",
    "refusal",
    "require_level",
    "user_layer",
]


@dataclass(frozen=True)
class Decision:
    """What the user decided, when, and which variables existed when they were asked."""

    decided: int
    """Unix time."""
    purposes: Mapping[str, int] = field(default_factory=dict)
    """What they said yes to, each since when (Unix time); nothing from before it is ever sent."""
    variables: tuple[str, ...] = BASIC
    asked: tuple[str, ...] = NAMES
    direct: bool = False
    """Whether the plain document may come by direct HTTPS where there is no Tor."""
    always: bool = False
    """Whether error reports go without being released one by one."""
    entries: Mapping[str, int] = field(default_factory=dict)
    """What is declared and they said yes to, each since when: statistics (``project/key``), and
    domains of failures (``domain/*``)."""
    declined: tuple[str, ...] = ()
    """Those that they were shown and said no to."""
    questions: Mapping[str, Question] = field(default_factory=dict)
    """What each of ``entries`` asked then. A yes of which that is not known holds for nothing."""

    @classmethod
    def of(
        cls, level: str, decided: int, further: Mapping[str, int] | None = None, **more: Any
    ) -> Self:
        """A yes to what ``level`` means and to ``further`` purposes; of ``off``, to nothing."""
        agreed = dict.fromkeys(BY_LEVEL[: LEVELS.index(level)], decided)
        others = {name: at for name, at in (further or {}).items() if name not in BY_LEVEL}
        if not agreed:
            others, more = {}, {**more, "direct": False}
        more["always"] = more.get("always", False) and REPORTS.name in others
        made = cls(decided, {**agreed, **others}, **more)
        return replace(made, **of_purposes(made, others))

    @property
    def level(self) -> str:
        """``off``, ``plain`` or ``tracked``."""
        return LEVELS[sum(name in self.purposes for name in BY_LEVEL)]


@dataclass(frozen=True)
class Choice:
    """What a user chooses at one moment. What is None stays as it was decided before."""

    level: str | None
    """None of an answer to single ``entries`` alone: all else stays, dates too."""
    variables: Collection[str] | None = None
    stats: bool | None = None
    events: bool | None = None
    errors: bool | None = None
    reports: str | None = None
    """One of ``MODES``. ``errors`` alone is a yes to the least of them that is one, or to that
    which was chosen before."""
    direct: bool | None = None
    country: str | None = None
    purposes: Collection[str] | None = None
    entries: Collection[str] | None = None
    """Declared statistics and domains, or a switch for each; those that are not named stay as they
    were."""

    @property
    def of_entries(self) -> bool:
        """Whether it takes what is declared to know what it means."""
        wanted = self.wanted()
        return self.entries is not None or any(wanted.get(one.name) for one in (STATISTICS, EVENTS))

    def meaning(self, declared: Collection[str]) -> Choice:
        """A yes to statistics or to events of which nothing more is said is one to all that are
        declared now, and none is one to what is declared later."""
        if self.entries is None:
            wanted = self.wanted()
            meant = tuple(name for name in declared if wanted.get(purpose_of(name).name))
            return replace(self, entries=meant) if self.of_entries else self
        switches = switched(self.entries).items()
        return replace(self, entries={n: on for n, on in switches if not on or n in declared})

    def wanted(self) -> dict[str, bool]:
        """Whether each purpose beyond the level is chosen; what was not said is not in it. A yes to
        one of the entries is one to its purpose.

        Of a yes and a no to one the no holds. Raises ``ConfigError`` (``purpose-of-level``).
        """
        given = {name: getattr(self, name) for name in SWITCHES}
        named = {SWITCHES[name].name: on for name, on in given.items() if on is not None}
        if self.reports is not None:
            asked = self.reports != NEVER
            named[REPORTS.name] = asked and named.get(REPORTS.name, True)
        for name in (name for name, on in switched(self.entries).items() if on):
            named.setdefault(purpose_of(name).name, True)
        listed = switched(self.purposes)
        if not listed.keys().isdisjoint(BY_LEVEL):
            raise ConfigError(
                "purpose-of-level",
                "The level alone decides of news and metrics; leave them out of purposes.",
            )
        return {name: named.get(name, True) and listed.get(name, True) for name in named | listed}


USERS = ("user", "command line")
"""Names of the layers that can raise."""


@dataclass(frozen=True)
class Layer:
    """One voice in the decision. None means that it does not limit."""

    name: str
    level: str
    says: str
    variables: frozenset[str] | None = None
    agreed: frozenset[str] | None = None
    """The purposes that it says yes to, where that is not what its level leaves."""
    refused: frozenset[str] = frozenset()
    """Purposes that it says no to whatever its level."""
    direct: bool = True
    always: bool = True
    """Whether error reports may go without being released one by one."""
    entries: Mapping[str, int] = field(default_factory=dict)
    """What is declared and the user said yes to, each since when."""
    questions: Mapping[str, Question] = field(default_factory=dict)
    """What each of them asked then."""

    @property
    def reports(self) -> str:
        """What becomes of error reports, one of ``MODES``."""
        return mode_of(self.allows(REPORTS), self.always)

    def allows(self, purpose: Purpose) -> bool:
        if purpose.by_act and self.name in USERS:
            return True
        if self.level == OFF or purpose.name in self.refused:
            return False
        if self.agreed is not None:
            return purpose.name in self.agreed
        return LEVELS.index(purpose.least) <= LEVELS.index(self.level)


@dataclass(frozen=True)
class Effective:
    """What may be sent now, and the layer that decided the level."""

    level: str
    purposes: frozenset[str]
    variables: frozenset[str]
    direct: bool
    by: Layer
    layers: tuple[Layer, ...]

    @property
    def entries(self) -> Mapping[str, int]:
        """What is declared and the user said yes to, each since when, whatever it asks now; the
        least of the layers holds for its purpose."""
        said = {name: at for layer in self.layers for name, at in layer.entries.items()}
        return {name: at for name, at in said.items() if self.allows(purpose_of(name))}

    @property
    def reports(self) -> str:
        """What becomes of error reports, one of ``MODES``."""
        return mode_of(self.allows(REPORTS), all(layer.always for layer in self.layers))

    def agreed(self, declared: Mapping[str, Question]) -> dict[str, int]:
        """Of what is ``declared`` now all that may be sent, each since when: the user said yes to
        that very question, or to a larger one."""
        asked = {name: one for layer in self.layers for name, one in layer.questions.items()}
        return covered(self.entries, asked, declared)

    def allows(self, purpose: Purpose) -> bool:
        """Whether every layer does, be it offered here or not."""
        return all(layer.allows(purpose) for layer in self.layers)

    def is_beyond(self, level: str, purposes: Iterable[Purpose]) -> bool:
        """Whether it allows any of ``purposes`` that ``level`` is no yes to."""
        meant = BY_LEVEL[: LEVELS.index(level)]
        return any(self.allows(one) and one.name not in meant for one in purposes)


def effective(layers: Iterable[Layer], offered: Iterable[Purpose] = (NEWS, METRICS)) -> Effective:
    """The minimum, for each purpose that is ``offered``.

    Where the user alone would have led to the same level, the user decided.
    """
    heard = tuple(layers)
    lowest = min(heard, key=lambda layer: (LEVELS.index(layer.level), layer.name not in USERS))
    limits = [layer.variables for layer in heard if layer.variables is not None]
    return Effective(
        level=lowest.level,
        purposes=frozenset(one.name for one in offered if all(of.allows(one) for of in heard)),
        variables=frozenset(NAMES if lowest.level == TRACKED else ()).intersection(*limits),
        direct=all(layer.direct for layer in heard),
        by=lowest,
        layers=heard,
    )


def user_layer(decision: Decision | None, now: int, offered: Iterable[Purpose]) -> Layer:
    """The only layer that can say more than ``off`` of its own."""
    if decision is None:
        says = "nobody has decided yet"
        return Layer("user", OFF, says, frozenset(), direct=False, always=False)
    since = decision.purposes
    silent = {one.name for one in offered if not one.telling}
    timely = [name for name, at in since.items() if name in silent or at <= now]
    layer = Layer(
        "user",
        decision.level,
        f"decided {decision.level}",
        frozenset(decision.variables) & frozenset(decision.asked),
        frozenset(timely),
        direct=decision.direct,
        always=decision.always,
        entries={name: at for name, at in decision.entries.items() if at <= now},
        questions=decision.questions,
    )
    if METRICS.name not in since or METRICS.name in timely:
        return layer
    says = "the clock stands before the date of the decision, so no metrics"
    return replace(layer, level=PLAIN, says=says, variables=frozenset())


def asked_layer(level: str, decision: Decision | None, further: Iterable[Purpose] = ()) -> Layer:
    """An explicit ``--level``: consent for one request alone, with the switches as last decided;
    of ``further`` purposes too, of those that no level decides of."""
    kept = BASIC if decision is None or decision.level != TRACKED else decision.variables
    return Layer(
        "command line",
        level,
        f"asked for {level} this once",
        frozenset(kept),
        frozenset(Decision.of(level, 0, {one.name: 0 for one in further}).purposes),
        direct=decision is not None and decision.direct,
        always=False,
    )


def cap(name: str, level: str, says: str = "", variables: Iterable[str] | None = None) -> Layer:
    """A layer that only lowers. A level that nobody knows means off."""
    known = level in LEVELS
    return Layer(
        name,
        level if known else OFF,
        says or (f"at most {level}" if known else "a level nobody knows, which means off"),
        None if variables is None else frozenset(variables),
        direct=level in (PLAIN, TRACKED),
    )


def new_variables(decision: Decision | None) -> tuple[str, ...]:
    """What has been declared since the user was asked; they are off until the user is asked."""
    if decision is None or decision.level == OFF:
        return ()
    return tuple(name for name in NAMES if name not in decision.asked)


def new_entries(
    decision: Decision | None, declared: Mapping[str, Question], purpose: Purpose = STATISTICS
) -> tuple[str, ...]:
    """Of what is ``declared`` for ``purpose`` that which a user who agreed to it was not asked
    about, or was asked another question; it is off until the user is asked."""
    if decision is None or purpose.name not in decision.purposes:
        return ()
    asked = {*decision.entries, *decision.declined} - outgrown(decision, declared)
    return tuple(n for n in declared if purpose_of(n) is purpose and n not in asked)


def refusal(voice: Effective, purpose: Purpose = NEWS) -> ConsentError:
    """Why nothing was sent for ``purpose``, with what to do about it."""
    lowering = (one for one in voice.layers if one.name not in USERS and not one.allows(purpose))
    by = voice.by if voice.level == OFF else next(lowering, voice.by)
    agreed = {purpose.name} if by.level == OFF or by.agreed is None else by.agreed
    refuses = purpose.name in by.refused or purpose.name not in agreed
    says = f"no {purpose.label.lower()}" if refuses else by.says
    if voice.by.name == "user" and voice.by.level == OFF:
        hint = "choose with `mars consent grant plain` or ask once with --level plain"
    else:
        hint = "see `mars consent explain`"
    return ConsentError("no-consent", f"Nothing was sent ({by.name}: {says}); {hint}.")


# --- what the user decides ------------------------------------------------------------------


def decided(
    old: Decision | None,
    now: int,
    offered: Iterable[Purpose],
    choice: Choice,
    questions: Mapping[str, Question] | None = None,
) -> Decision:
    """The decision of this moment after ``old``, by one who was asked these ``questions``.

    A yes to a purpose that is not ``offered`` is none; ``off`` takes back the direct way too. Of
    entries of which only noes are left their purpose goes, too: who wants none need not ask for
    what is declared. Raises ``ConfigError`` (``level-unknown``, ``mode-unknown``,
    ``purpose-of-level``).
    """
    require_mode(choice.reports)
    if choice.level is not None:
        require_level(choice.level)
    flags = (*(getattr(choice, name) for name in SWITCHES), choice.direct)
    if not all(flag is None or isinstance(flag, bool) for flag in flags):
        raise TypeError(f"{', '.join(SWITCHES)} and direct are True, False or None")
    before = old or Decision(now)
    wanted = choice.wanted()
    since = {name: at for name, at in before.purposes.items() if wanted.get(name, True)}
    since |= {one.name: now for one in offered if wanted.get(one.name)}
    chosen = switched(BASIC if choice.variables is None else choice.variables)
    always = before.always if choice.reports is None else choice.reports == ALWAYS
    switches = switched(choice.entries)
    entries = decided_entries(before, now, switches, questions or {})
    for gone in refused_all(switches, entries["entries"]):
        since.pop(gone, None)
    if choice.level is None:
        kept = {name: min(before.purposes.get(name, at), at) for name, at in since.items()}
        made = replace(before, purposes=kept, always=always and REPORTS.name in kept, **entries)
        return replace(made, **of_purposes(made, kept))
    return Decision.of(
        choice.level,
        now,
        since,
        variables=tuple(name for name in NAMES if chosen.get(name)),
        direct=before.direct if choice.direct is None else choice.direct,
        always=always,
        **entries,
    )
