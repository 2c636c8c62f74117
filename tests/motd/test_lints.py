"""Declared statistics that nobody should collect are refused, and doubts are told."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from datetime import date, timedelta
from math import log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mars.wire.events import Dimension, Domain, ErrorName, read_errors
from mars.wire.product import Product
from mars.wire.registry import Metric, read_metrics
from mars_motd.lints import judged, judged_domains, of_releases
from mars_motd.template import ERRORS_TOML, METRICS_TOML

TODAY = date(2026, 12, 1)
PRODUCT = Product("examplemail", "stable", ("0.5.1", "0.5.2"), (), ())
GOOD = Metric(
    key="protocol",
    project="examplemail",
    label="Mail protocol",
    description="By which protocol mail comes.",
    reason="Decides what is worked on first.",
    owner="mail team",
    review="https://example.org/reviews/13",
    sensitivity="technical",
    expires=date(2027, 12, 31),
    type="enum",
    values=("imap", "pop3"),
)


def found(*metrics: Metric, today: date = TODAY) -> tuple[list[str], list[str]]:
    """Errors and warnings."""
    every = list(judged(metrics, PRODUCT, today))
    return [it.text for it in every if not it.warning], [it.text for it in every if it.warning]


def errors(**change: object) -> list[str]:
    return found(replace(GOOD, **change))[0]  # type: ignore[arg-type]


def doubts(*more: Metric, **change: object) -> list[str]:
    wrong, told = found(replace(GOOD, **change), *more)  # type: ignore[arg-type]
    assert wrong == []
    return told


def test_a_sound_entry_raises_nothing() -> None:
    assert found(GOOD) == ([], [])


@pytest.mark.parametrize(
    ("today", "refused"), [(date(2027, 12, 30), False), (date(2027, 12, 31), True)]
)
def test_i18_the_day_it_expires_is_the_first_without_it(today: date, refused: bool) -> None:
    assert GOOD.is_live(today) is not refused
    assert bool(found(GOOD, today=today)[0]) is refused


def test_what_was_withdrawn_may_have_expired() -> None:
    gone = replace(GOOD, withdrawn=date(2027, 6, 1), epsilon=0.0)
    assert found(gone, today=date(2028, 1, 1)) == ([], [])
    assert not gone.is_live(date(2027, 6, 1))
    assert gone.is_live(date(2027, 5, 31))


@pytest.mark.parametrize(
    "change",
    [
        *({"key": it} for it in ("ip", "client_ip", "email_used", "mac_address", "user_name")),
        *({"key": it} for it in ("hostname", "device_uuid", "last_path", "client_id", "host_name")),
        *({"label": it} for it in ("IP address", "Last URL", "E-mail address", "Serial number")),
        *({"label": it} for it in ("clientIP", "User-name", "Login token", "Home location")),
        *({"label": it} for it in ("Computer name", "File names", "Phone number", "MAC")),
        *({"values": (it, "none")} for it in ("mac", "by_email", "username", "gps")),
    ],
)
def test_i18_what_names_something_that_identifies_is_refused(change: dict[str, object]) -> None:
    (said,) = errors(**change)
    assert "could identify" in said


@pytest.mark.parametrize(
    "change",
    [
        *(
            {"key": it}
            for it in ("ipc_used", "zip_archive", "shipping", "description", "pathology")
        ),
        *({"key": it} for it in ("emailing", "hosting", "serialised", "macro_used", "grid_view")),
        *({"label": it} for it in ("Address book used", "macOS theme", "Mac OS theme", "Names")),
        *({"label": it} for it in ("Form factor", "Curly quotes", "Tokenizer", "Validity")),
        {"values": ("linux", "windows", "mac")},
        {"values": ("phone", "tablet", "desktop")},
        {"description": "Whether the IP address is hidden.", "reason": "The path of the URL"},
        {"owner": "owner@example.org"},
    ],
)
def test_words_count_and_not_parts_of_words(change: dict[str, object]) -> None:
    assert errors(**change) == []


@pytest.mark.parametrize(
    "review",
    [
        *("TBD", "todo", "none", "yes", "asked Ada", "", "pending 2027", "TODO-1"),
        *("https://", "ftp://example.org/1", "https://example.org/a b", "http:///x"),
        *("https://bugs.example.org/show?id=TBD", "https://[::1", "javascript://x"),
    ],
)
def test_i18_a_review_that_is_none(review: str) -> None:
    assert errors(review=review) == [
        "review must be where it was reviewed: a URL, or a number such as BUG 1234 or #12"
    ]


@pytest.mark.parametrize(
    "review",
    [
        *("https://example.org/12", "http://review.example/", "1137353", "#12", "BUG 1234"),
        *("RFC-7", "team/repository#3", "!45", "2026-11-30 minutes"),
    ],
)
def test_a_review_that_can_be_looked_up(review: str) -> None:
    assert errors(review=review) == []


@pytest.mark.parametrize("name", ["label", "description", "reason", "owner"])
@pytest.mark.parametrize("character", ["\x1b", "\u202e", "\u200b", "\u2028", "\ufeff", "\r"])
def test_i18_what_cannot_be_seen_is_refused(name: str, character: str) -> None:
    """It would stand on a consent screen and on a page."""
    (said,) = errors(**{name: f"Mail{character}protocol"})
    assert said.startswith(f"{name} holds a character")
    assert errors(**{name: "Þjóðin – «póstur»\n搜集"}) == []


@pytest.mark.parametrize(
    ("rate", "epsilon", "refused"),
    [
        *((0.07, 1.0986, False), (0.0701, 1.0986, True), (0.25, 1.0986, True)),
        *((1.0, 0.0769, False), (1.0, 0.077, True), (0.0077, 10.0, True), (0.0076, 10.0, False)),
    ],
)
def test_i18_randomness_must_not_average_out_within_a_year(
    rate: float, epsilon: float, refused: bool
) -> None:
    assert round(log(3), 4) == 1.0986
    said = errors(rate=rate, epsilon=epsilon)
    assert bool(said) is refused
    if refused:
        most = float(said[0].rpartition("a rate of ")[2].split()[0])
        assert errors(rate=most, epsilon=epsilon) == []


def many(rates: list[float], project: str = "examplemail") -> list[Metric]:
    return [
        replace(GOOD, key=f"entry_{n}", project=project, rate=rate) for n, rate in enumerate(rates)
    ]


@pytest.mark.parametrize(
    ("rates", "refused"),
    [([0.25] * 8, False), ([0.25] * 8 + [0.0001], True), ([0.1] * 20, False), ([1.0, 1.0], False)],
)
def test_i18_a_week_has_room_for_two_reports(rates: list[float], refused: bool) -> None:
    said = found(*many(rates))[0]
    assert bool(said) is refused


def test_rates_of_all_projects_add_up_but_not_of_what_has_ended() -> None:
    full = [*many([0.5] * 2), *many([0.5] * 3, "plugin")]
    assert "add up to 2.5" in found(*full)[0][0]
    gone = [replace(it, withdrawn=TODAY) for it in full[2:]]
    assert found(*full[:2], *gone)[0] == []
    assert found(*full[:2], *(replace(it, withdrawn=TODAY + timedelta(1)) for it in full[2:]))[0]


@pytest.mark.parametrize(("days", "told"), [(31, False), (30, True), (1, True)])
def test_an_end_within_thirty_days_is_told(days: int, told: bool) -> None:
    said = doubts(expires=TODAY + timedelta(days))
    assert bool(said) is told
    assert not told or f"expires in {days} day" in said[0]


def test_an_end_that_is_far_away_is_told() -> None:
    (said,) = doubts(expires=date(2100, 1, 1))
    assert "within two years" in said


def test_many_values_are_told() -> None:
    assert doubts(values=tuple(f"value_{n}" for n in range(12))) == []
    (said,) = doubts(values=tuple(f"value_{n}" for n in range(13)))
    assert "13 values" in said
    (said,) = doubts(type="bucket", values=(), bounds=tuple(range(1, 13)))
    assert "13 values" in said


def test_a_version_of_which_nobody_declares_the_values_is_told() -> None:
    (said,) = doubts(type="version", values=())
    assert "enum of the versions" in said
    assert doubts(type="version", values=(), withdrawn=TODAY) == []


def test_a_rare_plug_in_is_a_pseudonym() -> None:
    (said,) = doubts(project="rare-plugin")
    assert "pseudonym" in said
    assert "docs/privacy.md" in said
    assert doubts(project="rare-plugin", epsilon=1.0986, rate=0.07) == []
    assert doubts(project="rare-plugin", withdrawn=TODAY) == []


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        *(("valid_metric", "validmetric", True), ("folder", "folders", True)),
        *(("codelens_used", "codelenses_used", True), ("folders", "fodlers", True)),
        *(("theme_l", "theme_1", True), ("colour_used", "color_used", True)),
        *(("tab_1", "tab_2", False), ("protocol", "folders", False), ("cc", "bcc", False)),
        *(("mail_sent", "mail_received", False), ("day", "way", False)),
    ],
)
def test_names_that_are_taken_for_one_another_are_told(one: str, other: str, alike: bool) -> None:
    said = doubts(replace(GOOD, key=other), key=one)
    assert bool(said) is alike
    told = doubts(
        replace(GOOD, key="x", project=other.replace("_", "-"), epsilon=1.0, rate=0.07),
        key="y",
        project=one.replace("_", "-"),
        epsilon=1.0,
        rate=0.07,
    )
    assert bool(told) is alike


@given(st.text("abs01_", min_size=1, max_size=9), st.text("abs01_", min_size=1, max_size=9))
def test_alike_has_no_direction(one: str, other: str) -> None:
    first = doubts(replace(GOOD, key=f"x{other}"), key=f"x{one}") if one != other else []
    second = doubts(replace(GOOD, key=f"x{one}"), key=f"x{other}") if one != other else []
    assert len(first) == len(second)


def test_releases_that_are_none_are_told() -> None:
    listed = replace(PRODUCT, statistics_releases=("0.5.2", "0.6.0"))
    (said,) = of_releases(listed, [GOOD], TODAY)
    assert "names 0.6.0" in said
    (said,) = of_releases(PRODUCT, [GOOD], TODAY)
    assert "other" in said
    assert list(of_releases(PRODUCT, [], TODAY)) == []


TOLD = """
label = "L"
description = "D"
reason = "R"
owner = "O"
review = "#1"
sensitivity = "technical"
expires = 2027-12-31
type = "bool"
"""


def test_both_spellings_are_judged() -> None:
    text = f"[rare-plugin.used]{TOLD}\n[used]{TOLD}project = 'examplemail'\n"
    metrics, faults = read_metrics(tomllib.loads(text))
    assert faults == ()
    assert [it.name for it in metrics] == ["rare-plugin/used", "examplemail/used"]
    assert len(found(*metrics)[1]) == 1


def test_the_example_of_a_new_folder_is_sound() -> None:
    lines = METRICS_TOML.splitlines()
    first = lines.index("# [folders]")
    last = next(n for n, line in enumerate(lines) if line.startswith("# rate"))
    text = "\n".join(line.removeprefix("# ") for line in lines[first : last + 1])
    metrics, faults = read_metrics(tomllib.loads(text))
    assert faults == ()
    assert found(*metrics) == ([], [])
    assert metrics[0].name == "examplemail/folders"


CAUSE = ErrorName(
    "key_missing",
    "The key is not here.",
    "mail team",
    "https://example.org/reviews/15",
    "technical",
    date(2027, 12, 31),
)
CAUSES = (CAUSE, replace(CAUSE, name="damaged"), replace(CAUSE, name="other"))
DOMAIN = Domain("decryption", CAUSES, "Decrypting.")


def domain_of(*names: str, **more: object) -> Domain:
    causes = tuple(replace(CAUSE, name=name, **more) for name in names)  # type: ignore[arg-type]
    return replace(DOMAIN, names=causes)


def said_of(*domains: Domain, today: date = TODAY) -> tuple[list[str], list[str]]:
    """Errors and warnings of error events."""
    every = list(judged_domains(domains, today))
    wrong = [f"{it.name}: {it.text}" for it in every if not it.warning]
    return wrong, [f"{it.name}: {it.text}" for it in every if it.warning]


def test_a_sound_domain_raises_nothing() -> None:
    assert said_of(DOMAIN) == ([], [])
    refused = replace(CAUSE, name="address_refused")
    assert said_of(replace(DOMAIN, names=(*CAUSES, refused))) == ([], [])


@pytest.mark.parametrize(
    ("domain", "warned"),
    [
        (replace(DOMAIN, description=""), "has no description"),
        (domain_of("key_missing", "damaged"), "has no name other"),
        (domain_of("key_missing", "damaged", "unknown"), "calls its catch-all unknown"),
        (
            domain_of("key_missing", "damaged", "other", "unknown_error"),
            "has 2 catch-alls (other, unk",
        ),
        (domain_of("key_missing", "generic_failure", "misc"), "has 2 catch-alls"),
        (domain_of("key_missing", "other"), "has one cause beside other"),
        (replace(DOMAIN, rate=0.04), "has 5 entries, so an installation reports each once in 125"),
        (
            domain_of("key_missing", "keys_missing", "other"),
            "key_missing is easily taken for keys_",
        ),
    ],
)
def test_a_domain_whose_causes_say_little_is_doubted(domain: Domain, warned: str) -> None:
    wrong, told = said_of(domain)
    assert wrong == []
    assert any(it.startswith(f"decryption: {warned}") for it in told), told


def test_what_was_withdrawn_is_no_cause_any_more() -> None:
    gone = replace(CAUSE, name="unknown", withdrawn=date(2026, 11, 1))
    assert said_of(replace(DOMAIN, names=(*CAUSES, gone))) == ([], [])
    last = replace(DOMAIN, names=(gone,))
    assert said_of(last, today=date(2028, 1, 1)) == ([], [])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"expires": TODAY}, "expired on 2026-12-01"),
        ({"review": "TODO"}, "review must be"),
        ({"dimensions": (Dimension("user_id"),)}, "dimension names something that could identify"),
        (
            {"dimensions": (Dimension("by", ("email", "other")),)},
            "the value email of by names something that could identify somebody (email)",
        ),
    ],
)
def test_a_cause_that_nobody_should_count_is_refused(change: dict[str, object], said: str) -> None:
    wrong, _ = said_of(domain_of("key_missing", "damaged", "other", **change))
    assert [it.partition(": ")[0] for it in wrong] == [
        *("decryption/key_missing", "decryption/damaged", "decryption/other")
    ]
    assert all(said in it for it in wrong)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"expires": TODAY + timedelta(30)}, "expires in 30 days"),
        ({"expires": date(2030, 1, 1)}, "is collected until 2030-01-01"),
        (
            {"dimensions": (Dimension("way", tuple(f"w{n}x" for n in range(12))),)},
            "the dimension way has 13 values",
        ),
    ],
)
def test_a_doubtful_cause_is_told(change: dict[str, object], said: str) -> None:
    wrong, told = said_of(domain_of("key_missing", "damaged", "other", **change))
    assert wrong == []
    assert len([it for it in told if said in it]) == 3


def test_domains_that_are_taken_for_one_another_are_told() -> None:
    _, told = said_of(DOMAIN, replace(DOMAIN, name="decryptions"))
    assert told == [
        "decryption: the domains decryption and decryptions are easily taken for one another"
    ]


def test_i18_the_rates_of_statistics_and_domains_have_one_bound() -> None:
    """A request a day has no room for more than two reports a week."""
    metrics = [replace(GOOD, key=f"k_{n}", rate=0.5) for n in range(3)]
    domain = replace(DOMAIN, rate=0.5)
    assert not [it for it in judged(metrics, PRODUCT, TODAY, [domain]) if not it.warning]
    more = list(judged(metrics, PRODUCT, TODAY, [replace(DOMAIN, rate=0.51)]))
    (wrong,) = [it.text for it in more if not it.warning]
    assert wrong.startswith("the rates of metrics.toml and errors.toml add up to 2.01")


def test_the_example_of_a_new_folders_error_events_is_sound() -> None:
    lines = ERRORS_TOML.splitlines()
    first = lines.index("# [decryption]")
    last = next(n for n, line in enumerate(lines) if line.startswith("# verified"))
    text = "\n".join(line.removeprefix("# ").removeprefix("#") for line in lines[first : last + 1])
    (domain,), faults = read_errors(tomllib.loads(text))
    assert faults == ()
    assert said_of(domain)[0] == []
    assert [it.name for it in domain.names[0].dimensions] == ["device", "verified"]
