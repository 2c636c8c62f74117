"""What each variable of the query may say. Every value is coarse, or it is absent.

"Absent" equals what a client without consent sends, so a broken clock or an odd platform joins
the largest crowd instead of making its own.
"""

from __future__ import annotations

DAY = 86_400
"""Seconds."""

LONGEST_DAYS = 7_305
"""20 years; beyond it the install date is nonsense (a dead clock at epoch 0)."""

_AGES = ((3, "1"), (31, "10"), (316, "100"), (LONGEST_DAYS, "1000"))
"""Last day of each power of ten: ``10 ** round(log10(days))`` in integers; 10000 folded in."""


def install_age(installed: object, now: int, *, built: int = 0, issued: int = 0) -> str | None:
    """Age of the installation in days as a power of ten: ``1``, ``10``, ``100`` or ``1000``.

    ``installed`` is Unix time, or anything else when it is unknown. ``built`` is when this
    release was built and ``issued`` when the last accepted document was: a clock before either
    (a day of grace for the latter) is known to be wrong. Returns None, which is sent as nothing,
    where the age is unknown or nonsense.
    """
    if type(installed) is not int or now < built or now < issued - DAY:
        return None
    days = (now - installed) // DAY
    if days < 0:
        return None
    return next((age for last, age in _AGES if days <= last), None)
