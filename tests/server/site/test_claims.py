"""Pages claim nothing that the published figures do not carry: with noise, about intervals, about
who was served what."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mars_server.site.charts.tellable import tells_shares
from mars_server.site.pages.address import parse
from mars_server.site.pages.events import events
from mars_server.site.pages.language import LANGUAGES, language
from mars_server.tables.estimate import Interval
from mars_server.tables.floor import floor
from mars_server.tables.noise import SURE, TOLD, Noise, deviation
from mars_server.tables.signed_documents import Served
from mars_server.tables.week import TABLES, Row, Week
from tests.server.publication import kit
from tests.server.publication.kit import Counted

EPSILON = 1.0
NOISE = Noise(b"a secret of thirty-two bytes ....", EPSILON)
FEW = Counted(
    plain=15,
    tables={
        "v": {"0.5.1": 10, "0.5.2": 20},
        "os": {"linux": 30},
        "ia": {"10": 10, "100": 20},
    },
)
MANY = Counted(
    plain=1500,
    tables={
        "v": {"0.5.1": 1000, "0.5.2": 2000},
        "os": {"linux": 3000},
        "ia": {"10": 1000, "100": 2000},
    },
)
WEEKLY = Interval(7.0, 10.0)


def page(weeks: list[Week], path: str, **options: object) -> str:
    address = parse(path)
    assert address is not None
    content = kit.site(weeks, **options).content(address)  # type: ignore[arg-type]
    assert content is not None
    return content.decode()


def noisy(folder: Path, counted: Counted, number: int = 12) -> list[Week]:
    return kit.published(folder, {kit.week(n): counted for n in range(number)}, noise=NOISE)


def told(weeks: list[Week], code: str = "en") -> list[tuple[str, str]]:
    """Week and kind of every event, oldest first."""
    return [(event.week, event.kind) for event in events(weeks, [], code)][::-1]


def test_the_noise_passes_its_marks_as_rarely_as_they_say() -> None:
    names = [("examplemail", "stable", str(n)) for n in range(20_000)]
    samples = [NOISE.sample(*name) for name in names]
    s = deviation(EPSILON)
    assert sum(each >= TOLD * s for each in samples) / len(samples) == pytest.approx(1 / 40, 0.2)
    assert sum(each >= SURE * s for each in samples) / len(samples) == pytest.approx(1e-3, 0.6)


def test_noise_is_no_event(tmp_path: Path) -> None:
    """Thirty hits a week under noise of 42: nothing was late, no release came."""
    weeks = noisy(tmp_path, FEW, 26)
    assert any(week.late.least for week in weeks), "the figures themselves do hold such numbers"
    assert told(weeks) == []
    flagged = [replace(weeks[0], flags=("disturbed",))]
    assert "or the noise may be behind it" in page(flagged, "events/index.html")


def test_noise_alone_tells_no_share_whatever_the_key(tmp_path: Path) -> None:
    """120 weeks of thirty hits: that is a thousand rows, of which noise lifts 25 above its mark."""
    above = 0
    for n in range(10):
        folder = tmp_path / str(n)
        folder.mkdir()
        noise = Noise(bytes([n]) * 32, EPSILON)
        weeks = kit.published(folder, {kit.week(m): FEW for m in range(12)}, noise=noise)
        for week in weeks:
            assert not [name for name in ("level", "v", "os", "ia") if tells_shares(name, week)]
            above += sum(week.tells(row.count) for name in TABLES for row in week.tables[name])
    assert above > 10


def test_what_exceeds_the_noise_is_an_event_in_other_words(tmp_path: Path) -> None:
    weeks = noisy(tmp_path, FEW, 2)
    rows = (Row("0.5.2", floor(1500)),)
    last = replace(weeks[1], tables={**weeks[1].tables, "v": rows}, late=floor(2000), flags=())
    text = page([weeks[0], last], "events/index.html")
    assert "About 2,000 hits of earlier weeks came too late." in text
    assert "Version 0.5.2 was first seen in more hits than noise explains." in text


@pytest.mark.parametrize("code", LANGUAGES)
def test_noise_is_no_share(tmp_path: Path, code: str) -> None:
    weeks = noisy(tmp_path, FEW)
    assert any(row.count.least for row in weeks[-1].tables["v"]), "rows that noise alone made"
    folder = "" if code == "en" else f"{code}/"
    for path in ("", "v/", "os/", "ia/"):
        text = page(weeks, f"{folder}{path}index.html")
        body = text.partition("<main")[2].partition("</main>")[0]
        assert "<meter" not in body, path
        assert "\xa0%" not in body.replace("95-%", "").replace("95%", ""), path
    assert "newest version seen" not in page(weeks, "index.html")


def test_enough_hits_are_told_with_their_noise(tmp_path: Path) -> None:
    text = page(noisy(tmp_path, MANY, 2), "index.html")
    assert "On 0.5.2, the newest version seen" in text
    assert "<meter" in text
    assert "Every number of hits carries noise, in 19 of 20 cases less than 90 up or down" in text
    assert text.count("less than 90 up or down") == 2, "beside the figures and below every page"


def test_less_than_ten_means_something_else_with_noise(tmp_path: Path) -> None:
    weeks = noisy(tmp_path, FEW, 1)
    downloads, method = page(weeks, "downloads/index.html"), page(weeks, "method/index.html")
    assert "from 0 to 9 hits" not in downloads
    assert "less than ten after noise was added" in downloads
    assert "H + 9 true ones" not in method
    assert "0–9 is shown as" not in downloads.partition("<footer")[2]
    hidden = [replace(weeks[0], hits=floor(3))]
    assert "Fewer than ten hits were counted" not in page(hidden, "index.html")
    assert "With the noise fewer than ten hits are left" in page(hidden, "index.html")
    plain = kit.published(tmp_path, {kit.week(1): FEW})
    assert "from 0 to 9 hits" in page(plain[1:], "downloads/index.html")


@pytest.mark.parametrize("code", LANGUAGES)
def test_the_method_page_looks_at_every_week(tmp_path: Path, code: str) -> None:
    say = language(code)
    path = "method/index.html" if code == "en" else f"{code}/method/index.html"
    weeks = noisy(tmp_path, MANY, 2)
    ended = [weeks[0], replace(weeks[1], noise=None)]
    begun = [replace(weeks[0], noise=None), weeks[1]]
    none = [replace(week, noise=None) for week in weeks]
    in_part = say.gettext("Some weeks have no noise: those without noise_epsilon in hits.csv.")
    without = say.gettext("No noise is added.")
    for mixed in (ended, begun):
        assert in_part in page(mixed, path)
        assert without not in page(mixed, path)
    assert in_part not in page(weeks, path)
    assert without not in page(weeks, path)
    assert without in page(none, path)
    other = [replace(weeks[0], noise=0.5), weeks[1]]
    assert f"{say.number(0.5)}, 1" in page(other, path)


def steered(weeks: list[Week], *laws: Interval) -> list[Week]:
    """The weeks under these laws, all of them flagged, as those under another than the default."""
    return [
        replace(week, interval=law, flags=("steered",))
        for week, law in zip(weeks, laws, strict=True)
    ]


def test_an_interval_is_told_where_it_begins_and_not_again(tmp_path: Path) -> None:
    weeks = kit.published(tmp_path, {kit.week(n): MANY for n in range(6)})
    usual = weeks[0].interval
    always = steered(weeks, *[WEEKLY] * 6)
    assert told(always) == [(kit.week(0), "steered")]
    assert "asks for 7–10 days between requests, not for 3–10" in page(always, "events/index.html")
    table = page(always, "hits/index.html")
    assert table.count("<td>every 7–10 days</td>") == 6
    assert "interval changed" not in table
    changed = [*weeks[:2], *steered(weeks[2:], WEEKLY, WEEKLY, usual, usual)]
    assert told(changed) == [(kit.week(2), "steered"), (kit.week(4), "steered")]
    text = page(changed, "events/index.html")
    assert "from 3–10 to 7–10 days" in text
    assert "from 7–10 to 3–10 days" in text
    assert page(changed, "hits/index.html").count("<td>interval changed</td>") == 2


def test_a_change_and_back_within_one_week_is_told_once(tmp_path: Path) -> None:
    weeks = kit.published(tmp_path, {kit.week(n): MANY for n in range(4)})
    usual = weeks[0].interval
    assert told([weeks[0], *steered(weeks[1:], usual, usual, usual)]) == [(kit.week(1), "steered")]


def test_every_interval_of_a_document_can_be_written() -> None:
    assert language("en").interval(Interval(7.25, 10.25)) == "7.25–10.25"
    assert language("de").interval(Interval(7.25, 10.25)) == "7,25–10,25"


@pytest.mark.parametrize("code", LANGUAGES)
def test_nobody_is_told_that_a_file_was_meant_for_him_alone(code: str) -> None:
    path = "downloads/index.html" if code == "en" else f"{code}/downloads/index.html"
    alone = {"en": "for you alone", "de": "nur für Sie bestimmt"}[code]
    maybe = {"en": "may also have been", "de": "kann aber auch"}[code]
    assert alone not in page([], path)
    named = page([], path, documents=[Served("a" * 64, "b" * 64, kit.LATER)])
    assert maybe in named
    assert alone in named
    assert named.index(maybe) < named.index(alone)
    assert "documents.json" in named
