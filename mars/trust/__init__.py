"""The trust rules: pure. Bytes, verdicts, a time and a state go in; a MOTD or a refusal comes out.

``verify`` is the one function that talks to a device, through the port it is handed.
"""

from __future__ import annotations

from mars.trust.chain import start
from mars.trust.rules import Accepted, Offered, accept, accept_chain, verify, verify_chain
from mars.trust.signatures import Question, UnansweredError, answered, signers
from mars.trust.state import Equivocation, RefusedError, TrustState

__all__ = [
    "Accepted",
    "Equivocation",
    "Offered",
    "Question",
    "RefusedError",
    "TrustState",
    "UnansweredError",
    "accept",
    "accept_chain",
    "answered",
    "signers",
    "start",
    "verify",
    "verify_chain",
]
