"""A recorder of every connection that this process opens."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from testbed.audit import NetworkAudit

_AUDIT = NetworkAudit()


@pytest.fixture
def network() -> Iterator[NetworkAudit]:
    """Everything from here to the test's end, in every thread."""
    with _AUDIT.listening() as audit:
        yield audit
