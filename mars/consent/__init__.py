"""What may be sent: a yes to each purpose, and of all layers the least holds. Pure.

Undecided means off, and ``off`` is off for every purpose. Only the user's dated decision can
raise; everything else can only lower.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from mars.consent.entries import NO_ENTRIES, covered, decided_entries, outgrown, switched
from mars.errors import ConfigError, ConsentError
from mars.wire.registry import Question
from mars.wire.variables import BASIC, NAMES, country_value

OFF, PLAIN, TRACKED = LEVELS = ("off", "plain", "tracked")
"""From least to most."""


@dataclass(frozen=True)
class Purpose:
    """One thing that a user agrees to or not."""

    name: str
    label: str
    """For a person."""
    least: str = TRACKED
    """The level that a ceiling must leave for it."""
    telling: bool = True
    """Whether what goes says anything of the user: then nothing goes before the date of the yes."""


NEWS = Purpose("news", "News", PLAIN, telling=False)
METRICS = Purpose("metrics", "Values in the request for news")
STATISTICS = Purpose("statistics", "Statistics")
SWITCHES = {
    "stats": STATISTICS,
    "errors": Purpose("reports", "Error reports"),
}
"""Purposes that have a switch of their own in commands, policy file and JSON, offered or not."""
BUILT_IN = frozenset({NEWS, METRICS, *SWITCHES.values()})

BY_LEVEL = (NEWS.name, METRICS.name)
"""``plain`` is a yes to the first, ``tracked`` to both."""


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
    entries: Mapping[str, int] = field(default_factory=dict)
    """The declared statistics (``project/key``) that they said yes to, each since when."""
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
        if STATISTICS.name not in others:
            more = {**more, **NO_ENTRIES}
        return cls(decided, {**agreed, **others}, **more)

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
    errors: bool | None = None
    direct: bool | None = None
    country: str | None = None
    purposes: Collection[str] | None = None
    entries: Collection[str] | None = None
    """Declared statistics, or a switch for each; those that are not named stay as they were."""

    @property
    def of_statistics(self) -> bool:
        """Whether it takes what is declared to know what it means."""
        return self.entries is not None or self.wanted().get(STATISTICS.name, False)

    def meaning(self, declared: Collection[str]) -> Choice:
        """A yes to statistics of which nothing more is said is one to all that are declared now,
        and none is one to what is declared later."""
        if self.entries is None:
            wanted = self.wanted().get(STATISTICS.name)
            return replace(self, entries=tuple(declared)) if wanted else self
        switches = switched(self.entries).items()
        return replace(self, entries={n: on for n, on in switches if not on or n in declared})

    def wanted(self) -> dict[str, bool]:
        """Whether each purpose beyond the level is chosen; what was not said is not in it. A yes to
        one of the statistics is one to their purpose.

        Of a yes and a no to one the no holds. Raises ``ConfigError`` (``purpose-of-level``).
        """
        given = {"stats": self.stats, "errors": self.errors}
        named = {SWITCHES[name].name: on for name, on in given.items() if on is not None}
        if any(switched(self.entries).values()):
            named.setdefault(STATISTICS.name, True)
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
    entries: Mapping[str, int] = field(default_factory=dict)
    """The declared statistics that the user said yes to, each since when."""
    questions: Mapping[str, Question] = field(default_factory=dict)
    """What each of them asked then."""

    def allows(self, purpose: Purpose) -> bool:
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
        """The declared statistics that the user said yes to, each since when, whatever they ask
        now; the least of the layers holds for their purpose."""
        if not self.allows(STATISTICS):
            return {}
        return {name: at for layer in self.layers for name, at in layer.entries.items()}

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
        return Layer("user", OFF, "nobody has decided yet", frozenset(), direct=False)
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


def new_entries(decision: Decision | None, declared: Mapping[str, Question]) -> tuple[str, ...]:
    """Of the ``declared`` statistics those that a user who agreed to statistics was not asked
    about, or was asked another question; they are off until the user is asked."""
    if decision is None or STATISTICS.name not in decision.purposes:
        return ()
    asked = {*decision.entries, *decision.declined} - outgrown(decision, declared)
    return tuple(name for name in declared if name not in asked)


def refusal(voice: Effective, purpose: Purpose = NEWS) -> ConsentError:
    """Why nothing was sent for ``purpose``, with what to do about it."""
    lowering = (one for one in voice.layers if one.name not in USERS and not one.allows(purpose))
    by = voice.by if voice.level == OFF else next(lowering, voice.by)
    says = f"no {purpose.label.lower()}" if purpose.name in by.refused else by.says
    if voice.by.name == "user" and voice.by.level == OFF:
        hint = "choose with `mars consent grant plain` or ask once with --level plain"
    else:
        hint = "see `mars consent explain`"
    return ConsentError("no-consent", f"Nothing was sent ({by.name}: {says}); {hint}.")


# --- what the user decides ------------------------------------------------------------------


def require_level(level: str) -> None:
    """Raises ``ConfigError`` (``level-unknown``)."""
    if level not in LEVELS:
        raise ConfigError("level-unknown", "No such level; choose off, plain or tracked.")


def decided(
    old: Decision | None,
    now: int,
    offered: Iterable[Purpose],
    choice: Choice,
    questions: Mapping[str, Question] | None = None,
) -> Decision:
    """The decision of this moment after ``old``, by one who was asked these ``questions``.

    A yes to a purpose that is not ``offered`` is none; ``off`` takes back the direct way too. Of
    statistics of which only noes are left their purpose goes, too: who wants none need not ask for
    what is declared. Raises ``ConfigError`` (``level-unknown``, ``purpose-of-level``).
    """
    if choice.level is not None:
        require_level(choice.level)
    flags = (choice.stats, choice.errors, choice.direct)
    if not all(flag is None or isinstance(flag, bool) for flag in flags):
        raise TypeError("stats, errors and direct are True, False or None")
    before = old or Decision(now)
    wanted = choice.wanted()
    since = {name: at for name, at in before.purposes.items() if wanted.get(name, True)}
    since |= {one.name: now for one in offered if wanted.get(one.name)}
    chosen = switched(BASIC if choice.variables is None else choice.variables)
    switches = switched(choice.entries)
    entries = decided_entries(before, now, switches, questions or {})
    if switches and not entries["entries"]:
        since.pop(STATISTICS.name, None)
    if choice.level is None:
        kept = {name: min(before.purposes.get(name, at), at) for name, at in since.items()}
        none = {} if STATISTICS.name in kept else NO_ENTRIES
        return replace(before, purposes=kept, **{**entries, **none})
    return Decision.of(
        choice.level,
        now,
        since,
        variables=tuple(name for name in NAMES if chosen.get(name)),
        direct=before.direct if choice.direct is None else choice.direct,
        **entries,
    )


def require_declared(variables: Collection[str] | None) -> None:
    unknown = [name for name, on in switched(variables).items() if on and name not in NAMES]
    if unknown:
        raise ConfigError(
            "undeclared", f"Not declared, so never sent: {', '.join(map(repr, unknown))}."
        )


def require_kept(choice: Choice, made: Decision | None) -> None:
    """Raises ``ConfigError`` (``undeclared``) of a yes to a statistic that is not kept in what was
    ``made``, though their purpose is, or nothing else was asked for."""
    if made is None or (choice.level and STATISTICS.name not in made.purposes):
        return
    wanted = [name for name, on in switched(choice.entries).items() if on]
    unknown = [name for name in wanted if name not in made.entries]
    if unknown:
        raise ConfigError(
            "undeclared", f"Not declared, so never sent: {', '.join(map(repr, unknown))}."
        )


def unserved(offered: Iterable[Purpose], decision: Decision | None) -> tuple[Purpose, ...]:
    """What the user agreed to and nothing here serves, so that it cannot be shown here.

    What is known of none of them but its name is taken to need as little as a purpose may.
    """
    served, known = {one.name for one in offered}, {one.name: one for one in SWITCHES.values()}
    agreed = decision.purposes if decision else {}
    return tuple(known.get(n, Purpose(n, n, PLAIN)) for n in agreed if n not in served)


def require_offered(offered: Iterable[Purpose], choice: Choice, made: Decision | None) -> None:
    """Raises ``ConfigError`` (``not-offered``) of a yes that is not kept in what was ``made``."""
    known = {one.name for one in (*offered, *unserved(offered, made))}
    missing = [name for name, on in choice.wanted().items() if on and name not in known]
    if missing:
        raise ConfigError(
            "not-offered",
            f"Nothing here serves {', '.join(map(repr, missing))}, so no consent to it was kept; "
            "ask again once something does.",
        )


def country_code(typed: str) -> str | None:
    """``IS`` of `` is``; None of nothing. Raises ``ConsentError`` (``country-unknown``)."""
    code = typed.strip().upper()
    if code and not (typed.isascii() and country_value(code)):
        raise ConsentError(
            "country-unknown",
            "No such country; write its code of ISO 3166-1, such as IS or DE, or leave it out.",
        )
    return code or None
