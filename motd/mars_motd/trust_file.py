"""The trust file of a release: what it says beside the keys, and by which number it overrules."""

from __future__ import annotations

import os
from dataclasses import replace

from mars.errors import StateError
from mars.trust.signatures import FUTURE
from mars.wire.envelope import Envelope
from mars.wire.keys import TrustRoot
from mars_motd import files
from mars_motd.epochs import Epochs
from mars_motd.folder import Folder


def compose(
    folder: Folder,
    epochs: Epochs,
    *,
    gen: int,
    floor: int,
    built: int,
    crowd: int,
    steering: Envelope | None,
) -> TrustRoot:
    """What a release pins that is made in the newest epoch; ``floor`` is its minimum serial."""
    return replace(
        epochs.root_at(epochs.number),
        gen=gen,
        minimum_serial=floor,
        built=built,
        crowd=crowd,
        servers=folder.product.servers,
        x_steering=steering,
    )


def next_gen(folder: Folder, now: int) -> int:
    """The number of the next trust file: ``now`` (Unix seconds), or one more than the last.

    A counter that lies in the folder alone would go wrong unseen: two copies of it, or one that was
    restored, would give one number to two releases, and installations of the first would take the
    second for no newer. Seconds differ and grow in all copies; the record only keeps a clock that
    was set back from undercutting it. Raises ``StateError`` (``record-damaged``).
    """
    path = folder.trust / "gen"
    if not os.path.lexists(path):
        return max(now, 1)
    text = files.read(path, 32).strip() if files.exists(path) else b""
    if not text.isdigit() or len(text) > 15:
        raise StateError("record-damaged", f"{path} is no number. Restore it from a backup.")
    return max(now, int(text) + 1)


def require_near(folder: Folder, gen: int, clock: int) -> None:
    """Raises ``StateError`` (``record-damaged``) where ``gen`` is more than a day ahead of the
    ``clock`` (Unix seconds): one that is too high is pinned for ever."""
    if gen > clock + FUTURE:
        raise StateError(
            "record-damaged",
            f"The next trust file would get the number {gen}, more than a day ahead of the clock "
            f"({clock}). Set the clock, or write the gen of the trust file that was released last "
            f"into {folder.trust / 'gen'}.",
        )


def record_gen(folder: Folder, gen: int) -> None:
    """Writes down that ``gen`` was given away."""
    files.replace(folder.trust / "gen", b"%d\n" % gen)
