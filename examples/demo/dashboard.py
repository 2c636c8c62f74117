"""Serves the published site on 127.0.0.1 and looks at it as a browser without JavaScript would."""

from __future__ import annotations

import functools
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

from examples.demo.stage import Stage

TIMEOUT = 10.0
"""Seconds."""


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as inherited
        pass


@contextmanager
def dashboard(stage: Stage, port: int) -> Iterator[str]:
    """The site at ``http://127.0.0.1:PORT``, or at another port where that one is taken."""
    handler = functools.partial(_Quiet, directory=str(stage.folder / "site"))
    try:
        web = ThreadingHTTPServer(("127.0.0.1", port), handler)
    except OSError:
        web = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        stage.say(f"port {port} is taken, so the dashboard moves to {web.server_port}")
    thread = threading.Thread(target=web.serve_forever)
    thread.start()
    try:
        url = f"http://127.0.0.1:{web.server_port}/"
        _look(stage, url)
        yield url
    finally:
        web.shutdown()
        thread.join()
        web.server_close()


def _look(stage: Stage, url: str) -> None:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(url, timeout=TIMEOUT) as answer:
        page = answer.read().decode("utf-8")
    stage.check("<table" in page, "the page has its figures as tables")
    stage.check("<script" not in page, "and needs no JavaScript")
    stage.check("http://" not in page and 'src="//' not in page, "and loads nothing from elsewhere")
