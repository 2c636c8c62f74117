"""What the client weighs in an application: start, memory before and after a fetch."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from mars import factory
from mars.testing.publisher import Publisher
from mars.testing.socks import SocksServer, answering, ok

RUNS = 9
IDLE_LIMIT, FETCHED_LIMIT = 10.0, 30.0
"""MB above a bare interpreter."""

_HEAD = """
import json, sys, time
def memory():
    for line in open("/proc/self/smaps_rollup"):
        if line.startswith("Rss:"):
            return int(line.split()[1]) / 1000
bare, wall, cpu = memory(), time.perf_counter(), time.process_time()
"""
_TAIL = """
print(json.dumps([time.perf_counter() - wall, time.process_time() - cpu, memory() - bare, extra]))
"""
_REQUESTS = "import requests\nextra = 0.0\n"
_MARS = """
from mars import Mars
mars = Mars("examplemail", "0.5.1", sys.argv[1] + "/trust.json", folder=sys.argv[1] + "/state")
mars.start()
started = time.perf_counter() - wall
time.sleep(0.5)
wall += time.perf_counter() - wall - started
extra = 0.0
"""
_FETCH = """
from mars import Mars
mars = Mars("examplemail", "0.5.1", sys.argv[1] + "/trust.json", folder=sys.argv[1] + "/fetched",
            socks=sys.argv[2], url="http://127.0.0.1:1/")
mars.consent.grant("plain")
mars.start()
mars.check_now()
while not mars.journal(): time.sleep(0.02)
assert mars.journal()[-1]["reason"] is None, mars.journal()
extra = 0.0
"""


@dataclass(frozen=True)
class Weight:
    """Medians."""

    wall: float
    cpu: float
    memory: float
    """MB of resident memory above the bare interpreter."""


def weigh(script: str, *arguments: str, runs: int = RUNS) -> Weight:
    """Runs ``script`` in fresh interpreters."""
    rows = []
    for _ in range(runs):
        done = subprocess.run(
            [sys.executable, "-c", _HEAD + script + _TAIL, *arguments],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        rows.append(json.loads(done.stdout))
    return Weight(*(statistics.median(column) for column in list(zip(*rows, strict=True))[:3]))


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        publisher = Publisher()
        Path(folder, "trust.json").write_bytes(publisher.trust().encode())
        document = publisher.document(factory.system_clock().now() - 60)
        requests = weigh(_REQUESTS)
        idle = weigh(_MARS, folder)
        with SocksServer(answering(ok(document))) as socks:
            fetched = weigh(_FETCH, folder, socks.address, runs=1)
    print(f"{'':34}{'wall ms':>9}{'CPU ms':>9}{'MB':>7}")
    for name, row in (
        ("import requests", requests),
        ("import mars, start, idle", idle),
        ("after the first fetch (no gpg)", fetched),
    ):
        print(f"{name:34}{row.wall * 1000:9.0f}{row.cpu * 1000:9.0f}{row.memory:7.1f}")
    held = idle.wall < requests.wall and idle.memory < IDLE_LIMIT and fetched.memory < FETCHED_LIMIT
    print("limits held" if held else "LIMITS NOT HELD")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
