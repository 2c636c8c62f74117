"""thin"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from mars.wire.product import Product
from mars_server.publication.document import Week


class Site:
    def __init__(self, product: Product, weeks: Sequence[Week], *, signed: bool) -> None:
        self.product = product
        self.weeks = weeks
        self.signed = signed

    def export(self) -> dict[str, bytes]:
        rows = "".join(
            f"<tr><td>{escape(w.week)}</td><td>{escape(str(w.hits.value))}</td></tr>"
            for w in self.weeks
        )
        html = f"<!doctype html><title>{escape(self.product.product)}</title><table>{rows}</table>"
        return {"index.html": html.encode()}
