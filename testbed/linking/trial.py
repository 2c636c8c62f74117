"""One record under attack, and the tables of many."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from statistics import fmean, stdev
from typing import NamedTuple

import numpy as np

from mars.testing.memory import SeededChance
from testbed.linking import person, settings
from testbed.linking.attack import alone, joint
from testbed.linking.evidence import Evidence
from testbed.linking.law import Law
from testbed.linking.traffic import SILENT, Ints, Traffic, record

TRACKED, SILENCE, MUCH, PLAIN = "tracked", "silence", "much", "plain"
"""What is attacked: the client's rule; the same installations if they said nothing; if they said
everything and one optional value; and those that send no metrics."""
RULES = {MUCH: settings.one_optional, SILENCE: settings.plain, PLAIN: settings.plain}
JOINT = 1_000
"""Installations of one level whose requests of 26 weeks are all made consistent with each other; up
to twice as many for a shorter time; where there are more each link is judged by itself."""
SHORT = 6
"""Weeks of it."""
ASKED = 2_000
"""Links judged by themselves."""
PEOPLE = 40
"""Of each record, who are looked for."""
OTHERS = 10_000
"""Added to a seed: the same law, other people."""


@dataclass(frozen=True)
class Job:
    """One record: of how many, by which rule."""

    size: int
    rule: str
    seed: int
    adoption: float = settings.ADOPTION
    weeks: int = settings.WEEKS

    @property
    def is_joint(self) -> bool:
        """Whether the pairs are few enough to be made consistent."""
        return self.size**2 * self.weeks <= JOINT**2 * settings.WEEKS

    def evidence(self) -> Evidence:
        """What the attacker has."""
        return Evidence(law(self.size, self.rule, self.adoption, self.weeks), self.record())

    def record(self) -> Traffic:
        """What the server has."""
        known = law(self.size, self.rule, self.adoption, self.weeks)
        return record(known.plan, known.rule, SeededChance(self.seed))


@cache
def law(size: int, rule: str, adoption: float, weeks: int) -> Law:
    """Made once for all records."""
    plan = settings.plan(size, adoption=adoption, weeks=weeks)
    return Law(plan, RULES.get(rule) or settings.client(size))


class Cell(NamedTuple):
    """What came of one record; shares, not per cent."""

    right: float
    number: int
    chance: float
    """Of naming any request within reach."""
    sure: float
    chains: float
    """NaN where not all of 26 weeks are made consistent."""
    known: float


def attacked(job: Job) -> Cell:
    """Links the requests of one record, and looks for people in it."""
    evidence = job.evidence()
    traffic, is_whole = evidence.traffic, job.is_joint and job.weeks == settings.WEEKS
    links = joint(evidence) if job.is_joint else alone(evidence, _asked(traffic, job.seed))
    first, last = evidence.law.reach
    return Cell(
        right=links.right,
        number=links.number,
        chance=1 / (traffic.rate * (last - first)),
        sure=links.sure,
        chains=links.chains(traffic) if is_whole else math.nan,
        known=_known(job, evidence) if job.rule == TRACKED else 0.0,
    )


def _asked(traffic: Traffic, seed: int) -> Ints:
    followed = np.flatnonzero(traffic.following != SILENT)
    return np.random.default_rng(seed).choice(followed, min(ASKED, len(followed)), replace=False)


def _known(job: Job, evidence: Evidence) -> float:
    elsewhere = person.residents(replace(job, seed=job.seed + OTHERS).record(), PEOPLE)
    there = person.residents(evidence.traffic, len(elsewhere))
    return person.advantage(evidence, there, elsewhere)


# --- tables ---------------------------------------------------------------------------------

Attack = Callable[[Job], Cell]
SAYS: Mapping[int, str] = {
    0: "`v`, `os` or `ia`",
    100: "`v`, and `os` or `ia`",
    1000: "all three, in half one more",
}
COLUMNS = (
    "installations",
    "tracked",
    "a request says",
    "linked right",
    "by time alone",
    "by chance",
    "if all and one optional",
    "plain: linked right",
    "by chance",
    "surely",
    "whole chains",
    "person known",
)


def jobs(size: int, number: int) -> list[Job]:
    """Of so many installations, so many records of each kind."""
    some = settings.tracked(size)
    sizes = {TRACKED: some, SILENCE: some, MUCH: some, PLAIN: size - some}
    weeks = SHORT if JOINT < some <= 2 * JOINT else settings.WEEKS
    return [Job(sizes[rule], rule, seed, weeks=weeks) for rule in sizes for seed in range(number)]


def row(size: int, number: int, attack: Attack) -> str:
    """One line of the table, of so many records."""
    cells: dict[str, list[Cell]] = {}
    for job in jobs(size, number):
        cells.setdefault(job.rule, []).append(attack(job))
    told, some = cells[TRACKED], settings.tracked(size)
    says = SAYS[max(crowd for crowd in SAYS if crowd <= some)]
    figures = [
        percent(share(cells[SILENCE])[0]),
        *[percent(100 * told[0].chance), percent(share(cells[MUCH])[0])],
        *[percent(share(cells[PLAIN])[0]), percent(100 * cells[PLAIN][0].chance)],
        *[
            percent(100 * _mean([getattr(cell, name) for cell in told]))
            for name in ("sure", "chains", "known")
        ],
    ]
    return line(f"{size:,}", f"{some:,}", says, with_error(told), *figures)


def heading(*columns: str) -> tuple[str, str]:
    """The first two lines of a table."""
    return line(*columns), "|" + "---|" * len(columns)


def line(*cells: str) -> str:
    """One line of a table."""
    return f"| {' | '.join(cells)} |"


def share(cells: Sequence[Cell]) -> tuple[float, float]:
    """Per cent linked right, and its standard error, of records with any."""
    cells = [cell for cell in cells if cell.number]
    mean = fmean(cell.right for cell in cells)
    if len(cells) > 3:
        return 100 * mean, 100 * stdev(cell.right for cell in cells) / math.sqrt(len(cells))
    number = sum(cell.number for cell in cells)
    return 100 * mean, 100 * math.sqrt(mean * (1 - mean) / number)


def _mean(values: Sequence[float]) -> float:
    """Of those that are numbers: a record of very few installations can lack what is asked."""
    known = [value for value in values if not math.isnan(value)]
    return fmean(known) if known else math.nan


def with_error(cells: Sequence[Cell]) -> str:
    """``4.0 ± 0.1``."""
    mean, error = share(cells)
    return f"{percent(mean)} ± {percent(error)}"


def percent(value: float) -> str:
    """Two digits that count, or one; a dash where there is no figure."""
    if math.isnan(value):
        return "–"
    return f"{max(value, 0):.2f}" if value < 0.95 else f"{value:.1f}"
