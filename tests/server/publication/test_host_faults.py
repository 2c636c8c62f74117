"""Whatever the host refuses while a week is published: run again, the figures are those of a run
that nothing went wrong in. See ``tests.faults``."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from mars_server.cli import main
from tests import faults
from tests.faults import Fault
from tests.server.counting.commands import spawned
from tests.server.publication import kit

NOW = "2026-02-20T00:00:00Z"


def figures(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (out / "data").iterdir() if path.is_file()}


def test_whatever_fails_while_a_week_is_published_its_figures_become_the_same(
    tmp_path: Path,
) -> None:
    given, folder, said = tmp_path / "given", tmp_path / "site", faults.room(tmp_path)
    given.mkdir()
    (given / "product.toml").write_text(kit.PRODUCT_TOML)
    kit.database(given, kit.usual_weeks(2)).dispose()
    url, out, toml = f"sqlite:///{folder}/counts.db", folder / "out", folder / "product.toml"
    cached = ("--chart-cache", tmp_path / "charts")  # drawing takes most of the time
    told = ("publish", "--db", url, "--out", out, "--product", toml, "--now", NOW, *cached)
    beside = [folder / f"counts.db{suffix}" for suffix in ("", "-wal", "-shm", ".lock")]
    shutil.copytree(given, folder)
    assert spawned(*told).code == 0
    want, touched = figures(out), [folder, toml, *beside, out, *out.rglob("*")]
    known: faults.Sites = {}
    for paths in (touched, []):  # temporary files have names that nobody knows before

        def ran(fault: Fault | None, paths: list[Path] = paths) -> faults.Ran:
            shutil.rmtree(folder)
            shutil.copytree(given, folder)
            return faults.run(main, told, paths, said, fault, alone=not paths)

        def attempt(fault: Fault, ran: Callable[..., faults.Ran] = ran) -> faults.Ran:
            found = ran(fault)
            assert found.is_told(), found
            there = figures(out) if (out / "data").exists() else {}
            weeks = {name: data for name, data in there.items() if name.startswith("20")}
            assert weeks.items() <= want.items(), (fault, found)
            again = faults.untraced(main, told, said)
            assert again.code == 0, (fault, found, again)
            assert figures(out) == want, (fault, found)
            return found

        whole = ran(None)
        assert whole.code == 0, whole
        seen = whole.sites() if paths else whole.writes(folder)
        sites = {site: ends for site, ends in seen.items() if site not in known}
        faults.trial(f"publish{'' if paths else ', files just made'}", sites, 1, attempt)
        known |= sites
