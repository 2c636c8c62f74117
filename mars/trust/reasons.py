"""Every reason for which a document may be refused; stable, for programs.

docs/wire-format.md carries the same table, and tests/vectors has a document for each.
"""

from __future__ import annotations

REASONS = {
    "too-large": "the envelope is over 64 KiB or a payload over 32 KiB",
    "not-utf8": "the bytes are not UTF-8",
    "not-json": "the bytes are not one JSON value, or start with a byte order mark",
    "too-deep": "arrays and objects nest deeper than 8 levels",
    "duplicate-member": "an object has a member twice",
    "bad-number": "a number is not a whole one from 0 to 2^53-1",
    "bad-text": "a text holds half of a surrogate pair",
    "bad-envelope": "the JSON is not a DSSE envelope with 1 to 16 signatures",
    "bad-base64": "payload or sig is not canonical base64",
    "wrong-payload-type": "payloadType is not exactly the one that is due",
    "state-other-product": "the client's state is of another product or channel",
    "keys-chain": "the chain of keys is no list of at most 8 envelopes, or leaves out an epoch",
    "keys-invalid": "the chain of keys holds something that is no keys document of this product",
    "keys-equivocation": "root signed another keys document for an epoch that was followed",
    "keys-threshold": "a keys document lacks signatures by root of the old or of the new epoch",
    "signature-threshold": "too few pinned Ed25519 keys have signed",
    "wrong-kind": "the payload's type is not the one that is due",
    "newer-format": "the payload's version is not 1",
    "bad-payload": "a member of the payload is missing, of a wrong type or over a limit",
    "duplicate-message": "two messages have one id",
    "wrong-product": "the document is for another product",
    "wrong-channel": "the document is for another channel",
    "wrong-epoch": "the document is for another epoch",
    "openpgp-missing": "an OpenPGP signature is needed and there is none",
    "openpgp-bad": "no OpenPGP signature is a good one by a pinned key that is not revoked",
    "openpgp-date": "the OpenPGP signature is dated outside of its window",
    "openpgp-expired": "the OpenPGP key had ended when it signed, or was made later",
    "openpgp-unavailable": "OpenPGP cannot be verified here and now",
    "clock": "the clock stands before the OpenPGP key was made",
    "future": "issued is more than a day ahead of the clock",
    "fast-forward": "serial is greater than issued",
    "bad-lifetime": "expires is not 14 to 60 days after issued",
    "rollback": "serial is lower than one that was seen, or than the built-in minimum",
    "equivocation": "another payload with the same serial was seen",
    "expired": "expires has passed",
    "keys-expired": "the present keys document has expired",
}
