"""What was sent, by which route, and what came back: the user's own record, bounded."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

KEPT = 200
"""Entries; about three years of fetches. The oldest go first."""
LIMIT = 512 * 1024
"""Bytes. A journal beyond it is started anew."""


def decode(data: bytes | None) -> list[dict[str, Any]]:
    """Entries, oldest first. Lines that are not ours are left out."""
    if data is None or len(data) > LIMIT:
        return []
    entries = []
    for line in data.split(b"\n"):
        try:
            entry = json.loads(line.decode("utf-8"))
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, dict):
            entries.append(entry)
    return entries


def encode(entries: Sequence[Mapping[str, Any]]) -> bytes:
    """One JSON object a line: the newest, at most ``KEPT`` and ``LIMIT`` bytes of them."""
    lines = [f"{json.dumps(entry, ensure_ascii=True)}\n" for entry in entries[-KEPT:]]
    sizes = accumulate(map(len, reversed(lines)))
    fit = sum(size <= LIMIT for size in sizes)
    return "".join(lines[len(lines) - fit :]).encode("ascii")


def complete(
    data: bytes | None, begun: Mapping[str, Any], entry: Mapping[str, Any]
) -> bytes | None:
    """The journal with ``entry`` in the place of ``begun``; None where the user deleted it."""
    entries = decode(data)
    if begun not in entries:
        return None
    place = len(entries) - 1 - entries[::-1].index(dict(begun))
    return encode([*entries[:place], entry, *entries[place + 1 :]])


def add(data: bytes | None, entry: Mapping[str, Any]) -> bytes:
    """The journal with one more entry."""
    return encode([*decode(data), entry])
