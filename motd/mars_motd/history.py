"""Whether the epochs that a folder holds are those that clients follow.

The folder passes through many hands, so what lies in ``trust/`` is judged before anything is built
on it. Of the first epoch nobody's signature speaks, nor of the roles in it that did not sign since:
version control keeps it, and root, which lies elsewhere, remembers what it has signed for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from mars.errors import StateError, TrustError, WireError
from mars.trust.signatures import require_threshold
from mars.wire.envelope import MAX_SIGNATURES
from mars.wire.keys import KeysDocument, KeySet, TrustRoot, keyid
from mars.wire.openpgp import primary
from mars_motd import files, sealing
from mars_motd.folder import Folder
from mars_motd.kinds import NEWS, Document

Steps = Sequence[Document[KeysDocument]]

_TYPE = "mars-motd-epochs"


def require_signed(root: TrustRoot, steps: Steps, where: Path) -> None:
    """Judges what lies in ``where`` by its Ed25519 signatures, which cost no run of gpg.

    Raises ``StateError`` (``trust-damaged``).
    """
    before, ours = root.keys, (root.product, root.channel)
    if root.epoch != 1 or foreign_names(before):
        raise damaged(where, 1, "is not what mars-motd wrote")
    for number, step in enumerate(steps, 2):
        said = step.said
        if (said.product, said.channel, said.epoch) != (*ours, number):
            raise damaged(where, number, f"is for {said.product}, epoch {said.epoch}")
        if foreign_names(said.keys):
            raise damaged(where, number, "holds a key under another's name")
        for epoch, keys in ((number - 1, before), (number, said.keys)):
            try:
                signing = keys.signing("root")
                require_threshold(step.envelope, signing, MAX_SIGNATURES, "keys-threshold")
            except TrustError:
                said_not = f"is not signed by root of epoch {epoch}"
                raise damaged(where, number, said_not) from None
        before = said.keys


def foreign_names(keys: KeySet) -> list[str]:
    """What stands under another key's id or fingerprint; people compare names."""
    return [
        *(
            name
            for role in keys.roles.values()
            for name, key in role.ed25519.items()
            if name != keyid(bytes.fromhex(key))
        ),
        *(name for name, block in keys.openpgp.items() if not _is_own(name, block)),
    ]


def _is_own(fingerprint: str, block: str) -> bool:
    try:
        return primary(block).fingerprint == fingerprint
    except WireError:
        return False


def require_remembered(folder: Folder, digests: Mapping[int, str]) -> None:
    """Compares the epochs of the folder, by their digests, with those that root has signed for,
    where root is at hand. It only accuses: whoever writes the folder could have written it.

    A rotation without the last epoch would make two of one number. Raises ``StateError``:
    ``trust-damaged``, ``epoch-behind``, ``record-damaged``.
    """
    known = remembered(folder)
    for number, digest in sorted(known.items()):
        if number not in digests:
            raise behind(folder, number, max(digests), "root has signed for")
        if digests[number] != digest:
            raise damaged(folder.trust, number, "is another than root has signed for")


def remember(folder: Folder, digests: Mapping[int, str]) -> None:
    """Has root remember them, where it is at hand and its medium takes it."""
    plain = {str(number): digest for number, digest in digests.items()}
    data = sealing.write_json({"type": _TYPE, "version": 1, "epochs": plain})
    with suppress(OSError):  # a medium that is write-protected
        if files.exists(folder.keys.root) and remembered(folder) != digests:
            require_remembered(folder, digests)  # nothing that is known is ever dropped
            files.replace(_memory(folder), data, files.SECRET)


def remembered(folder: Folder) -> dict[int, str]:
    """Digests of the epochs that root has signed for; none where it is away.

    Raises ``StateError`` (``record-damaged``).
    """
    path = _memory(folder)
    if not files.exists(path):
        return {}
    found = sealing.read_json(files.read(path), path)
    try:
        if found["type"] != _TYPE:
            raise KeyError
        return {int(number): str(digest) for number, digest in found["epochs"].items()}
    except (AttributeError, KeyError, ValueError):
        raise StateError(
            "record-damaged", f"{path} cannot be read. Restore it from the other copy of root/."
        ) from None


def require_newest(folder: Folder, number: int) -> None:
    """Raises ``StateError`` (``epoch-behind``) where news of a later epoch than ``number`` were
    signed: what is signed now would be refused by all who have seen those."""
    for path in files.listed(folder.issued, suffix=".json"):
        try:
            later = NEWS.decode(files.read(path)).said.epoch
        except WireError:
            continue  # told by whoever needs the news themselves
        if later > number:
            raise behind(folder, later, number, f"{path} is of")


def behind(folder: Folder, later: int, number: int, what: str) -> StateError:
    """``what`` knows the epoch ``later``; trust/ ends with ``number``."""
    return StateError(
        "epoch-behind",
        f"{what} epoch {later}, but {folder.trust} ends at epoch {number}: bring the missing "
        f"trust/epoch-N.json from the folder that has them, or take the step out of the keys.json "
        f"that was deployed. If nobody has signed such an epoch, move away what says so.",
    )


def _memory(folder: Folder) -> Path:
    return folder.keys.root / "epochs.json"


def damaged(where: Path, number: int, what: str) -> StateError:
    """``what`` is wrong with the epoch ``number`` that lies in ``where``."""
    return StateError(
        "trust-damaged",
        f"{where / f'epoch-{number}.json'} {what}: somebody changed it. Restore it from version "
        f"control, and compare what else was changed.",
    )
