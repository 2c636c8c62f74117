"""Charts: the same figures give the same bytes, kept within bounds, drawn without any network."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import partial
from importlib.resources import files
from pathlib import Path

import pytest
from PIL import Image

from mars_server.common.calendar import monday
from mars_server.site.charts.data import COLOURS, bands, installations_chart, shares_chart
from mars_server.site.charts.render import Chart, Picture, darken, full_spec, render
from mars_server.site.charts.store import LIST, ChartStore, find_published, key
from mars_server.site.charts.tellable import runs
from mars_server.site.language import language
from mars_server.tables.floor import floor
from mars_server.tables.week import Row, Week
from tests.server.publication import kit
from tests.server.site.conftest import GAP, WEEKS, Published

SAY = language("en")


@pytest.fixture
def weeks(published: Published) -> list[Week]:
    return list(published.outcome.weeks)


def test_a_chart_drawn_in_another_process_has_the_same_bytes(
    weeks: list[Week], published: Published
) -> None:
    chart = shares_chart("os", weeks, SAY)
    program = (
        "import sys, pathlib, hashlib\n"
        "from mars_server.site.charts.data import shares_chart\n"
        "from mars_server.site.charts.render import render\n"
        "from mars_server.site.language import language\n"
        "from mars_server.publication.folder import read_weeks\n"
        "weeks = read_weeks(pathlib.Path(sys.argv[1]))\n"
        "picture = render(shares_chart('os', weeks, language('en')))\n"
        "sys.stdout.buffer.write(picture.svg + picture.png + picture.png_dark)\n"
    )
    data = str(published.folder / "data")
    other = subprocess.run([sys.executable, "-c", program, data], capture_output=True, check=True)
    mine = render(chart)
    assert other.stdout == mine.svg + mine.png + mine.png_dark


def test_the_renderer_loads_nothing(weeks: list[Week]) -> None:
    import vl_convert

    spec = full_spec(installations_chart(weeks, SAY))
    spec["data"] = {"url": "http://127.0.0.1:9/data.json"}
    with pytest.raises(ValueError, match="not allowed"):
        vl_convert.vegalite_to_svg(spec, "6.4", allowed_base_urls=[])


def test_specifications_are_readable_and_name_no_address() -> None:
    for path in files("mars_server.site.charts").joinpath("specs").iterdir():
        table = json.loads(path.read_text("utf-8"))
        assert "url" not in json.dumps({k: v for k, v in table.items() if k != "$schema"})


def test_colours_of_the_charts_have_a_dark_twin_and_stand_in_the_style_sheet() -> None:
    style = files("mars_server.site.pages").joinpath("static", "style.css").read_text("utf-8")
    for number, colour in enumerate(COLOURS, start=1):
        assert f"--s{number}: {colour}" in style
        assert darken(colour) != colour
        assert f"--s{number}: {darken(colour)}" in style


def test_a_week_without_data_breaks_the_line(weeks: list[Week]) -> None:
    assert [len(part) for part in runs(weeks)] == [GAP, WEEKS - GAP - 1]
    days = {row["x"] for row in shares_chart("v", weeks, SAY).datasets["bands"]}
    assert len(days) == WEEKS - 1 + 2  # each stretch ends where its last week ends


def test_at_most_seven_bands_and_a_rest(weeks: list[Week]) -> None:
    rows = tuple(Row(f"1.{n}", floor(100 + n)) for n in range(12))
    many = replace(weeks[0], tables={**weeks[0].tables, "v": rows})
    found = bands("v", [many])
    assert [band.number for band in found] == [*range(1, len(COLOURS) + 1), 0]
    assert sorted(value for band in found for value in band.values) == sorted(
        row.value for row in rows
    )


def test_pictures_are_kept_within_bounds_and_damage_is_drawn_again(tmp_path: Path) -> None:
    drawn: list[Chart] = []

    def draw(chart: Chart) -> Picture:
        drawn.append(chart)
        return Picture(b"svg", b"png", b"dark")

    charts = [Chart("shares", {"bands": [{"n": n}], "labels": []}) for n in range(5)]
    store = ChartStore(tmp_path, limit=3, renderer=draw)
    for chart in charts:
        store.picture(key(chart), lambda chart=chart: chart)  # type: ignore[misc]
    assert len(list(tmp_path.iterdir())) == 3
    fresh = ChartStore(tmp_path, limit=3, renderer=draw)
    assert fresh.picture(key(charts[4]), lambda: charts[4]).png == b"png"
    assert len(drawn) == 5
    path = tmp_path / key(charts[4])
    for damage in (b"", b"{}", path.read_bytes()[:-1], path.read_bytes().replace(b"png", b"PNG")):
        path.write_bytes(damage)
        before = len(drawn)
        ChartStore(tmp_path, limit=3, renderer=draw).picture(key(charts[4]), lambda: charts[4])
        assert len(drawn) == before + 1


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{}", '{"charts": {}}', '{"charts": ["v"]}', '{"charts": [{"folder": "v"}]}'),
        '{"charts": [{"folder": "v", "key": "KEY", "sha256": "0"}]}',
        '{"charts": [{"folder": "../v", "key": "KEY", "sha256": "HASH"}]}',
        '{"charts": [{"folder": "os", "key": "KEY", "sha256": "HASH"}]}',
        '{"charts": [{"folder": "x", "key": "KEY", "sha256": "HASH"}]}',
        '{"charts": [{"folder": 1, "key": "KEY", "sha256": "HASH"}]}',
    ],
)
def test_a_published_chart_is_taken_by_its_hash_alone(
    tmp_path: Path, published: Published, text: str
) -> None:
    site = tmp_path / "a/site"
    shutil.copytree(published.folder, site)
    shutil.copytree(published.folder / "v", tmp_path / "a/v")
    charts = json.loads((site / LIST).read_bytes())["charts"]
    entry = next(each for each in charts if each["folder"] == "v")
    found = find_published(site, entry["key"])
    assert found is not None
    assert found.svg == (site / "v/chart.svg").read_bytes()
    assert found.png == (site / "v/chart.png").read_bytes()
    assert found.png_dark == (site / "v/chart-dark.png").read_bytes()
    with Image.open(site / "v/chart.png") as picture:
        assert picture.size == tuple(2 * length for length in found.size)
    wrong = text.replace("KEY", entry["key"]).replace("HASH", entry["sha256"])
    (site / LIST).write_text(wrong)
    assert find_published(site, entry["key"]) is None


def test_a_picture_has_few_colours_and_twice_the_pixels(published: Published) -> None:
    with Image.open(published.folder / "v/chart.png") as picture:
        assert picture.mode == "P"
        width, height = picture.size
    page = (published.folder / "v/index.html").read_text()
    assert f'width="{width // 2}" height="{height // 2}"' in page


def test_a_cache_that_cannot_be_written_costs_no_picture(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    chart = Chart("shares", {"bands": [], "labels": []})
    store = ChartStore(tmp_path / "file", renderer=lambda _: Picture(b"s", b"p", b"d"))
    assert store.picture(key(chart), lambda: chart).png == b"p"


def test_releases_are_marked_where_they_begin(weeks: list[Week]) -> None:
    """Those of one week together, and a name only where there is room."""
    weeks = [replace(weeks[0], week=kit.week(n), periods={}) for n in range(20)]
    seen = [("0.1", weeks[0]), ("0.5", weeks[5]), ("0.6", weeks[5]), ("0.7", weeks[15])]
    for narrow in (False, True):
        chart = installations_chart(weeks, SAY, seen, narrow=narrow)
        assert [(row["x"], row["text"]) for row in chart.datasets["releases"]] == [
            (monday(weeks[15].week).isoformat(), "0.7"),
            (monday(weeks[5].week).isoformat(), "0.5, 0.6"),
        ]
    close = [("0.8.0", weeks[14]), ("0.9.0", weeks[15])]
    chart = installations_chart(weeks, SAY, close, narrow=True)
    assert [row["text"] for row in chart.datasets["releases"]] == ["0.9.0", ""]


def test_a_narrow_chart_is_narrow(weeks: list[Week]) -> None:
    for make in (installations_chart, partial(shares_chart, "v")):
        wide, narrow = (render(make(weeks, SAY, (), narrow=each)).size for each in (False, True))
        assert narrow[0] <= 361 < wide[0]
        assert narrow[0] >= 330
