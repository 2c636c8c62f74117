"""People who send error reports, deletions and statistics, each fault on a day of its own; of which
an attacker asks, as of statistics alone, what is of one installation."""

from __future__ import annotations

from collections.abc import Sequence

from mars.channels.draws import Wanted
from mars.testing.memory import SeededChance
from mars.wire.times import WEEK
from testbed.reports.client import REGISTRY, Sent
from testbed.reports.habits import ALWAYS, spans
from testbed.reports.people import BEGIN, Person, entry
from testbed.reports.record import FETCHED, Record
from testbed.reports.reporter import CLIENT, STATUS, Act, Reporter, Rules

WANTS = {entry(at): Wanted(0.25, 0) for at in (0, 1)}
KINDS = ("plugin", "crowd", "direct", "delete")
"""What a request of each is known by; a deletion is of a report of another year, since one says by
its GUID which report it is of."""
FAULTS = tuple(range(1, 13))
"""Of a release: the n-th is met as often as 1 / n."""
A_YEAR = 24
"""Reports and deletions of each."""
VALUES = "ab"


def kind(what: str) -> int:
    """Of a request."""
    return next(at for at, name in enumerate(KINDS) if what.startswith(name))


def people(size: int, weeks: int, seed: int, rules: Rules = CLIENT) -> list[Person]:
    """All of them, the same for the same seed; their computers are always on."""
    return [_person(weeks, SeededChance(seed * 1_000_003 + at), rules) for at in range(size)]


def record(size: int, weeks: int, seed: int, rules: Rules = CLIENT) -> Record:
    """What they sent."""
    return Record.of(people(size, weeks, seed, rules), weeks, kind)


def _person(weeks: int, chance: SeededChance, rules: Rules) -> Person:
    acts = _acts(weeks, chance)
    awake = spans(ALWAYS, BEGIN, weeks, chance)
    says = {name: chance.choice(VALUES) for name in WANTS}
    client = Reporter(WANTS, BEGIN, chance, acts=acts, rules=rules)
    sent = tuple(_as_fetch(one) for one in client.run(awake))
    return Person((), sent, tuple(_said(one, says) for one in sent))


def _acts(weeks: int, chance: SeededChance) -> Sequence[Act]:
    found = []
    for number in range(A_YEAR * weeks // 52):
        when = BEGIN + int(chance.uniform(0, weeks * WEEK))
        what = chance.choice(KINDS[1:])
        fault = chance.choices(FAULTS, [1 / one for one in FAULTS])[0]
        name = f"{what} {number} {fault}" if what != "delete" else f"{number} {fault}"
        found.append(Act(when, name, what == "delete"))
    return found


def _as_fetch(one: Sent) -> Sent:
    """Those beside the news are counted together."""
    return Sent(one.when, REGISTRY) if one.what == STATUS else one


def _said(one: Sent, says: dict[str, str]) -> str:
    """What it tells: of a report the fault, of a deletion that it is one."""
    if one.what in FETCHED:
        return ""
    if one.what in says:
        return one.what + says[one.what]
    what, *_, fault = one.what.split()
    return what if what == "delete" else f"{what} {fault}"
