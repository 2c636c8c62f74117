"""Error events: what a domain declares, what is reported of it, and what cannot be declared."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mars.errors import WireError
from mars.wire import events, report
from mars.wire.catalogue import Catalogue
from mars.wire.events import Dimension, Domain, ErrorName, failed_share, read_errors
from mars.wire.registry import EVENTS, Metric, Question, is_entry, is_question, questions
from mars.wire.report import Report
from mars.wire.sealed import SMALL, room

END = date(2027, 12, 31)
NAME: dict[str, Any] = {
    "description": "The key is not here.",
    "owner": "mail encryption team",
    "review": "https://example.org/15",
    "sensitivity": "technical",
    "expires": END,
}
MISSING = ErrorName("key_missing", **NAME)
DEVICE = Dimension("device", ("own", "other"))
VERIFIED = Dimension("verified")
DOMAIN = Domain("decryption", (replace(MISSING, dimensions=(DEVICE, VERIFIED)),), "Decrypting.")
STATISTIC = Metric("x", "decryption", "x", "x", "x", "x", "x", "technical", END, "bool")


def faults_of(table: dict[str, Any]) -> list[str]:
    """Of a file that declares nothing."""
    found, faults = read_errors(table)
    assert found == ()
    return [f"{fault.name}: {fault.what}" for fault in faults]


def test_a_domain_reports_counts_dimensions_its_share_and_what_was_late() -> None:
    assert {entry.name: entry.values_known for entry in DOMAIN.entries} == {
        "decryption/key_missing": ("0", "1", "2-9", "10-99", "100+"),
        "decryption/key_missing.device": ("none", "own", "other"),
        "decryption/key_missing.verified": ("none", "false", "true"),
        "decryption/failed_share": ("few", "none", "below_1", "below_10", "more"),
        "decryption/late": ("0", "1", "2-9", "10-99", "100+"),
    }
    assert {entry.purpose for entry in DOMAIN.entries} == {EVENTS}
    assert all(is_entry(entry.name) for entry in DOMAIN.entries)
    assert [entry.label for entry in DOMAIN.entries[:2]] == ["Key missing", "Key missing: device"]


@pytest.mark.parametrize(
    ("names", "rate", "each"), [(1, 0.25, 0.0833), (3, 1, 0.2), (40, 0.001, 0.0001)]
)
def test_the_entries_share_the_rate_of_their_domain(names: int, rate: float, each: float) -> None:
    many = tuple(replace(MISSING, name=f"n{number}") for number in range(names))
    domain = Domain("decryption", many, rate=rate)
    assert {entry.rate for entry in domain.entries} == {each}
    gone = replace(domain, names=(*many[:-1], replace(many[-1], withdrawn=date(2026, 1, 1))))
    assert {entry.rate for entry in gone.entries} == {each}


def test_a_domain_is_collected_as_long_as_one_of_its_names() -> None:
    short = replace(MISSING, name="soon", expires=date(2027, 1, 1))
    gone = replace(MISSING, name="gone", withdrawn=date(2026, 12, 1))
    domain = Domain("decryption", (gone, short))
    live = {entry.key: entry for entry in domain.entries}
    for day, soon in ((date(2026, 12, 31), True), (date(2027, 1, 1), False)):
        assert domain.is_live(day) is soon
        assert all(live[key].is_live(day) is soon for key in ("soon", "failed_share", "late"))
        assert not live["gone"].is_live(day)
    assert live["gone"].is_live(date(2026, 12, 1) - timedelta(1))


@pytest.mark.parametrize(
    ("failed", "tries", "told"),
    [
        *((0, 0, "few"), (19, 19, "few"), (0, 20, "none"), (1, 20, "below_10")),
        *((1, 100, "below_10"), (1, 101, "below_1"), (2, 20, "more"), (19, 200, "below_10")),
        *((20, 200, "more"), (200, 200, "more")),
    ],
)
def test_a_share_is_told_in_steps(failed: int, tries: int, told: str) -> None:
    assert failed_share(failed, tries) == told


@pytest.mark.parametrize(
    ("dimension", "value", "said"),
    [
        *((DEVICE, "own", "own"), (VERIFIED, True, "true"), (VERIFIED, False, "false")),
        *((DEVICE, "mine", None), (DEVICE, "none", None), (DEVICE, True, None)),
        *((VERIFIED, "true", None), (VERIFIED, 1, None), (DEVICE, None, None)),
    ],
)
def test_a_dimension_says_declared_values_alone(
    dimension: Dimension, value: object, said: str | None
) -> None:
    if said is not None:
        assert dimension.said(value) == said
        return
    with pytest.raises(WireError) as caught:
        dimension.said(value)
    assert caught.value.reason == "bad-value"
    assert "mine" not in caught.value.message


@pytest.mark.parametrize(
    ("changed", "covered"),
    [
        (replace(DOMAIN, rate=0.1, names=(*DOMAIN.names, replace(MISSING, name="late"))), True),
        (replace(DOMAIN, rate=0.3), False),
        (replace(DOMAIN, names=(MISSING,)), False),
    ],
)
def test_a_yes_goes_as_far_as_its_question(changed: Domain, covered: bool) -> None:
    assert DOMAIN.question.covers(changed.question) is covered


def test_a_domain_that_grows_beyond_its_rate_asks_anew() -> None:
    """Each entry is sent once in ten thousand weeks at least, however many there are."""

    def of(names: int) -> Domain:
        many = tuple(replace(MISSING, name=f"name_{number}") for number in range(names))
        return replace(DOMAIN, names=many, rate=0.001)

    assert round(sum(each.rate for each in of(8).entries), 4) == of(8).question.rate == 0.001
    assert round(sum(each.rate for each in of(9).entries), 4) == of(9).question.rate == 0.0011
    assert not of(8).question.covers(of(9).question)
    assert of(7).question.covers(of(8).question)
    assert DOMAIN.question.rate == DOMAIN.rate


def test_a_domain_is_asked_for_as_one_and_each_statistic_alone() -> None:
    metric = replace(STATISTIC, project="examplemail")
    catalogue = Catalogue("p", "stable", metrics=(metric,), domains=(DOMAIN,))
    asked: dict[str, Question] = {**questions([metric]), "decryption/*": DOMAIN.question}
    assert catalogue.questions == asked


@pytest.mark.parametrize(
    ("name", "entry", "question"),
    [
        ("examplemail/x", True, True),
        ("mars-runtime/x", True, True),
        ("decryption/key_missing.device", True, False),
        ("decryption/*", False, True),
        ("mars-runtime/*", False, False),
        ("mars-runtime/x.y", False, False),
        ("decryption/x.y.z", False, False),
        ("decryption/x.*", False, False),
        ("decryption/", False, False),
        ("*", False, False),
        ("/*", False, False),
        ("x/*/*", False, False),
    ],
)
def test_names_of_entries_and_of_what_is_asked_for_are_two_things(
    name: str, entry: bool, question: bool
) -> None:
    assert (is_entry(name), is_question(name)) == (entry, question)


def test_a_file_of_names_alone_takes_what_is_usual() -> None:
    (domain,), faults = read_errors({"decryption": {"key_missing": NAME}})
    assert faults == ()
    assert domain == Domain("decryption", (MISSING,))
    assert (domain.rate, domain.grace, domain.late) == (0.25, 60, 86_400)
    assert domain.cause("key_missing") == MISSING
    assert domain.cause("failed_share") is None


def test_a_file_says_all_that_there_is() -> None:
    own = {"description": "Decrypting.", "rate": 1, "grace": 0, "late": 7 * 86_400}
    days = {"declared": date(2026, 12, 1), "withdrawn": date(2027, 6, 1)}
    more: dict[str, Any] = {"expected": True, **days}
    dimensions = {"dimensions": {"device": ["own", "other"], "verified": "bool"}}
    entry = {**NAME, **more, **dimensions}
    (domain,), _ = read_errors({"decryption": {**own, "key_missing": entry}})
    name = ErrorName("key_missing", **NAME, **more, dimensions=(DEVICE, VERIFIED))
    assert domain == Domain("decryption", (name,), "Decrypting.", 1.0, 0, 7 * 86_400)
    assert name.ends == date(2027, 6, 1)


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ({"rate": 0}, "rate must be"),
        ({"rate": 1.5}, "rate must be"),
        ({"rate": "0.25"}, "rate must be"),
        ({"grace": -1}, "grace must be 0 to 86400"),
        ({"grace": 86_401}, "grace must be 0 to 86400"),
        ({"grace": True}, "grace must be 0 to 86400"),
        ({"late": 60}, "late must be more seconds than grace"),
        ({"late": 604_801}, "late must be more seconds than grace"),
        ({"late": 90.5}, "late must be more seconds than grace"),
        ({"description": 1}, "description must be a text"),
        ({"description": "a\u202eb"}, "description holds a character that cannot be seen"),
        ({"owner": "x"}, "unknown entry owner"),
    ],
)
def test_a_domain_of_another_form_is_refused(own: dict[str, Any], said: str) -> None:
    (fault,) = faults_of({"decryption": {**own, "key_missing": NAME}})
    assert fault.startswith("decryption: ")
    assert said in fault


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"expected": 1}, "expected must be true or false"),
        ({"withdrawn": "2027-01-01"}, "withdrawn must be a date"),
        ({"owner": ""}, "owner is missing or empty"),
        ({"dimensions": "device"}, "dimensions must be a table of at most 4"),
        ({"dimensions": {f"d{n}": "bool" for n in range(5)}}, "a table of at most 4"),
        ({"dimensions": {"D": "bool"}}, "'D' is not a name"),
        ({"dimensions": {"subject": "bool"}}, "no dimension can be called cause, self, subject"),
        ({"dimensions": {"device": ["own"]}}, "a list of 2 to 31 different names"),
        ({"dimensions": {"device": ["own", "none"]}}, "without none"),
        ({"dimensions": {"device": [f"v{n}" for n in range(32)]}}, "a list of 2 to 31"),
    ],
)
def test_a_name_of_another_form_is_refused(change: dict[str, Any], said: str) -> None:
    (fault,) = faults_of({"decryption": {"key_missing": {**NAME, **change}}})
    assert fault.startswith("decryption.key_missing: ")
    assert said in fault


@pytest.mark.parametrize("what", ["text", "int", {"type": "integer"}, ["two words", "own"], 30])
def test_text_numbers_and_identifiers_have_no_place_and_the_error_says_what_has(
    what: object,
) -> None:
    (inside,) = faults_of({"decryption": {"lost": {**NAME, "dimensions": {"context": what}}}})
    assert 'or "bool": no text, number, time or identifier can be told' in inside
    (beside,) = faults_of({"decryption": {"lost": {**NAME, "context": what}}})
    assert "unknown entry context: " in beside
    assert beside.endswith('is a dimension with a list of names or "bool"')


@pytest.mark.parametrize("name", events.RESERVED)
def test_the_domains_own_words_are_no_names(name: str) -> None:
    assert faults_of({"decryption": {name: NAME}}) == [
        f"decryption.{name}: is a word of the domain's own: give the cause another name"
    ]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"decryption": {"rate": 0.5}}, "decryption: declares no name"),
        ({"Decryption": {"lost": NAME}}, "'Decryption' is not a name"),
        ({"a.b": {"lost": NAME}}, "'b.lost' is not a name"),
        ({"decryption": {"a.b": NAME}}, "'a.b' is not a name"),
    ],
)
def test_names_are_of_one_form(table: dict[str, Any], said: str) -> None:
    (fault,) = faults_of(table)
    assert said in fault


def domains() -> st.SearchStrategy[Domain]:
    dimensions = st.lists(st.sampled_from([DEVICE, VERIFIED]), unique=True).map(tuple)
    days = st.dates(date(2026, 1, 1), date(2100, 1, 1))
    name = st.builds(
        lambda number, day, more, expected, those: replace(
            MISSING,
            name=f"n{number}",
            expires=day,
            withdrawn=more,
            expected=expected,
            dimensions=those,
        ),
        *(st.integers(0, 99), days, days | st.none(), st.booleans(), dimensions),
    )
    return st.builds(
        lambda number, names, rate, grace, text: Domain(
            f"d{number}", names, text, round(rate, 4), grace, grace + 1
        ),
        st.integers(0, 99),
        st.lists(name, min_size=1, max_size=3, unique_by=lambda it: it.name).map(tuple),
        st.floats(0.0001, 1),
        st.integers(0, 86_400),
        st.sampled_from(["", "Decrypting."]),
    )


@given(st.lists(domains(), max_size=3, unique_by=lambda it: it.name).map(tuple))
def test_a_document_says_the_domains_as_they_were_declared(declared: tuple[Domain, ...]) -> None:
    catalogue = Catalogue("p", "stable", domains=declared)
    data = catalogue.encode()
    assert Catalogue.decode(data) == catalogue
    assert Catalogue.decode(data).encode() == data
    assert (b'"events"' in data) is bool(declared)
    assert all(catalogue.metric(entry.name) == entry for entry in catalogue.entries)
    assert all(catalogue.domain(one.name) == one for one in declared)
    assert catalogue.domain("nothing") is None


def test_a_domain_is_found_by_its_name() -> None:
    catalogue = Catalogue("p", "stable", domains=(DOMAIN,))
    assert catalogue.domain(DOMAIN.name) == DOMAIN
    assert catalogue.domain("nothing") is None


def changed(change: dict[str, Any]) -> bytes:
    """A document whose only domain is another one."""
    members = json.loads(Catalogue("p", "stable", domains=(DOMAIN,)).encode())
    members["events"] = [{**members["events"][0], **change}]
    return json.dumps(members).encode()


NAMES = json.loads(Catalogue("p", "stable", domains=(DOMAIN,)).encode())["events"][0]["names"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rate": 1}, "rate must be a text"),
        ({"rate": "2"}, "rate must be more than 0"),
        ({"grace": "60"}, "grace must be"),
        ({"names": []}, "declares no name"),
        ({"names": {"lost": NAMES[0]}}, "must be a list of names"),
        ({"names": ["lost"]}, "a name is not an object"),
        ({"names": NAMES * 2}, "a name of decryption is declared twice"),
        ({"names": [{**NAMES[0], "name": "a.b"}]}, "not a name"),
        ({"names": [{**NAMES[0], "name": "rate"}]}, "a word of the domain's own"),
        ({"names": [{**NAMES[0], "unit": "ms"}]}, "unknown entry unit"),
        ({"names": [{**NAMES[0], "dimensions": {"a": "text"}}]}, "the dimension a"),
        ({"lost": NAMES[0]}, "must be a list of names"),
        ({"unit": "ms"}, "unknown entry unit"),
        ({"description": "x" * 2001}, "more than 2000 characters"),
    ],
)
def test_a_document_with_a_domain_of_another_form_is_refused(
    change: dict[str, Any], said: str
) -> None:
    with pytest.raises(WireError) as caught:
        Catalogue.decode(changed(change))
    assert caught.value.reason == "bad-payload"
    assert said in caught.value.message


@pytest.mark.parametrize(
    ("catalogue", "said"),
    [
        (Catalogue("p", "s", metrics=(STATISTIC,), domains=(DOMAIN,)), "decryption is both"),
        (Catalogue("p", "s", domains=(DOMAIN, DOMAIN)), "a domain is declared twice"),
        (
            Catalogue("p", "s", domains=tuple(replace(DOMAIN, name=f"d{n}") for n in range(103))),
            "more than 512 entries",
        ),
    ],
)
def test_names_are_unique_and_entries_have_an_end(catalogue: Catalogue, said: str) -> None:
    with pytest.raises(WireError) as caught:
        Catalogue.decode(catalogue.encode())
    assert said in caught.value.message


@pytest.mark.parametrize("value", [{}, [1], [{}] * 513])
def test_events_are_a_list_of_domains(value: object) -> None:
    members = json.loads(Catalogue("p", "stable").encode()) | {"events": value}
    with pytest.raises(WireError):
        Catalogue.decode(json.dumps(members).encode())


def test_the_longest_report_of_an_event_fits_into_the_body_of_a_statistic() -> None:
    key = f"{'k' * 40}.{'d' * 40}"
    longest = Report(*("x" * 40,) * 3, key, "9999.9999.9999", "v" * 40, EVENTS)
    assert len(longest.encode()) < room(SMALL)
    assert report.decode(longest.encode()) == longest
    assert longest.name == f"{'x' * 40}/{key}"
    assert longest.encode().startswith(b'{"type":"events",')
