"""Opening encrypted mail with libsodium's boxes, and saying what failed and why.

A mail is encrypted once, under a key of its own (``SecretBox``), and that key for each recipient
(``Box``, so that it is known who sent it). What cannot be opened is a failure of the domain
``decryption``: its causes are those of ``errors.toml``, as ``declared`` has them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal, assert_never

from nacl.exceptions import CryptoError
from nacl.public import Box, PrivateKey, PublicKey
from nacl.secret import SecretBox
from nacl.utils import random

from examples.desktop.declared import Decryption, decryption_key_missing
from mars.failures.stream import Failure, Stream


@dataclass(frozen=True)
class Mail:
    """As it lies in a folder."""

    name: str
    """Its message id, the same in all folders."""
    subject: str
    sender: bytes
    """The sender's public key, which counts only where it is known to be theirs."""
    keys: tuple[bytes, ...]
    """The key of the body, for each recipient."""
    body: bytes


def encrypt(
    name: str, subject: str, text: str, sender: PrivateKey, recipients: Sequence[PublicKey]
) -> Mail:
    """A mail that each of the recipients can open."""
    key = random(SecretBox.KEY_SIZE)
    keys = tuple(bytes(Box(sender, each).encrypt(key)) for each in recipients)
    body = bytes(SecretBox(key).encrypt(text.encode("utf-8")))
    return Mail(name, subject, bytes(sender.public_key), keys, body)


def explained(cause: Decryption) -> str:
    """What the user reads. A type checker finds a cause that is forgotten here."""
    match cause:
        case Decryption.KEY_MISSING:
            return "It is encrypted for a key that is not on this computer."
        case Decryption.KEY_LATE:
            return "The sender's key has not arrived yet. It is opened once it has."
        case Decryption.MESSAGE_DAMAGED:
            return "It was cut off or changed on its way. Have it sent again."
        case Decryption.CANCELLED:
            return "It needs the passphrase of your key."
        case Decryption.OTHER:
            return "It could not be opened."
        case _:
            assert_never(cause)


class UnopenedError(Exception):
    """Why a mail stays closed."""

    def __init__(self, cause: Decryption) -> None:
        super().__init__(explained(cause))
        self.cause = cause


class Mailbox:
    """The user's keys, those of people who write, and what became of each mail.

    ``unlocked`` asks for the passphrase where it must; False where the user closed the question.
    """

    def __init__(
        self,
        own: Sequence[PrivateKey],
        known: Iterable[PublicKey],
        stream: Stream,
        unlocked: Callable[[], bool] = lambda: True,
    ) -> None:
        self._own = own
        self._people: dict[bytes, Literal["known", "new"]] = {bytes(it): "known" for it in known}
        self._stream = stream
        self._unlocked = unlocked
        self._opened: dict[str, str] = {}
        self._failures: dict[str, Failure] = {}

    def learn(self, key: PublicKey) -> None:
        """The key of somebody who writes has arrived."""
        self._people.setdefault(bytes(key), "new")

    def open(self, mail: Mail) -> str:
        """Its text. The same mail in several folders, or tried again, is one failure.

        Raises ``UnopenedError``.
        """
        if mail.name in self._opened:
            return self._opened[mail.name]
        try:
            text = self._opened[mail.name] = self._text(mail)
        except UnopenedError as error:
            self._failures[mail.name] = self._failed(mail, error.cause)
            raise
        self._stream.succeeded()
        if mail.name in self._failures:
            self._failures.pop(mail.name).resolved()
        return text

    def _failed(self, mail: Mail, cause: Decryption) -> Failure:
        if cause is Decryption.KEY_MISSING:
            sender = self._people[mail.sender]
            return decryption_key_missing(self._stream, mail.name, sender=sender)
        return self._stream.fail(cause, mail.name)

    def _text(self, mail: Mail) -> str:
        if mail.sender not in self._people:
            raise UnopenedError(Decryption.KEY_LATE)
        if not self._unlocked():
            raise UnopenedError(Decryption.CANCELLED)
        key = self._key(mail)
        try:
            return SecretBox(key).decrypt(mail.body).decode("utf-8")
        except CryptoError:
            raise UnopenedError(Decryption.MESSAGE_DAMAGED) from None
        except ValueError:  # another size of key, or another encoding
            raise UnopenedError(Decryption.OTHER) from None

    def _key(self, mail: Mail) -> bytes:
        """That of the body, by the first of the user's keys that a recipient has."""
        sender = PublicKey(mail.sender)
        for own, wrapped in product(self._own, mail.keys):
            try:
                return Box(own, sender).decrypt(wrapped)
            except CryptoError:
                continue  # of another recipient
        raise UnopenedError(Decryption.KEY_MISSING)
