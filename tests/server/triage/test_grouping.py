"""Which faults fall together, and which do not."""

from __future__ import annotations

from importlib.resources import files

import pytest

from mars.errors import ConfigError
from mars.wire.reports.fault import Fault
from mars_server.triage.grouping import Lists
from tests.server.counting.spools import written
from tests.server.triage import kit
from tests.server.triage.kit import Triage

LISTS = Lists(
    irrelevant=("*:<lambda>",), prefix=("mail.util:*", "*:require"), sentinel=("mail.db:query",)
)
OURS = Lists.parse(files("mars_server.triage").joinpath("lists.toml").read_bytes(), "lists.toml")


@pytest.mark.parametrize(
    ("names", "title"),
    [
        (("mail.a:outer", "mail.b:inner"), "mail.b:inner"),
        (("mail.a:outer", "mail.b:<lambda>"), "mail.a:outer"),
        (("mail.b:<lambda>",), "mail.b:<lambda>"),
        (
            ("mail.a:outer", "mail.util:deep", "mail.x:require"),
            "mail.x:require | mail.util:deep | mail.a:outer",
        ),
        (("mail.util:only",), "mail.util:only"),
        (("mail.a:outer", "mail.db:query", "mail.c:inside"), "mail.db:query"),
        ((), "<other>"),
    ],
)
def test_the_title_names_where_it_happened(names: tuple[str, ...], title: str) -> None:
    assert LISTS.title(kit.fault(*names)) == f"ValueError | {title}"


def test_lines_and_frames_of_others_make_no_other_group() -> None:
    one = Fault(("ValueError", "KeyError"), ("mail.a:outer+1", "<other>", "mail.b:Class.load+2"))
    other = Fault(("ValueError", "OSError"), ("mail.c:caller+9", "mail.b:Other.load+7"))
    assert OURS.title(one) == OURS.title(other) == "ValueError | mail.b:load"


def test_a_helper_of_many_does_not_swallow_different_faults() -> None:
    faults = [
        kit.fault(f"mail.a{n}:work", "mail.check:require", "mail.deco:wrapper") for n in range(9)
    ]
    assert len({OURS.title(each) for each in faults}) == 9
    assert len({Lists().title(each) for each in faults}) == 1


def test_an_open_name_of_a_pattern_is_no_expression() -> None:
    lists = Lists(prefix=("mail.[ab]:*",))
    assert lists.title(kit.fault("mail.x:out", "mail.a:in")) == "ValueError | mail.a:in"


def test_other_lists_group_anew_and_take_over_what_was_said(triage: Triage) -> None:
    two = [kit.fault(f"mail.a{n}:work", "mail.own:helper") for n in range(2)]
    for number, each in enumerate(two):
        triage.open(triage.sender.direct([number], kit.content(each)))
    (group,) = triage.groups()
    triage.tell("resolve", str(group["group"]), "--release", "0.5.3", "--summary", "Fixed.")
    written(triage.folder / "lists.toml", b'prefix = ["mail.own:*"]\n')
    triage.open([])
    found = triage.groups()
    assert [each["title"] for each in found] == [
        f"ValueError | mail.own:helper | mail.a{n}:work" for n in range(2)
    ]
    assert [(each["release"], each["summary"]) for each in found] == [("0.5.3", "Fixed.")] * 2


@pytest.mark.parametrize(
    "text", ["helpers = []", "prefix = 'a:b'", "prefix = [1]", "prefix = ['nocolon']", "prefix = ["]
)
def test_lists_that_are_wrong_are_refused(text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Lists.parse(text.encode(), "lists.toml")
    assert refused.value.reason == "lists-invalid"
