"""Writes the site into its folder: figures, then pages and pictures, then the index of them all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mars.wire.ed25519 import public_key, sign
from mars.wire.product import Product
from mars_server.charts import published as drawn
from mars_server.pages.site import Site
from mars_server.publication import index
from mars_server.publication.folder import DATA, clear, foreign, write_files


@dataclass(frozen=True)
class Written:
    """What came of it."""

    changed: int
    """Files that were new or changed."""
    foreign: list[str]
    """Files in the folder that are none of the site's, by path below it."""


def write_site(
    out: Path,
    product: Product,
    figures: Mapping[str, bytes],
    site: Site,
    notes: Mapping[str, bytes],
    seed: bytes | None,
) -> Written:
    """Brings the folder ``out`` up to date. ``figures`` by name in ``data/``, ``notes`` by path;
    ``seed`` is the operator's secret key, None to leave the index unsigned.

    Hashes are those of what was made, not of what stands in the folder. The index goes last, so
    that it never names what is not there yet. Raises ``StateError`` (``site-unwritable``).
    """
    key = {} if seed is None else {index.PUBLIC_KEY: index.public_pem(public_key(seed))}
    in_data = {**figures, **key}
    files = {name: index.entry(content) for name, content in in_data.items()}
    changed = write_files(out, _placed(in_data), durable=True)
    pages: dict[str, index.Entry] = {}
    for path, content in site.export():  # one by one: together they are large
        pages[path] = index.entry(content)
        changed += write_files(out, {path: content})
    hashes = {path: entry.sha256 for path, entry in pages.items()}
    beside = {drawn.FILE: drawn.listing(site.charts(), hashes), **notes}
    pages |= {path: index.entry(content) for path, content in beside.items()}
    changed += write_files(out, beside)
    listing = index.index_bytes(product, files, pages, signed=seed is not None)
    last = {index.INDEX: listing}
    if seed is None:  # what an earlier run signed is not this index
        for name in (index.SIGNATURE, index.PUBLIC_KEY):
            (out / DATA / name).unlink(missing_ok=True)
    else:
        last[index.SIGNATURE] = sign(seed, listing)
    changed += write_files(out, _placed(last), durable=True)
    ours = {*_placed({**in_data, **last}), *pages}
    for folder in {(out / path).parent for path in ours}:
        clear(folder)
    return Written(changed, foreign(out, ours))


def _placed(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Files of ``data/`` by path from the site's root."""
    return {f"{DATA}/{name}": content for name, content in files.items()}
