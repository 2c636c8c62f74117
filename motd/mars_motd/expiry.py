"""When pinned OpenPGP keys end, and what that means for those who sign with them. Pure.

Clients judge a signature by the block that they have pinned and by the day of the signature, so a
prolonged key helps only once its new block is pinned. ``blocks`` are armoured public keys by the
fingerprints of their primary keys, as ``KeySet.openpgp`` has them; times are Unix seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mars.errors import StateError
from mars.wire.openpgp import primary, public_keys, signing_keys
from mars.wire.times import DAY, format_time

SOON = 2 * 365 * DAY
"""Seconds before its end in which a key is warned of: as long as a keys document lives."""


@dataclass(frozen=True)
class Ending:
    """A key that ends."""

    primary: str
    """Fingerprint of the primary key of its block."""
    fingerprint: str
    """Its own: the primary's again, or that of a subkey that may sign."""
    end: int
    """The first second at which it is valid no more."""
    days: int
    """Whole days until then; negative once it has ended."""

    def __str__(self) -> str:
        """For people: which key, when, and what to do."""
        name = f"The OpenPGP key {self.primary}"
        if self.fingerprint != self.primary:
            name = f"The signing subkey {self.fingerprint} of the OpenPGP key {self.primary}"
        end = format_time(self.end)
        when = f"ends at {end}, in {self.days} days" if self.days >= 0 else f"ended at {end}"
        return (
            f"{name} {when}. No client accepts what it signs later. Prolong it well before, and "
            "bring it to clients with: mars-motd key refresh"
        )


def endings(blocks: Mapping[str, str], now: int) -> list[Ending]:
    """The primary keys that end, and the subkeys that may sign at ``now`` and end; the next first.

    Raises ``WireError`` (``key-damaged``), as all here.
    """
    found = {
        (key.end, name, key.fingerprint)
        for name, block in blocks.items()
        for key in (primary(block), *signing_keys(block, now))
        if key.end is not None
    }
    return [Ending(name, own, end, (end - now) // DAY) for end, name, own in sorted(found)]


def ending_soon(blocks: Mapping[str, str], now: int) -> list[Ending]:
    """Those of ``endings`` that end within two years: a person is to be told, loudly."""
    return [it for it in endings(blocks, now) if it.end - now < SOON]


def last(block: str, now: int) -> int | None:
    """The first second at which none of the keys of ``block`` that may sign at ``now`` still may.

    None if that never comes, ``now`` where none may.
    """
    ends = [key.end for key in signing_keys(block, now)]
    if not ends:
        return now
    whole = primary(block).end
    longest = None if None in ends else max(end for end in ends if end is not None)
    return min((end for end in (whole, longest) if end is not None), default=None)


def require_outlasting(blocks: Mapping[str, str], until: int, now: int, what: str) -> None:
    """Raises ``StateError`` (``openpgp-ends``) where one of ``blocks`` can sign no more at
    ``until``, when ``what`` (``the document``, ``the keys document``) expires."""
    for name, block in blocks.items():
        end = last(block, now)
        if end is not None and end < until:
            raise StateError(
                "openpgp-ends",
                f"As it is pinned, the OpenPGP key {name} ends at {format_time(end)}, before "
                f"{what} expires ({format_time(until)}). Prolong it, or give it a new signing "
                "subkey, and bring that to clients with: mars-motd key refresh; or let "
                f"{what} expire earlier.",
            )


def require_usable(block: str, now: int) -> None:
    """Raises ``StateError`` (``openpgp-revoked``, ``openpgp-expired``, ``openpgp-unusable``) where
    no key of ``block`` may sign at ``now``."""
    if signing_keys(block, now):
        return
    first, *subkeys = public_keys(block)
    name = first.fingerprint
    if first.revoked:
        raise StateError("openpgp-revoked", f"The OpenPGP key {name} is revoked; choose another.")
    ended = [key.end for key in (first, *subkeys) if key.end is not None and key.end <= now]
    if ended:
        raise StateError(
            "openpgp-expired",
            f"The OpenPGP key {name}, or its last subkey that signs, ended at "
            f"{format_time(max(ended))}, as its public block here says. Prolong both (gpg "
            f"--quick-set-expire {name} 5y, and again with '*' at the end), or choose another key. "
            "One that clients have pinned is prolonged for them by: mars-motd key refresh",
        )
    raise StateError(
        "openpgp-unusable",
        f"Nothing of the OpenPGP key {name} may sign at {format_time(now)}. Give it a signing "
        f"subkey (gpg --quick-add-key {name} ed25519 sign), or choose another key.",
    )
