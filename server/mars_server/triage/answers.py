"""Which answer a report gets: of a person for its group, of a rule, or that it is open. Pure.

Nothing of it is stored with a report, so a rule that is added or changed holds for all that came
before. "Fixed in X" holds for reports of releases before X; one of X or later is open again,
whenever it came.
"""

from __future__ import annotations

from dataclasses import dataclass

from packaging.version import Version

from mars.wire.reports.fault import Fault
from mars.wire.reports.status import KNOWN, OPEN, RESOLVED, Answer
from mars.wire.targeting import version_matches
from mars_server.triage.rules import Claim, Rules

REOPENED = "reopened"
"""Of a group: resolved, and met again in a release that should not have it."""


@dataclass(frozen=True)
class Word:
    """What a person said of a group."""

    number: int = 0
    """Of the group."""
    state: str = OPEN
    release: str = ""
    """That it is fixed in; empty where it is resolved for all."""
    summary: str = ""
    how: str = ""
    fix: str = ""

    @property
    def answer(self) -> Answer:
        number = self.number if self.state == RESOLVED or self.summary else 0
        return Answer(self.state, number, self.summary, self.how, self.fix, self.release)


def is_fixed(release: str, version: str) -> bool:
    """Whether what is fixed in ``release`` (empty: in none) should not happen in ``version``."""
    return bool(release) and Version(version) >= Version(release)


def answer(word: Word, rules: Rules, fault: Fault, version: str) -> Answer:
    """What the sender of a report of ``fault`` in a release of ``version`` is told. Where two rules
    claim it, none answers."""
    if word.state == RESOLVED and not is_fixed(word.release, version):
        return word.answer
    claims = rules.of(fault)
    if len(claims) == 1 and _applies(claims[0], version):
        return of_rule(claims[0])
    return Answer(OPEN) if word.state == RESOLVED else word.answer


def state(word: Word, rules: Rules, fault: Fault, version: str) -> str:
    """As ``answer``, or ``REOPENED``."""
    found = answer(word, rules, fault, version).state
    fixed = [word.release, *(claim.release for claim in rules.of(fault))]
    return REOPENED if found == OPEN and any(is_fixed(it, version) for it in fixed) else found


def of_rule(claim: Claim) -> Answer:
    state = RESOLVED if claim.release else KNOWN
    return Answer(state, claim.number, claim.summary, claim.how, claim.fix, claim.release)


def _applies(claim: Claim, version: str) -> bool:
    return not claim.affected or version_matches(claim.affected, version)
