"""The crowd: how much one tracked request may say, by how many installations say it.

Consecutive requests of one installation can be linked by what they carry, the better the fewer
others say the same. So each says only as much as ``crowd``, a member of the trust file that comes
with a release, allows, and nothing that a server sends changes it: a server that could tell one
client of another crowd would know it by what it says then. ``docs/privacy.md`` has the figures.
"""

from __future__ import annotations

from collections.abc import Sequence

from mars.wire.times import DAY

ALONE, SOME, MANY = CROWDS = (0, 100, 1000)
"""Tracked installations: fewer than 100 or unknown, at least 100, at least 1,000."""
VALID = 400 * DAY
"""Seconds from a trust file's build for which its ``crowd`` is believed."""

Slots = Sequence[tuple[str, ...]]
"""What one request may say, names in the order of the query; each is as likely as any other."""


def effective(crowd: int, built: int, now: int) -> int:
    """One of ``CROWDS``: the largest that is not above what the trust file says.

    A file of more than 400 days, and one from the future of a wrong clock, says nothing: ``ALONE``.
    """
    if not built <= now <= built + VALID:
        return ALONE
    return max((one for one in CROWDS if one <= crowd), default=ALONE)


def slots(first: str, others: Sequence[str], optional: Sequence[str]) -> dict[int, Slots]:
    """By crowd. ``first`` is the basic variable that most have in common, so that it tells least.

    Alone: ``first`` in half of the requests, else one of ``others``. Some: ``first`` and one of
    ``others``. Many: all basic ones, and in half of the requests one of ``optional`` beside them.
    """
    basic = (first, *others)
    return {
        ALONE: [*[(first,)] * len(others), *((name,) for name in others)],
        SOME: [(first, name) for name in others],
        MANY: [*[basic] * len(optional), *((*basic, name) for name in optional)],
    }


def drawn(among: Slots, pick: float) -> tuple[str, ...]:
    """The slot on which ``pick`` falls, a number drawn uniformly from [0, 1]."""
    return among[min(int(pick * len(among)), len(among) - 1)]
