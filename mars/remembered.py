"""What the state remembers of the publisher: the trust rules' memory and the last document.

Pure; the rules and the parsers are loaded when first needed.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mars.errors import MarsError, StateError, TrustError, WireError
from mars.state import State

if TYPE_CHECKING:
    from mars.trust import TrustState
    from mars.wire.motd import Motd


def trust_state(state: State) -> TrustState:
    """The trust rules' own memory; that of a new installation where there is none to be read."""
    from mars.trust import TrustState

    try:
        return TrustState.decode(json.dumps(dict(state.trust)).encode("ascii"))
    except StateError:
        return TrustState.initial()


def read_document(state: State) -> Motd | None:
    """The last accepted document, expired or not."""
    if state.document is None:
        return None
    from mars.wire import motd as motds

    try:
        return motds.decode(state.document.encode("utf-8"))
    except (WireError, UnicodeEncodeError):
        return None


def to_keep(error: MarsError) -> TrustState | None:
    """The state that a refused document leaves behind, if any."""
    if not isinstance(error, TrustError):
        return None
    from mars.trust.state import RefusedError

    return error.state if isinstance(error, RefusedError) else None


def plain(state: TrustState) -> dict[str, Any]:
    table: dict[str, Any] = json.loads(state.encode())
    return table
