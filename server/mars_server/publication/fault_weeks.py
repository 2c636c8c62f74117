"""Takes over the weekly figures of faults that triage gives, each week once."""

from __future__ import annotations

from mars.errors import ConfigError
from mars_server.common.calendar import settled
from mars_server.storage.publication import StoredFaults
from mars_server.tables.compose import FloorRules
from mars_server.tables.faults import Faults


def keep(kept: StoredFaults, given: Faults, rules: FloorRules, now: int) -> list[str]:
    """Publishes the weeks of ``given`` that were not published before; which of the others it has
    with other figures, as triage does whose database was lost. What is published stays.

    Raises ``ConfigError``: ``wrong-product``, ``week-not-over`` for one that ended less than two
    days before ``now`` (Unix seconds).
    """
    owner = rules.product.product, rules.product.channel
    if (given.product, given.channel) != owner:
        raise ConfigError("wrong-product", "The faults are of another product or channel.")
    early = [each.week for each in given.weeks if each.week > settled(now)]
    if early:
        raise ConfigError(
            "week-not-over",
            f"The faults of {early[0]} cannot be published yet: a week can two days after its end. "
            "Is the clock right, here and where the file was made?",
        )
    before = kept.published()
    differing = []
    for week, document in given.each():
        if week not in before:
            kept.keep(week, document)
        elif before[week] != document:
            differing.append(week)
    return differing
