"""The same tasks on a Dask cluster: the one home of dask and distributed.

The workers need this package and must reach the logs under the same names or URLs. When a worker
dies the scheduler runs its tasks elsewhere; a task changes nothing, so twice is as good as once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from mars.errors import ConfigError, StateError
from mars.wire.query import AllowList
from mars_server.counting.streams import shown
from mars_server.counting.tasks import Ahead, Done, Span, Task, perform

try:
    from distributed import Client, Future, KilledWorker
    from distributed.client import FutureCancelledError
    from distributed.comm.addressing import get_address_host_port
except ImportError:
    raise ConfigError(
        "extra-missing", "A cluster needs Dask: pip install dask distributed."
    ) from None

_CONNECT = 30
"""Seconds to reach the scheduler."""
_LOOK = 5
"""Seconds without a result after which the cluster is asked whether it has a worker."""


class _Cluster:
    def __init__(self, client: Client, say: Callable[[str], None]) -> None:
        self._client = client
        self._say = say
        self._told = False

    def submit(self, task: Task, allow: AllowList) -> Callable[[], Done]:
        if isinstance(task, Span):  # on another machine devices and inodes have other numbers
            task = replace(task, seen=replace(task.seen, inode=None))
        future = self._client.submit(perform, task, allow, pure=False, retries=3)
        return lambda: self._result(future)

    def _result(self, future: Future[Done]) -> Done:
        """Waits for as long as it takes: a cluster may be given workers at any time."""
        while True:
            try:
                done: Done = future.result(_LOOK)
            except TimeoutError:
                self._look()
            else:
                return done

    def _look(self) -> None:
        if self.threads():
            self._told = False
        elif not self._told:
            self._told = True
            self._say("The cluster has no worker; waiting for one. Ctrl-C ends this at any time.")

    def threads(self) -> int:
        return sum(self._client.nthreads().values())  # type: ignore[no-untyped-call]


@contextmanager
def on_cluster(
    address: str, say: Callable[[str], None] = lambda _: None, patience: float = _CONNECT
) -> Iterator[Ahead]:
    """Raises ``StateError`` (``cluster-unreachable``)."""
    try:
        get_address_host_port(address)  # a client of what is no address would hang at its end
        client = Client(address, timeout=patience, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise StateError(
            "cluster-unreachable",
            f"There is no Dask scheduler at {shown(address)}; its address reads tcp://HOST:PORT.",
        ) from error
    try:
        cluster = _Cluster(client, say)
        lost = (KilledWorker, FutureCancelledError, OSError)
        yield Ahead(cluster.submit, lambda: cluster.threads() or 1, lost)
    finally:
        client.close()  # type: ignore[no-untyped-call]
