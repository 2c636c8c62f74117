"""The product folder: where everything lies, and how it is read.

::

    product.toml  metrics.toml  errors.toml  news.txt  messages/*.toml    what people write
    keys/NAME.json  trust/epoch-N.json  issued/SERIAL.json                public records
    keys/NAME.secret  openpgp/                                            secrets, never shared
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mars.errors import ConfigError
from mars.wire import motd as wire
from mars.wire import targeting
from mars.wire.motd import Message
from mars.wire.product import Product, parse_product
from mars_motd import files
from mars_motd.keystore import KeyStore
from mars_motd.messages import Draft, duplicates, invisible, parse_message
from mars_motd.toml_files import Problem


@dataclass(frozen=True)
class Folder:
    """Paths and readers of one product folder."""

    root: Path

    @classmethod
    def at(cls, path: Path) -> Folder:
        """Raises ``ConfigError`` (``no-product``) where there is no ``product.toml``."""
        if not (path / "product.toml").is_file():
            raise ConfigError(
                "no-product",
                f"{path} holds no product.toml. Make a product folder with: "
                f"mars-motd init {path} --product NAME",
            )
        return cls(path)

    @property
    def keys(self) -> KeyStore:
        return KeyStore(self.root / "keys", self.root / "openpgp")

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
        return parse_product(path.read_bytes(), str(path))

    def content(self) -> Content:
        """Everything that goes into the next document, with all problems."""
        folder, path = self.root / "messages", self.root / "news.txt"
        drafts = [self._draft(path) for path in files.listed(folder, suffix=".toml")]
        news = path.read_bytes() if files.exists(path) else b""
        text, wrong = _news(news)
        found = [problem for _, draft in drafts for problem in draft.problems]
        found += [*duplicates(drafts), *(Problem(str(path), 1, what) for what in wrong)]
        messages = tuple(draft.message for _, draft in drafts if draft.message is not None)
        if len(messages) > wire.MAX_MESSAGES:
            said = f"{len(messages)} messages; {wire.MAX_MESSAGES} are allowed. Remove old ones"
            found.append(Problem(str(folder), 1, f"holds {said}"))
        return Content(text, messages, tuple(found))

    def _draft(self, path: Path) -> tuple[str, Draft]:
        """The path for people, bytes of a name that are no text as ``\\xff``; and what is there."""
        where = os.fsencode(path).decode("utf-8", "backslashreplace")
        if where != str(path):
            wrong = Problem(where, 1, "has a name that is not UTF-8; rename the file")
            return where, Draft(None, (wrong,))
        return where, parse_message(path.read_bytes(), where, path.stem, self.product)


def _news(data: bytes) -> tuple[str, list[str]]:
    """The plain text of ``news.txt``, and what is wrong with it."""
    try:
        text = data.decode("utf-8").replace("\r\n", "\n").replace("\t", " ").strip()
    except UnicodeDecodeError:
        return "", ["is not UTF-8"]
    if targeting.clean(text, newlines=True) != text:
        return "", [f"holds {invisible(text)}, which clients remove"]
    if len(text) > wire.MAX_TEXT:
        return "", [f"has {len(text)} characters; {wire.MAX_TEXT} are allowed"]
    return text, []


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
