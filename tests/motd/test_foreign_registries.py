"""What others have declared, in our form: facts of their registries, judged as they should be.

Read for cases were the registries in glean_parser's tests, golang/telemetry's chart configuration
and its validator's tests, and the telemetry hooks of Backdrop.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest

from mars.errors import WireError
from mars.wire.product import Product
from mars.wire.registry import Metric, read_metrics
from mars_motd.lints import judged

TODAY = date(2026, 12, 1)
ABOUT: dict[str, Any] = {
    "label": "As declared",
    "description": "As declared there.",
    "reason": "As argued there.",
    "owner": "its owner",
    "review": "https://example.org/reviews/1",
    "sensitivity": "technical",
    "expires": date(2027, 12, 31),
    "type": "bool",
}


def verdict(project: str, entries: dict[str, dict[str, Any]]) -> tuple[list[str], list[str]]:
    """Errors and warnings, as "key: text"."""
    metrics, faults = read_metrics({project: entries})
    product = Product(project, "stable", (), (), ())
    found = list(judged(metrics, product, TODAY))
    wrong = [f"{it.name.partition('.')[2]}: {it.what}" for it in faults]
    wrong += [f"{it.name.rpartition('/')[2]}: {it.text}" for it in found if not it.warning]
    return wrong, [f"{it.name.rpartition('/')[2]}: {it.text}" for it in found if it.warning]


def entry(key: str, **members: Any) -> dict[str, dict[str, Any]]:
    return {key: {**ABOUT, **members}}


def judge_one(project: str, key: str, **members: Any) -> tuple[list[str], list[str]]:
    return verdict(project, entry(key, **members))


def passes(project: str, entries: dict[str, dict[str, Any]]) -> bool:
    """Without an error, and told of versions alone: these can say much."""
    wrong, told = verdict(project, entries)
    versions = [key for key, members in entries.items() if members["type"] == "version"]
    said = [one.partition(": is a version, ")[0] for one in told]
    return wrong == [] and said == versions


GLEAN_TYPES = (
    *("counter", "labeled_counter", "boolean", "labeled_boolean", "string", "labeled_string"),
    *("string_list", "timespan", "timing_distribution", "memory_distribution", "uuid", "url"),
    *("custom_distribution", "datetime", "event", "quantity", "rate", "text", "object", "jwe"),
    *("labeled_custom_distribution", "labeled_timing_distribution", "dual_labeled_counter"),
)
GO_TYPES = ("partition", "histogram", "stack")


@pytest.mark.parametrize("kind", [*GLEAN_TYPES, *GO_TYPES])
def test_types_that_can_say_more_than_a_list_are_none_of_ours(kind: str) -> None:
    (wrong,) = judge_one("glean", "x_used", type=kind)[0]
    assert "type must be one of" in wrong


@pytest.mark.parametrize(
    ("key", "members"),
    [
        ("default_browser", {}),
        ("os", {"type": "enum", "values": ["linux", "android", "ios"]}),
        ("arch", {"type": "enum", "values": ["arm", "x86"]}),
        ("sessions", {"type": "bucket", "bounds": [1, 10, 100]}),
        ("custom_dist", {"type": "bucket", "bounds": list(range(10, 100, 10))}),
        ("status_code", {"type": "bucket", "bounds": [200, 300, 400, 500]}),
        ("os_version", {"type": "version"}),
        ("flash_usage", {"type": "bucket", "bounds": [1], "review": "1137353"}),
        ("parses_fine", {"review": "https://bugzilla.mozilla.org/show_bug.cgi?id=1685406#c1"}),
    ],
)
def test_glean_metrics_that_have_a_form_here(key: str, members: dict[str, Any]) -> None:
    assert passes("glean", entry(key, **members))


@pytest.mark.parametrize("key", ["client_id", "campaign_id", "distribution_id", "user_id", "path"])
def test_glean_metrics_that_identify(key: str) -> None:
    (wrong,) = judge_one("glean", key)[0]
    assert wrong.startswith(f"{key}: key names something that could identify somebody")


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"expires": "never"}, "expires must be a date"),
        ({"expires": 99}, "expires must be a date"),
        ({"expires": date(2019, 1, 1)}, "expired on 2019-01-01"),
        ({"review": "TBD"}, "review must be"),
        ({"review": 1137353}, "review is missing"),
        ({"review": "https://bugzilla.mozilla.org/show_bug.cgi?id=TBD"}, "review must be"),
        ({"review": "https://mozilla-hub.atlassian.net/browse/FXA-TBD"}, "review must be"),
        ({"type": "enum", "values": ["aLabel", "2label"]}, "values must be"),
        ({"lifetime": "user2"}, "unknown entry lifetime"),
        ({"sensitivity": "web_activity"}, "sensitivity must be"),
        ({"notification_emails": ["nobody@nowhere.com"]}, "unknown entry notification_emails"),
    ],
)
def test_glean_metrics_that_are_not_whole(members: dict[str, Any], said: str) -> None:
    (wrong,) = judge_one("glean", "sessions", **members)[0]
    assert said in wrong


def test_a_glean_metric_of_old_lacks_what_a_user_would_ask() -> None:
    known = {"description": "The number of sessions.", "review": "1137353", "type": "bool"}
    wrong, _ = verdict("glean", {"sessions": known})
    for name in ("label", "reason", "owner", "sensitivity", "expires"):
        assert any(name in each for each in wrong)


def test_a_glean_metric_that_lasts_for_decades_is_told_of() -> None:
    wrong, told = judge_one("glean", "load_time", expires=date(2100, 1, 1))
    assert (wrong, len(told)) == ([], 1)


def test_glean_names_that_are_too_similar() -> None:
    wrong, told = verdict("glean", entry("valid_metric") | entry("validmetric"))
    assert wrong == []
    assert "easily taken for" in told[0]


def test_no_metric_of_gleans_own_form_for_everything_passes() -> None:
    """22 metrics of one review, which all expire never."""
    entries = {f"{kind}_x": {**ABOUT, "type": kind, "expires": "never"} for kind in GLEAN_TYPES}
    wrong, _ = verdict("glean", entries)
    assert {each.partition(":")[0] for each in wrong} == set(entries)


GOPLS = "gopls"


@pytest.mark.parametrize(
    ("key", "members"),
    [
        ("editor", {"type": "enum", "values": ["emacs", "vim", "vscode", "other"]}),
        ("scan", {"type": "enum", "values": ["symbol", "package", "module"]}),
        ("mode", {"type": "enum", "values": ["source", "binary", "extract", "query", "convert"]}),
        ("format", {"type": "enum", "values": ["text", "json", "sarif", "openvex"]}),
        ("vcs", {"type": "enum", "values": ["mod", "git", "hg", "svn", "fossil"]}),
        ("invocations", {"type": "bucket", "bounds": [1, 10, 100, 1000]}),
        ("goversion", {"type": "version", "review": "https://go.dev/issue/62248"}),
        ("darwin_major", {"type": "bucket", "bounds": list(range(20, 29))}),
        ("staticcheck", {"review": "https://github.com/golang/go/issues/75850"}),
    ],
)
def test_go_charts_that_have_a_form_here(key: str, members: dict[str, Any]) -> None:
    assert passes(GOPLS, entry(key, **members))


GO_CLIENTS = (
    "vscode vscodium vscode-insiders code-server eglot govim neovim coc.nvim sublimetext windsurf"
    " cursor helix zed other"
).split()


@pytest.mark.parametrize(
    "values",
    [
        GO_CLIENTS,
        ["c-archive", "exe"],
        ["1.16", "1.17"],
        ["20", "21"],
        ["Off", "Imports"],
        [f"experiment{n}" for n in range(44)],
    ],
)
def test_go_charts_whose_values_have_no_form_here(values: list[str]) -> None:
    (wrong,) = judge_one(GOPLS, "setting", type="enum", values=values)[0]
    assert "values must be 2 to 32 different names" in wrong


def test_a_go_chart_of_many_values_is_told_of() -> None:
    values = [each.replace("-", "_").replace(".", "_") for each in GO_CLIENTS]
    wrong, told = judge_one(GOPLS, "client", type="enum", values=values)
    assert (wrong, len(told)) == ([], 1)
    assert "14 values" in told[0]


@pytest.mark.parametrize("value", ["path", "no_relative_path", "unknown_pkg_mod_path"])
def test_a_go_value_that_sounds_like_a_place(value: str) -> None:
    (wrong,) = judge_one(GOPLS, "gotoolchain", type="enum", values=["auto", value])[0]
    assert f"the value {value} names something" in wrong


@pytest.mark.parametrize("project", ["golang.org/x/tools/gopls", "cmd/go", "", "Gopls"])
def test_a_go_programs_path_is_no_project(project: str) -> None:
    metrics, faults = read_metrics({"used": {**ABOUT, "project": project}})
    assert metrics == ()
    assert "project" in faults[0].what


def test_go_settings_of_two_spellings_are_told_of() -> None:
    keys = ("setting_codelens_vulncheck", "setting_codelenses_vulncheck")
    _, told = verdict(GOPLS, entry(keys[0]) | entry(keys[1]))
    assert "easily taken for" in told[0]


def test_a_go_chart_with_a_description_alone() -> None:
    wrong, _ = verdict(GOPLS, {"bar": {"description": "bar"}})
    missing = ("label", "reason", "owner", "review", "sensitivity", "expires", "type")
    assert all(any(name in each for each in wrong) for name in missing)


BACKDROP: dict[str, dict[str, Any]] = {
    "php_version": {"type": "version"},
    "database": {"type": "enum", "values": ["mysql", "mariadb"]},
    "mysql_version": {"type": "version"},
    "server_os": {"type": "enum", "values": ["linux", "winnt", "darwin", "other"]},
    "web_server": {"type": "enum", "values": ["apache", "nginx", "litespeed", "other"]},
}


def backdrop() -> Iterator[Metric]:
    metrics, faults = read_metrics(
        {"backdrop": {key: {**ABOUT, **more} for key, more in BACKDROP.items()}}
    )
    assert faults == ()
    yield from metrics


def test_what_backdrop_collects_can_be_declared() -> None:
    assert passes("backdrop", {key: {**ABOUT, **more} for key, more in BACKDROP.items()})


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        *(("php_version", "8.1.2", "8.1"), ("php_version", "8.2.0-dev", "8.2")),
        *(("mysql_version", "10.5", "10.5"), ("mysql_version", "5.7.41", "5.7")),
        *(("mysql_version", "MariaDB v10.5", None), ("mysql_version", "MySQL v", None)),
        *(("web_server", "nginx", "nginx"), ("web_server", "Apache", None)),
        *(("server_os", "linux", "linux"), ("server_os", "Linux", None), ("database", None, None)),
    ],
)
def test_what_backdrop_sends_is_said_where_it_was_declared(
    key: str, value: object, said: str | None
) -> None:
    metric = next(it for it in backdrop() if it.key == key)
    if said is not None:
        assert metric.said(value) == said
        return
    with pytest.raises(WireError):
        metric.said(value)


def test_a_backdrop_hooks_label_and_description_are_not_enough() -> None:
    wrong, _ = verdict("my_module", {"setting_1": {"label": "Setting", "description": "About."}})
    for name in ("reason", "owner", "review", "sensitivity", "expires", "type"):
        assert any(name in each for each in wrong)


def test_a_contributed_module_is_told_how_rare_it_may_be() -> None:
    metrics, _ = read_metrics({"my_module": entry("setting_1"), "backdrop": entry("cron_used")})
    product = Product("backdrop", "stable", (), (), ())
    told = [it.name for it in judged(metrics, product, TODAY) if "pseudonym" in it.text]
    assert told == ["my_module/setting_1"]
