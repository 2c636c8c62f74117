"""What the method page says suffices: every figure recomputed from the CSV files, by other code."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable
from pathlib import Path

import pytest
from scipy.stats import chi2

from mars_server.site.pages.address import parse
from mars_server.tables.downloads import data_files
from mars_server.tables.noise import Noise
from mars_server.tables.week import Week
from tests.server.publication import kit
from tests.server.publication.kit import Counted

NOISE = Noise(b"a secret of thirty-two bytes ....", 3.0)
HITS = [3, 10, 19, 21, 30, 47, 99, 345, 1000, 12_345, 999_999]


def weeks(folder: Path, noise: Noise | None = None) -> list[Week]:
    counted = {
        kit.week(n): Counted(
            plain=0, tables={"os": {"linux": hits // 3, "macos": hits - hits // 3}}
        )
        for n, hits in enumerate(HITS)
    }
    return kit.published(folder, counted, noise=noise)


def rows(found: list[Week], name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data_files(found)[name].decode())))


def two_digits(value: float, rounding: Callable[[float], int]) -> int:
    unit = 1 if value < 100 else int(10 ** (len(str(int(value))) - 2))
    return rounding(value / unit) * unit


def poisson(hits: int, end: str) -> float:
    """Garwood's limits by the chi-square distribution."""
    if end == "low":
        return float(chi2.ppf(0.025, 2 * hits) / 2) if hits else 0.0
    return float(chi2.ppf(0.975, 2 * (hits + 1)) / 2)


def test_estimates_follow_from_hits_csv(tmp_path: Path) -> None:
    for row in rows(weeks(tmp_path), "hits.csv"):
        least = 0 if row["hits"] == "<10" else int(row["hits"])
        most = least + 9
        assert (row["interval_from"], row["interval_to"]) == ("3.0", "10.0")
        assert row["noise_epsilon"] == ""
        low = least - 1.96 * math.sqrt(0.2563 * least) if least >= 30 else poisson(least, "low")
        high = most + 1.96 * math.sqrt(0.2563 * most) if most >= 30 else poisson(most, "high")
        assert int(row["low"]) == two_digits(6.5 / 7 * low, math.floor)
        assert int(row["high"]) == two_digits(6.5 / 7 * high, math.ceil)
        assert int(row["installations"]) == two_digits(6.5 / 7 * (least + 4.5), round)


def test_with_noise_too(tmp_path: Path) -> None:
    found = weeks(tmp_path, NOISE)
    text = kit.site(found).content(parse("method/index.html"))  # type: ignore[arg-type]
    assert text is not None
    z = float(text.decode().split("(H − ")[-1].split(" ×")[0])
    share = int(text.decode().split("exp(−epsilon / ")[-1].split(")")[0])
    for row in rows(found, "hits.csv"):
        least = 0 if row["hits"] == "<10" else int(row["hits"])
        a = math.exp(-float(row["noise_epsilon"]) / share)
        s = math.sqrt(2 * a) / (1 - a)
        assert f"s = {s:.1f})" in text.decode()
        low = max(0.0, least - z * math.sqrt(least + s**2))
        high = least + 9 + z * math.sqrt(least + 9 + s**2)
        assert int(row["low"]) == two_digits(6.5 / 7 * low, math.floor)
        assert int(row["high"]) == two_digits(6.5 / 7 * high, math.ceil)


@pytest.mark.parametrize("noise", [None, NOISE])
def test_percentages_follow_from_the_floors(tmp_path: Path, noise: Noise | None) -> None:
    found = weeks(tmp_path, noise)
    by_week: dict[str, list[dict[str, str]]] = {}
    for row in rows(found, "os.csv"):
        if row["value"] != "none":
            by_week.setdefault(row["week"], []).append(row)
    for table in by_week.values():
        counts = [int(row["count"]) if row["count"].isdigit() else 0 for row in table]
        for row, count in zip(table, counts, strict=True):
            shown = str(math.floor(100 * count / sum(counts) + 0.5)) if count else ""
            assert row["percent"] == shown
