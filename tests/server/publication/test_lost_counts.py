"""What docs/operating.md advises whoever has lost the counts."""

from __future__ import annotations

from pathlib import Path

from mars_server.publication.closing import close_weeks
from mars_server.tables.week import encode
from tests.server.publication import kit

PAGE = Path(__file__).parents[3] / "docs/operating.md"


def test_lost_counts_change_no_published_week(tmp_path: Path, publish: kit.Publish) -> None:
    """The logs that are left hold a part of a published week, and a week that was not yet."""
    site = tmp_path / "site"
    before = publish(kit.database(tmp_path, kit.usual_weeks(3)), site, kit.RULES, kit.LATER).weeks
    for name in ("new", "empty"):
        (tmp_path / name).mkdir()
    left = {kit.week(2): kit.Counted(plain=150), kit.week(3): kit.USUAL}
    engine = kit.database(tmp_path / "new", left)
    after = publish(engine, site, kit.RULES, kit.LATER, adopt=True).weeks
    assert [encode(week) for week in after[:3]] == [encode(week) for week in before]
    assert [week.week for week in after] == [kit.week(number) for number in range(4)]
    anew = close_weeks(kit.database(tmp_path / "empty", left), kit.RULES, kit.LATER)
    assert encode(anew[0]) != encode(before[2]), "an empty folder would have other numbers"
    row = next(
        line for line in PAGE.read_text().splitlines() if "| the counts, no backup |" in line
    )
    assert "`publish --adopt` into the old folder" in row
