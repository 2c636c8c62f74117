"""From nothing to a dashboard: ``make demo``, or ``python -m examples.demo --once``."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType

from examples.demo.chain import publish_news, serve_and_fetch
from examples.demo.dashboard import dashboard
from examples.demo.history import compare, count_and_publish, write_history
from examples.demo.stage import DemoError, Stage
from mars.errors import MarsError
from testbed.tornet import tor_network


def main() -> int:
    """Exit code: 0 when every check held, 1 otherwise."""
    options = _options()
    folder = options.keep or Path(tempfile.mkdtemp(prefix="mars-demo-", dir="/tmp"))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, _end)
    stage = Stage(folder.resolve())
    try:
        tell(stage, options)
    except (MarsError, DemoError, OSError) as error:
        stage.check(False, str(error))
    except KeyboardInterrupt:
        print("\nended by Ctrl-C")
    finally:
        if options.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    return 1 if stage.failed else 0


def tell(stage: Stage, options: argparse.Namespace) -> None:
    """The story, step by step."""
    stage.step("A private Tor network on this computer; nothing of it leaves loopback")
    with tor_network(stage.progress) as net:
        stage.progress("ready: one authority, five relays, one client, one service")
        publish_news(stage)
        served = serve_and_fetch(stage, net)
    stage.progress("the Tor network is down again")
    population = write_history(stage)
    weeks = count_and_publish(stage, served, population)
    compare(stage, weeks, population)
    stage.step("The dashboard")
    with dashboard(stage, options.port) as url:
        stage.say(f"all {stage.passed} checks held" if not stage.failed else "not all checks held")
        if not options.once:
            stage.say(f"the dashboard is at {url} until Ctrl-C")
            signal.pause()
    for claim in stage.failed:
        print(f"FAILED: {claim}", file=sys.stderr)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="end after the checks")
    parser.add_argument("--port", type=int, default=8000, help="of the dashboard (8000)")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="work in DIR and leave it there")
    options = parser.parse_args()
    if options.keep and options.keep.exists() and any(options.keep.iterdir()):
        parser.error(f"{options.keep} is not empty")
    return options


def _end(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - signal's signature
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
