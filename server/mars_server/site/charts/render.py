"""Turns a chart into files; the one home of vl-convert and Pillow.

Everything is rendered offline from a specification of ours and rows of published figures: no URL
is ever loaded. Of what others wrote only the titles of faults reach the renderer, as data.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Final

VEGA_LITE: Final = "6.4"
"""The bundled version of Vega-Lite that the specifications are written for."""
_SCALE: Final = 2
"""Pixels per CSS pixel, for sharp screens."""
COLOURS: Final = 64
"""Palette size of a PNG; flat charts need few, and a page should stay light."""

_HEX = re.compile(r"#[0-9a-f]{6}")

Rows = Sequence[Mapping[str, object]]


@dataclass(frozen=True)
class Picture:
    """One chart, light and dark."""

    svg: bytes
    png: bytes
    png_dark: bytes

    @property
    def files(self) -> dict[str, bytes]:
        """By the name under which each is published."""
        return {"chart.svg": self.svg, "chart.png": self.png, "chart-dark.png": self.png_dark}

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in CSS pixels, from the header of the PNG (PNG, section 11.2.2)."""
        width, height = (int.from_bytes(self.png[at : at + 4], "big") for at in (16, 20))
        return width // _SCALE, height // _SCALE


@dataclass(frozen=True)
class Chart:
    """What is to be drawn: a specification by name, and its data sets by theirs."""

    spec: str
    datasets: Mapping[str, Rows]
    ticks: Sequence[str] = ()
    """Days (ISO) that are named on the time axis."""
    tick_format: str = ""
    """How they are named (d3-time-format)."""
    domain: tuple[str, str] | None = None
    """First day of the time axis, and the day after its last."""
    height: int | None = None
    """Pixels, where the specification leaves it open."""
    narrow: bool = False
    """For the width of a phone, where the text keeps its size."""
    numbers: Mapping[str, object] = field(default_factory=dict)
    """How numbers are written (d3-format's locale definition); without it as in English."""


def render(chart: Chart) -> Picture:
    """Draws ``chart`` twice. Takes some 0.5 s of CPU; the same input gives the same bytes."""
    import vl_convert

    svg: str = vl_convert.vegalite_to_svg(full_spec(chart), VEGA_LITE, allowed_base_urls=[])
    light, dark = (_png(vl_convert.svg_to_png(each, scale=_SCALE)) for each in (svg, darken(svg)))
    return Picture(svg.encode("utf-8"), light, dark)


def full_spec(chart: Chart) -> dict[str, Any]:
    """The complete Vega-Lite document: specification, theme, time axis and data."""
    spec: dict[str, Any] = deepcopy(_json(chart.spec))
    spec["config"] = dict(_json("theme"))
    if chart.numbers:
        spec["config"]["locale"] = {"number": dict(chart.numbers)}
    if chart.height is not None:
        spec["height"] = chart.height
    if chart.narrow:
        spec |= spec["usermeta"]["narrow"]
    if chart.domain:
        _name_days(spec, chart, chart.domain)
    spec["datasets"] = {name: list(rows) for name, rows in chart.datasets.items()}
    return spec


def _name_days(spec: dict[str, Any], chart: Chart, domain: tuple[str, str]) -> None:
    """Puts both ends and the days to name into the time axis, which stands at the top or in a
    layer."""
    for each in (spec, *spec["layer"]):
        x = each.get("encoding", {}).get("x", {})
        if "axis" in x:
            days = [_moment(day) for day in chart.ticks[:: 2 if chart.narrow else 1]]
            x["axis"] |= {"values": days, "format": chart.tick_format}
            x["scale"] |= {"domain": [_moment(day) for day in domain]}


def _moment(day: str) -> dict[str, object]:
    year, month, number = (int(part) for part in day.split("-"))
    return {"year": year, "month": month, "date": number, "utc": True}


def darken(svg: str) -> str:
    """The same drawing in the colours of the dark theme (``specs/dark.json``)."""
    table = dark_colours()
    return _HEX.sub(lambda match: table.get(match[0], match[0]), svg)


def dark_colours() -> Mapping[str, str]:
    """Which colour of the light theme becomes which of the dark one."""
    return _json("dark")


def _png(data: bytes) -> bytes:
    """``data`` with a small palette and without metadata."""
    from PIL import Image

    with Image.open(io.BytesIO(data)) as picture:
        small = picture.convert("RGB").quantize(
            COLOURS, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE
        )
    out = io.BytesIO()
    small.save(out, "PNG", optimize=True)
    return out.getvalue()


@cache
def _json(name: str) -> dict[str, Any]:
    text = files("mars_server.site.charts").joinpath("specs", f"{name}.json").read_text("utf-8")
    table: dict[str, Any] = json.loads(text)
    return table
