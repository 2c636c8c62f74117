"""Documents of declared statistics with everything a page can meet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from mars.wire.catalogue import Catalogue
from mars.wire.registry import Metric
from mars_server.common.calendar import span
from mars_server.site.charts.store import ChartStore
from mars_server.site.pages.address import parse
from mars_server.site.pages.render import Contents
from mars_server.site.pages.site import Site
from mars_server.tables.estimate import Estimate
from mars_server.tables.floor import NO_DATA, floor
from mars_server.tables.quarters import Summed, beginning
from mars_server.tables.statistics_week import (
    Entry,
    Release,
    Share,
    StatisticsWeek,
    Value,
)
from tests.server.publication import kit
from tests.server.site.test_stored_site import undrawn

Counts = Mapping[str, int]
WEEKS = list(span("2026-W27", "2026-W44"))


def metric(project: str, key: str, kind: str = "bool", **more: object) -> Metric:
    texts = {
        "label": key.replace("_", " ").capitalize(),
        "description": f"What {key} is.",
        "reason": f"Decides what becomes of {key}.",
        "owner": "mail list team",
        "review": "https://example.org/reviews/12",
        "sensitivity": "interaction",
        "expires": date(2027, 12, 31),
        "declared": date(2026, 6, 1),
    }
    return Metric(key=key, project=project, type=kind, **{**texts, **more})  # type: ignore[arg-type]


FOLDERS = metric(
    "examplemail",
    "folders",
    "bucket",
    bounds=(1, 10, 1000),
    label="Mail folders",
    description="How many mail folders there are, in coarse steps.",
    reason="Decides whether the folder list needs a search field.",
)
PROTOCOL = metric(
    "examplemail",
    "protocol",
    "enum",
    values=("imap", "pop3", "jmap", "other"),
    label="Mail protocol",
    description="By which protocol the first account fetches mail.",
    reason="Decides which protocol is worked on first.",
    sensitivity="technical",
)
ENCRYPTED = metric(
    "examplemail",
    "encryption_used",
    rate=0.07,
    epsilon=1.0986,
    label="Encryption used",
    description="Whether an encrypted mail was sent in the period.",
    reason="Says whether encryption is found by those who look for it.",
)
GPG = metric(
    "gnupg-bridge",
    "gnupg",
    "version",
    label="GnuPG version",
    description="The version of GnuPG that the bridge found.",
    reason="Decides when support for old versions ends.",
    sensitivity="technical",
)
OLD = metric("gnupg-bridge", "smartcard", withdrawn=date(2026, 9, 7))
ENDED = metric("gnupg-bridge", "agent", expires=date(2026, 10, 1))
NEW = metric("gnupg-bridge", "keys", "bucket", bounds=(1, 10), declared=date(2026, 10, 30))
CATALOGUE = Catalogue(
    "examplemail",
    "stable",
    releases=("0.5.1", "0.5.2"),
    metrics=(FOLDERS, PROTOCOL, ENCRYPTED, GPG, OLD, ENDED, NEW),
)


def share(count: int, total: int) -> Share | None:
    """Near enough to a real one to look at."""
    if total < 10:
        return None
    part = count / total
    around = 1.96 * (max(part, 0.02) * (1 - min(part, 0.98)) / total) ** 0.5
    low, high = (min(100, max(0, round(100 * (part + each)))) for each in (-around, around))
    return Share(round(100 * part) if count >= 10 else None, low if count >= 10 else 0, high)


def estimate(total: int, rate: float) -> Estimate:
    middle = total / rate
    return Estimate(round(middle), int(middle * 0.87), int((total + 9) * 1.13 / rate))


def entry(one: Metric, period: Summed, counts: Counts, flags: Sequence[str] = ()) -> Entry:
    """As counted in ``period``; nothing counted is no data."""
    total = sum(counts.values())
    if not total:
        return Entry(one, period, NO_DATA)
    return Entry(
        one,
        period,
        floor(total),
        estimate(total // period.weeks, one.rate),
        consenting=min(99, total // 12) or None,
        values=tuple(Value(each, floor(n), share(n, total)) for each, n in counts.items()),
        releases=tuple(
            Release(name, floor(n), rows if n >= 10 else ())
            for name, part in (("0.5.1", 3), ("0.5.2", 2), ("other", 20))
            for n in (total // part,)
            for rows in (tuple(Value(each, floor(m // part)) for each, m in counts.items()),)
        ),
        flags=tuple(flags),
    )


def counted(one: Metric, n: int) -> Counts:
    """Of the ``n``-th week, or period."""
    return {
        "folders": {"0": 7, "1-9": 60 + n, "10-999": 90 + 4 * n, "1000+": 14},
        "protocol": {"imap": 80 + 3 * n, "pop3": 46 - 2 * n, "jmap": 5 + n, "other": 3},
        "encryption_used": {"false": 90 - 2 * n, "true": 80 + 3 * n},
        "gnupg": {"2.2": 48, "2.4": 40 + 8 * n, "2.5": 2 * n, "other": 6},
        "smartcard": {"false": 30, "true": 4},
        "agent": {"false": 3, "true": 4},
    }[one.key]


def weekly(names: Sequence[str] = WEEKS) -> list[StatisticsWeek]:
    """One document a week: gaps, a disturbed week, periods of four weeks, entries that end."""
    return [document(name, n) for n, name in enumerate(names)]


def document(name: str, n: int = 0) -> StatisticsWeek:
    alone = Summed(1, name, name)
    first = beginning(WEEKS[0], 4)
    period = first
    while period.last < name:
        period = beginning(list(span(period.last, name))[1], 4)
    gap = n == 5
    entries = [
        entry(one, alone, {} if gap else counted(one, n), ["disturbed"] if n == 9 else [])
        for one in (FOLDERS, PROTOCOL)
    ]
    ends = period.last == name
    entries += [
        entry(one, period, counted(one, n) if ends else {})
        for one in (ENCRYPTED, GPG, OLD)
        if one is not OLD or name < "2026-W37"
    ]
    entries.append(entry(ENDED, alone, counted(ENDED, n)))
    entries.sort(key=lambda each: each.name)
    return StatisticsWeek("examplemail", "stable", name, None, (), floor(3), tuple(entries))


def site(
    weeks: Sequence[StatisticsWeek],
    catalogue: Catalogue | None = CATALOGUE,
    **options: object,
) -> Site:
    contents = Contents(kit.PRODUCT, [], reports=weeks, catalogue=catalogue, **options)  # type: ignore[arg-type]
    return Site(contents, ChartStore(renderer=undrawn))


def page(pages: Site, path: str) -> str:
    address = parse(path)
    assert address is not None, path
    content = pages.content(address)
    assert content is not None, path
    return content.decode()
