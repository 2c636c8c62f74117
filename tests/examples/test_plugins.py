"""The two real plug-ins: their values are declared, and each is one of its entry's."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from examples.plugins.runtime import mars_metrics_runtime as runtime
from examples.plugins.runtime.mars_metrics_runtime import Route, kind
from examples.plugins.usage.examplemail_usage import MODULES, Usage
from mars.providers import GROUP, Collector, Plugin, inline
from mars.wire.registry import Metric, read_metrics

ROOT = Path(__file__).parents[2]
METRICS = read_metrics(tomllib.loads((ROOT / "motd" / "metrics.toml").read_text()))[0]


def entries(plugin: Plugin) -> list[Metric]:
    told = plugin.info()
    names = [f"{told['project']}/{key}" for key in told["keys"]]
    found = [metric for metric in METRICS if metric.name in names]
    assert len(found) == len(names), "each key is declared"
    return found


def told(plugin: Plugin) -> dict[str, str | None]:
    collector = Collector(isolate=inline, raises=True)
    collector.register(plugin)
    return {metric.key: collector.value(metric) for metric in entries(plugin)}


def test_the_run_time_says_what_this_python_is() -> None:
    assert told(runtime) == {"implementation": "cpython", "bits64": "true", "frozen": "false"}


@pytest.mark.parametrize(
    ("route", "expected"),
    [
        ("tor 127.0.0.1:9050", "system"),
        ("tor [::1]:9150", "browser"),
        ("tor 127.0.0.1:41233", "other"),
        ("direct", "direct"),
        ("memory", "other"),
        ("", "none"),
    ],
)
def test_the_way_to_tor_is_one_of_a_few(route: str, expected: str) -> None:
    assert kind(route) == expected
    never = {"sent": "", "route": "tor 127.0.0.1:9150"}
    journal = [{"sent": "GET", "route": route}, never] if route else [never]
    assert told(Route(lambda: journal)) == {"route": expected}


def test_of_documents_only_a_coarse_number_is_said_and_of_modules_whether_they_are_on(
    tmp_path: Path,
) -> None:
    for number in range(12):
        (tmp_path / f"letter to somebody {number}").write_text("secret")
    (tmp_path / "folder").mkdir()
    said = told(Usage(tmp_path, lambda: {"spelling", "unheard of"}))
    assert said == {
        "documents": "10-99",
        "module_calendar": "false",
        "module_encryption": "false",
        "module_spelling": "true",
    }
    assert set(MODULES) == {"calendar", "encryption", "spelling"}


@pytest.mark.parametrize("name", ["runtime", "usage"])
def test_each_is_a_package_of_its_own(name: str) -> None:
    folder = ROOT / "examples" / "plugins" / name
    said = tomllib.loads((folder / "pyproject.toml").read_text())
    for module in said["tool"]["setuptools"]["py-modules"]:
        assert (folder / f"{module}.py").is_file()
    points = said["project"].get("entry-points", {}).get(GROUP, {})
    assert set(points.values()) <= {*said["tool"]["setuptools"]["py-modules"]}
