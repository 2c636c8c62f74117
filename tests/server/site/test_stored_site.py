"""A published site from a stored database is byte for byte what it was.

``stored_site.sha256`` holds a digest of the figures, and of the pages and chart specifications of
each section. Pictures are not drawn, so that another version of the renderer changes nothing here.
``python -m tests.server.site.test_stored_site`` writes the digests anew, where a page is meant to
change.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mars.testing.publisher import EXAMPLE_NOW, Publisher
from mars_server.publication.closing import close_weeks
from mars_server.site.charts.render import Chart, Picture, full_spec
from mars_server.site.charts.store import ChartStore
from mars_server.site.pages.address import parse
from mars_server.site.pages.render import Contents
from mars_server.site.pages.site import Site
from mars_server.tables.compose import FloorRules
from mars_server.tables.downloads import data_files
from mars_server.tables.noise import Noise
from mars_server.tables.signed_documents import describe
from tests.server.publication import kit
from tests.server.site.conftest import GAP, NOTES, WEEKS, counted

DIGESTS = Path(__file__).with_name("stored_site.sha256")


def undrawn(chart: Chart) -> Picture:
    """What would be drawn, as text; a PNG's header with its size, and nothing else."""
    png = bytes(16) + (1200).to_bytes(4, "big") + (600).to_bytes(4, "big")
    return Picture(json.dumps(full_spec(chart), sort_keys=True).encode(), png, png)


def site(folder: Path, noise: Noise | None) -> dict[str, bytes]:
    """Every file of the site but the index, by path."""
    weeks = {kit.week(n): counted(n) for n in range(WEEKS) if n != GAP}
    published = close_weeks(kit.database(folder, weeks), FloorRules(kit.PRODUCT, noise), kit.LATER)
    document = describe(Publisher(seeds=[bytes(32)]).document(EXAMPLE_NOW), kit.PRODUCT)
    shown = Contents(kit.PRODUCT, published, NOTES, [document])
    pages = Site(shown, ChartStore(renderer=undrawn))
    figures = {f"data/{name}": content for name, content in data_files(published).items()}
    return {**figures, **dict(pages.export())}


def digests(files: Mapping[str, bytes]) -> dict[str, str]:
    """One for ``data``, and one for each section in each language."""
    sections: dict[str, Any] = defaultdict(hashlib.sha256)
    for path, content in sorted(files.items()):
        address = parse(path)
        name = f"{address.language}/{address.section}" if address else "data"
        sections[name].update(f"{path} {len(content)}\n".encode() + content)
    return {name: section.hexdigest() for name, section in sections.items()}


def found(folder: Path) -> list[str]:
    """The lines of the list: the site without noise, and with it."""
    lines = []
    for kind, noise in (("plain", None), ("noisy", Noise(bytes(32), 8.0))):
        (folder / kind).mkdir()
        files = site(folder / kind, noise)
        lines += [f"{digest}  {kind}/{name}" for name, digest in sorted(digests(files).items())]
    return lines


def test_a_site_from_a_stored_database_is_byte_for_byte_what_it_was(tmp_path: Path) -> None:
    assert found(tmp_path) == DIGESTS.read_text("ascii").splitlines()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        DIGESTS.write_text("\n".join(found(Path(name))) + "\n", "ascii")
