"""The folder of drawn charts: the operator may keep other things there, and they stay."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from mars_server.site.charts.render import Chart, Picture
from mars_server.site.charts.store import LIST, ChartStore, find_published, key
from tests.server.site.conftest import Published

LIMIT = 3


def test_what_is_not_a_picture_of_ours_is_never_removed(tmp_path: Path) -> None:
    """Nor does a folder among the oldest keep the pictures from being bounded."""
    (tmp_path / "oldest").mkdir()
    (tmp_path / ("f" * 32)).mkdir()
    foreign = [tmp_path / f"note-{n}.txt" for n in range(2 * LIMIT)]
    half = tmp_path / ".new-abcdefgh"
    for path in (*foreign, half):
        path.write_text("")
    for path in tmp_path.iterdir():
        os.utime(path, (0, 0))
    store = ChartStore(tmp_path, limit=LIMIT, renderer=lambda _: Picture(b"s", b"p", b"d"))
    charts = [Chart("shares", {"bands": [{"n": n}], "labels": []}) for n in range(2 * LIMIT)]
    for chart in charts:
        store.picture(key(chart), lambda chart=chart: chart)  # type: ignore[misc]
    kept = {path.name for path in tmp_path.iterdir() if path.is_file()}
    assert {path.name for path in foreign} < kept
    assert len(kept) == len(foreign) + LIMIT
    assert not half.exists(), "left by a run that was killed"


def test_a_picture_that_cannot_be_put_in_place_leaves_nothing_behind(tmp_path: Path) -> None:
    chart = Chart("shares", {"bands": [], "labels": []})
    (tmp_path / key(chart) / "in the way").mkdir(parents=True)
    store = ChartStore(tmp_path, renderer=lambda _: Picture(b"s", b"p", b"d"))
    assert store.picture(key(chart), lambda: chart).png == b"p"
    assert [path.name for path in tmp_path.iterdir()] == [key(chart)]


def test_a_list_of_another_hash_is_not_believed(published: Published) -> None:
    text = (published.folder / LIST).read_bytes()
    name = json.loads(text)["charts"][0]["key"]
    assert find_published(published.folder, name, hashlib.sha256(text).hexdigest()) is not None
    assert find_published(published.folder, name, hashlib.sha256(b"").hexdigest()) is None
