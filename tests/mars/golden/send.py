"""Fetches once, as a program of its own: ``send.py SOCKS URL``. Run by each CPython found."""

from __future__ import annotations

import sys

from mars.factory import fetcher
from mars.ports import Request
from mars.wire.request import HTTPRequest

if __name__ == "__main__":
    fetcher(sys.argv[1]).fetch(Request(HTTPRequest.get(sys.argv[2])))
