"""What each reason in the journal means: the codes that are kept there have no sentence. Pure.

docs/tor.md carries the same table, with what to do; a test compares.
"""

from __future__ import annotations

from mars.outcome import BEGUN
from mars.trust.reasons import REASONS

_NOT_OURS = "the answer is not one that our server gives"
_GUARDED = "our own guards held a request back"
_UNUSABLE = "a bridge line, or the folder for our own Tor, is not usable"
_UNREACHED = "a server that is no onion service cannot be reached"
_ADDRESS = "the address is not `IP:PORT`"
_NO_DOCUMENT = "the server answers, and not with the document"
_CONTROL = "the control port is not there, or lets nobody in"

EXCHANGE = {
    BEGUN: "it was sent, and the process ended before an answer was written down",
    "withdrawn": "consent was withdrawn, or the client stopped, before anything went",
    "tor-unavailable": "no Tor answers",
    "tor-missing": "no `tor` program for a Tor of our own",
    "tor-start": "our own Tor ended at once, or what was named is no program",
    "tor-bootstrap": "our own Tor did not connect in time",
    "cannot-judge": "the program lacks what it needs to judge an answer, so it did not ask",
    "no-thread": "the system gave no thread for it",
    "tor-silent": "Tor is there, or should be, and does not answer, or whose it is cannot be read",
    "tor-foreign": "another user of this computer listens where Tor should",
    "tor-failed": "Tor could not make the connection, or nothing runs behind the onion service",
    "tor-closed": "Tor hung up on us",
    "not-socks": "something else listens at that port",
    "socks-auth": "the proxy refuses the login",
    "socks-address": _ADDRESS,
    "socks-scheme": _ADDRESS,
    "onion-invalid": "the onion address has a typing error",
    "onion-not-found": "no such onion service, it is offline, or its tor may not reach the server",
    "onion-unreachable": "it is known and does not answer",
    "onion-auth": "it admits only clients with a key",
    "host-not-found": _UNREACHED,
    "host-unreachable": _UNREACHED,
    "network-down": "Tor has no network",
    "refused": "the server refuses the connection",
    "timeout": "no complete answer in 180 seconds",
    "incomplete": "the connection broke off",
    "too-large": _NOT_OURS,
    "encoded": _NOT_OURS,
    "bad-answer": _NOT_OURS,
    "http-status": _NO_DOCUMENT,
    "redirect": _NO_DOCUMENT,
    "tls": "the certificate is not valid",
    "url-invalid": "the address is not a plain http, https or file URL",
    "file-unreadable": "the file of a `file:` URL cannot be read",
    "bridge-invalid": _UNUSABLE,
    "tor-folder": _UNUSABLE,
    "direct-refused": "what may not go directly would have",
    "not-golden": _GUARDED,
    "not-isolated": _GUARDED,
    "control-unavailable": _CONTROL,
    "control-auth": _CONTROL,
}
"""Of the way to the server and back; the document's own reasons are ``mars.trust``'s."""


def explained(reason: str) -> str:
    """The code and what it means, where we know it: ``tor-closed (Tor hung up on us)``."""
    meaning = EXCHANGE.get(reason) or REASONS.get(reason)
    return f"{reason} ({meaning})" if meaning else reason
