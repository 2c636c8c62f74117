"""Joins reports as well as it can: of two with equal content, which is of this installation?

A question is an installation of which something is known (``KNOWS``), one more report of it, and
one with the same content (project, key, value) of somebody else; who guesses is right in half of
the cases. The attacker weighs what the days tell: which of them have a request of this
installation, and how many on each of the days before and after; how long nothing came before and
after; the days of the week; whether the same entry came that week. The weights are learned (by
logistic regression) from other simulated years of which it knows the truth, so whatever of these
tells something is used. It need not be the best there is; what it finds where a rule is worse shows
what it is worth.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from testbed.reports.record import EDGE, Ints, Record

Floats = NDArray[np.float64]
PAIR, PLUGIN, REPORTS, ALL = KNOWS = (
    "one other report",
    "all reports of another plug-in",
    "all its other reports",
    "these, and all its fetches",
)
"""What is known of an installation. The first is what two reports alone tell; the last more than an
attacker can come by, and so a limit for every way of joining many."""
LAGS = np.arange(-14, 15)
PENALTY = 3.0
ROUNDS = 30
LONG = 14
"""Days without a request that somebody who sleeps for a fortnight shows."""


@dataclass(frozen=True)
class Answers:
    """How many questions were asked, and the share answered right."""

    right: float
    number: int

    @property
    def error(self) -> float:
        """Standard error of the share."""
        return math.sqrt(self.right * (1 - self.right) / self.number)


@dataclass(frozen=True)
class Questions:
    """Of one kind, one index each."""

    mine: Ints
    """The report of the installation in question ..."""
    others: Ints
    """... and one of another with the same content."""
    known: Sequence[Ints]
    """The reports that are known to be the installation's."""


@dataclass(frozen=True)
class Attacker:
    """Who knows one thing of an installation, and has learned what the days are worth."""

    knows: str
    weights: Floats

    @classmethod
    def taught(cls, records: Sequence[Record], knows: str, number: int) -> Attacker:
        """By ``number`` questions about each of these, with their answers."""
        chance = np.random.default_rng(2)
        lessons = np.concatenate([_differences(one, knows, number, chance) for one in records])
        return cls(knows, learned(lessons))

    def answers(self, record: Record, number: int) -> Answers:
        """To ``number`` questions about another record."""
        score = _differences(record, self.knows, number, np.random.default_rng(1)) @ self.weights
        right = np.where(np.abs(score) < 1e-9, 0.5, score > 0)
        return Answers(float(right.mean()), len(right))

    def likely(self, record: Record, known: int, candidates: Ints) -> Floats:
        """How well each of these reports goes with a known one; the more, the better."""
        same = np.full(len(candidates), known)
        asked = Questions(same, candidates, [same[:1]] * len(candidates))
        return _signs(record, asked, candidates, self.knows) @ self.weights


def _differences(record: Record, knows: str, number: int, chance: np.random.Generator) -> Floats:
    """What the days tell for the one report, less what they tell for the other."""
    asked = _questions(record, knows, number, chance)
    return _signs(record, asked, asked.mine, knows) - _signs(record, asked, asked.others, knows)


def _questions(record: Record, knows: str, number: int, chance: np.random.Generator) -> Questions:
    found: list[tuple[int, int, Ints]] = []
    while len(found) < number:
        mine = int(chance.integers(len(record)))
        own = record.of_owner[int(record.owner[mine])]
        known = _known(record, knows, mine, own[own != mine], chance)
        alike = record.of_content[int(record.content[mine])]
        alike = alike[record.owner[alike] != record.owner[mine]]
        if len(known) and len(alike):
            found.append((mine, int(chance.choice(alike)), known))
    mine_all, others, known_all = zip(*found, strict=True)
    return Questions(np.array(mine_all), np.array(others), known_all)


