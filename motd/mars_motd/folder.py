"""The product folder: where everything lies, and how it is read.

::

    product.toml  metrics.toml  errors.toml  downloads.toml               what people write
    news.txt  messages/*.toml                                             likewise
    keys/NAME.json  trust/  issued/SERIAL.json                            public records
    steering.json  release.json                                           likewise
    registry.json  intake.json  reports.json                              likewise
    keys/NAME.secret  openpgp/  root/                                     secrets, never shared
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mars.commandline import shown
from mars.errors import ConfigError, MarsError
from mars.wire import motd as wire
from mars.wire.motd import Message
from mars.wire.product import Product, parse_product
from mars_motd import downloads, files
from mars_motd.gpg import SECRET_PARTS
from mars_motd.keystore import KeyStore
from mars_motd.messages import Draft, duplicates, parse_message, wrong_text
from mars_motd.toml_files import Problem

_FILES = (
    *("product.toml", "metrics.toml", "errors.toml", "downloads.toml", "news.txt", ".gitignore"),
    *("steering.json", "release.json", "registry.json", "intake.json", "reports.json"),
)
_FOLDERS = ("messages", "keys", "trust", "issued", "openpgp", "root")
_SECRETS = tuple(f"{folder}/{part}" for folder in ("openpgp", "root") for part in SECRET_PARTS)


@dataclass(frozen=True)
class Folder:
    """Paths and readers of one product folder."""

    root: Path

    @classmethod
    def at(cls, path: Path) -> Folder:
        """Raises ``ConfigError`` (``no-product``) where there is no ``product.toml``."""
        if not files.exists(path / "product.toml"):
            raise ConfigError(
                "no-product",
                f"{path} holds no product.toml. Make a product folder with: "
                f"mars-motd init {path} --product NAME",
            )
        return cls(path)

    @property
    def keys(self) -> KeyStore:
        return KeyStore(self.root / "keys", self.root / "openpgp", self.root / "root")

    @property
    def trust(self) -> Path:
        return self.root / "trust"

    @property
    def issued(self) -> Path:
        return self.root / "issued"

    @cached_property
    def product(self) -> Product:
        """Raises ``ConfigError`` (``product-invalid``)."""
        path = self.root / "product.toml"
        return parse_product(files.read(path), str(path))

    def require_output(
        self, out: Path, decode: Callable[[bytes], object], *inputs: Path | None
    ) -> None:
        """Raises ``ConfigError`` (``out-invalid``) where writing ``out`` would cost something of
        the folder, one of ``inputs``, or a file in it that ``decode`` does not know."""
        real = files.writable(out)
        own = {_identity(path) for path in (*self._own(), *inputs) if path is not None}
        places = {_identity(path) for path in (real, *real.parents)}
        if not own.isdisjoint(places):
            raise ConfigError(
                "out-invalid",
                f"{out} is, or lies in, what this command reads and keeps. Name another "
                f"file to write.",
            )
        if _identity(self.root) in places and files.exists(real) and (there := files.read(real)):
            try:
                decode(there)
            except MarsError:
                raise ConfigError(
                    "out-invalid",
                    f"{out} holds something else than this command writes. Name another "
                    f"file, or move that one away.",
                ) from None

    def _own(self) -> Iterator[Path]:
        """What people wrote, the records and the secrets, also where a link leads out."""
        yield from (self.root / name for name in (*_FILES, *_FOLDERS))
        for name in (*_FOLDERS, *_SECRETS):
            yield from files.listed(self.root / name)

    def content(self) -> Content:
        """Everything that goes into the next document, with all problems."""
        folder, path = self.root / "messages", self.root / "news.txt"
        drafts = [self._draft(path) for path in files.listed(folder, suffix=".toml")]
        news = files.read(path) if files.exists(path) else b""
        text, wrong = _news(news)
        found = [problem for _, draft in drafts for problem in draft.problems]
        found += [*duplicates(drafts), *([Problem(shown(path), 1, wrong)] if wrong else [])]
        messages = tuple(draft.message for _, draft in drafts if draft.message is not None)
        if len(messages) > wire.MAX_MESSAGES:
            said = f"{len(messages)} messages; {wire.MAX_MESSAGES} are allowed. Remove old ones"
            found.append(Problem(shown(folder), 1, f"holds {said}"))
        return Content(text, messages, tuple(found))

    def downloads(self) -> downloads.Draft:
        """What ``downloads.toml`` declares, nothing where it is missing."""
        path = self.root / "downloads.toml"
        if not files.exists(path):
            return downloads.Draft(None)
        return downloads.parse_downloads(files.read(path), shown(path), self.product)

    def _draft(self, path: Path) -> tuple[str, Draft]:
        """The path for people, and what is there."""
        where = shown(path)
        if any("\ud800" <= character <= "\udfff" for character in path.name):
            wrong = Problem(where, 1, "has a name that is not UTF-8; rename the file")
            return where, Draft(None, (wrong,))
        return where, parse_message(files.read(path), where, path.stem, self.product)


def _identity(path: Path) -> object:
    """The same for all spellings of a file, also of one that is not there yet."""
    try:
        found = path.stat()
    except OSError:
        return os.path.realpath(path)
    return found.st_dev, found.st_ino


def _news(data: bytes) -> tuple[str, str]:
    """The plain text of ``news.txt``, and what is wrong with it."""
    try:
        text = data.decode("utf-8").replace("\r\n", "\n").replace("\t", " ").strip()
    except UnicodeDecodeError:
        return "", "is not UTF-8"
    wrong = wrong_text(text, wire.MAX_TEXT, is_title=False)
    return "" if wrong else text, wrong


@dataclass(frozen=True)
class Content:
    """The texts of one document, and what is wrong with them."""

    news: str
    messages: tuple[Message, ...]
    problems: tuple[Problem, ...]

    def require(self) -> None:
        """Raises ``ConfigError`` (``content-invalid``) that lists every error, one a line."""
        errors = [str(problem) for problem in self.problems if not problem.warning]
        if errors:
            raise ConfigError(
                "content-invalid", "The news cannot be signed as it is:\n" + "\n".join(errors)
            )
