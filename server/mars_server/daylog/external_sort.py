"""Sorts the lines of a generation in bounded memory.

Coarse metrics make few distinct lines, so lines are tallied, not kept; when hostile queries make
many, sorted runs go to a temporary file and are merged.
"""

from __future__ import annotations

import heapq
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import BinaryIO

BLOCK = 1 << 20
"""Bytes read at once."""
LONGEST = 4096
"""Bytes of a line; ours have less than 200. A power cut may leave a long stretch of NUL."""
DISTINCT_IN_RUN = 100_000
"""Different lines held in memory, about 20 MB."""


def sorted_lines(fd: int, size: int) -> Iterator[tuple[bytes, int]]:
    """(line with its LF, how often), sorted, of the first ``size`` bytes of ``fd``.

    An unterminated last line, and one that is too long to be ours, is left out. Raises ``OSError``.
    """
    runs: list[Iterator[tuple[bytes, int]]] = []
    tally: Counter[bytes] = Counter()
    for lines in _whole_lines(fd, size):
        tally.update(lines)
        if len(tally) > DISTINCT_IN_RUN:
            runs.append(_spill(tally))
            tally = Counter()
    runs.append(iter(sorted(tally.items())))
    for line, same in groupby(heapq.merge(*runs), key=itemgetter(0)):
        yield line, sum(times for _, times in same)


def _whole_lines(fd: int, size: int) -> Iterator[list[bytes]]:
    offset, rest = 0, b""
    while offset < size:
        block = os.pread(fd, min(BLOCK, size - offset), offset)
        if not block:
            return
        offset += len(block)
        lines = (rest + block).split(b"\n")
        rest = lines.pop()[: LONGEST + 1]
        yield [line + b"\n" for line in lines if len(line) <= LONGEST]


def _spill(tally: Counter[bytes]) -> Iterator[tuple[bytes, int]]:
    run = tempfile.TemporaryFile()  # noqa: SIM115 - _run closes it when it is read
    for line, times in sorted(tally.items()):
        run.write(b"%d %s" % (times, line))
    run.seek(0)
    return _run(run)


def _run(run: BinaryIO) -> Iterator[tuple[bytes, int]]:
    with run:
        for row in run:
            times, _, line = row.partition(b" ")
            yield line, int(times)