def _known(record: Record, knows: str, mine: int, own: Ints, chance: np.random.Generator) -> Ints:
    if knows == PAIR:
        return own if not len(own) else chance.choice(own, 1)
    if knows == PLUGIN:
        own = own[record.entry[own] != record.entry[mine]]
        rarest = record.entry[own].max(initial=-1)
        own = own[record.entry[own] == rarest]
    return own


# --- what the days tell -------------------------------------------------------------------------


def _signs(record: Record, asked: Questions, candidates: Ints, knows: str) -> Floats:
    """One row for each candidate."""
    days = record.day[candidates]
    tables = [record.table(asked.known)]
    if knows == ALL:
        owners = record.owner[asked.mine]
        tables += [record.news[owners], record.registry[owners]]
    columns: list[Ints | Floats] = [_week(record, asked, candidates)]
    for table in tables:
        columns += [_near(table, days), _gaps(table, days), _weekdays(table, days)]
    return np.concatenate(columns, 1).astype(float)


def _near(table: Ints, days: Ints) -> Ints:
    """How many requests on each of the days about."""
    found: Ints = table[np.arange(len(days))[:, None], EDGE + days[:, None] + LAGS]
    return found


def _week(record: Record, asked: Questions, candidates: Ints) -> Ints:
    """How many known reports of the same entry in the same week, and in the next ones."""
    same = [
        known[record.entry[known] == record.entry[mine]]
        for known, mine in zip(asked.known, asked.mine, strict=True)
    ]
    weeks = record.table(same).reshape(len(same), -1, 7).sum(2)
    week = (EDGE + record.day[candidates]) // 7
    found: Ints = weeks[np.arange(len(same))[:, None], week[:, None] + np.arange(-1, 2)]
    return found


def _gaps(table: Ints, days: Ints) -> Floats:
    """How long nothing came about a day, in days and as often as one would expect a request."""
    width = table.shape[1]
    at = np.where(table > 0, np.arange(width), 0)
    before = np.maximum.accumulate(at, 1)
    at = np.where(table > 0, np.arange(width), width - 1)
    after = np.minimum.accumulate(at[:, ::-1], 1)[:, ::-1]
    rows = np.arange(len(days))
    since, until = EDGE + days - before[rows, EDGE + days - 1], after[rows, EDGE + days + 1]
    until = until - EDGE - days
    rate = np.maximum(table.sum(1), 1) / (width - 2 * EDGE)
    gap = since + until
    long, often = gap >= LONG, gap * rate
    capped = np.minimum(often, 8) ** 2
    return np.stack([often, capped, long, long * often, np.minimum(since, until) * rate], 1)


def _weekdays(table: Ints, days: Ints) -> Floats:
    """How likely the day of the week is, and whether it is one of a weekend."""
    counts = table.reshape(len(days), -1, 7).sum(1)
    total, weekday, rows = counts.sum(1), days % 7, np.arange(len(days))
    own = np.log(7 * (counts[rows, weekday] + 1) / (total + 7))
    weekend = (counts[:, 5:].sum(1) + 0.5) / (total + 1.75)
    share = np.where(weekday >= 5, weekend * 7 / 2, (1 - weekend) * 7 / 5)
    return np.stack([own, np.log(share)], 1)


def learned(lessons: Floats) -> Floats:
    """The weights under which the differences, each of a right answer, are most likely."""
    scale = lessons.std(0)
    scale[scale < 1e-9] = 1.0
    lessons, weights = lessons / scale, np.zeros(lessons.shape[1])
    for _ in range(ROUNDS):
        sure = 1 / (1 + np.exp(-np.clip(lessons @ weights, -30, 30)))
        slope = lessons.T @ (1 - sure) - PENALTY * weights
        bend = (lessons * (sure * (1 - sure))[:, None]).T @ lessons
        step = np.linalg.solve(bend + PENALTY * np.eye(len(weights)), slope)
        weights += step
        if np.abs(step).max() < 1e-6:
            break
    found: Floats = weights / scale
    return found
