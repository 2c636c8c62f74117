"""``file:`` URLs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mars.errors import TransportError
from mars.factory import file_fetcher
from mars.ports import Request
from mars.wire.request import HTTPRequest

LIMIT = Request.limit


def asked(url: str) -> Request:
    return Request(HTTPRequest("GET", url))


def reason_of(url: str) -> str:
    with pytest.raises(TransportError) as caught:
        file_fetcher().fetch(asked(url))
    return caught.value.reason


def test_a_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "né w.json"
    file.write_bytes(b"x" * LIMIT)
    assert len(file_fetcher().fetch(asked(file.as_uri())).body) == LIMIT


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "large"
    file.write_bytes(b"x" * (LIMIT + 1))
    assert reason_of(file.as_uri()) == "too-large"


def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, tmp_path / "absent", Path("/dev/zero")):
        assert reason_of(path.as_uri()) == "file-unreadable"


@pytest.mark.parametrize("url", ["file:///a%00b", "file:///a\ud800", "file://[a/"])
def test_a_file_url_that_no_file_can_have_is_refused(url: str) -> None:
    assert reason_of(url) == "file-unreadable"


@pytest.mark.parametrize("url", ["file://server/share/x", "file:///a\0b", "http://x/"])
def test_a_file_url_names_a_file_of_this_machine(url: str) -> None:
    assert reason_of(url) == "url-invalid"
