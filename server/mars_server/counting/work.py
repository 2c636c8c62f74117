"""The unit of work that every driver runs: count one log, or one span of it."""

from __future__ import annotations

from mars_server.counting.blocks import blocks
from mars_server.counting.streams import chunks, compression, decompressed, open_raw
from mars_server.counting.tally import Counting, Rules, Tally


def count_whole(path: str, rules: Rules) -> Tally:
    """Counts all complete lines of the log at ``path``, whatever its compression."""
    counting = Counting(rules)
    with open_raw(path) as raw:
        if path == "-":
            stream = raw
        else:
            kind = compression(raw.read(8))
            raw.seek(0)
            stream = decompressed(raw, kind)
        for block in blocks(chunks(stream), rules.format.shorten):
            counting.add(block)
    return counting.take()
