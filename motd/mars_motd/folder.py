"""The product folder: where everything lies, and how it is read.

::

    product.toml  metrics.toml  errors.toml  news.txt  messages/*.toml    what people write
    keys/NAME.json  trust/epoch-N.json  issued/SERIAL.json                public records
    keys/NAME.secret  openpgp/                                            secrets, never shared
"""

from __future__ import annotations

import os
from dataclasses import dataclass
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

    def product(self) -> Product:
        """Raises ``ConfigError`` (``product-invalid``)."""
        path = self.root / "product.toml"
        return parse_product(path.read_bytes(), str(path))

    def drafts(self, product: Product) -> list[tuple[str, Draft]]:
        """Each file of ``messages/`` by name, with what was read of it."""
        paths = files.listed(self.root / "messages", suffix=".toml")
        return [(printable(path), _draft(path, product)) for path in paths]

    def news(self) -> tuple[str, list[Problem]]:
        """The plain text of ``news.txt`` (may be absent), and what is wrong with it."""
        path = self.root / "news.txt"
        if not files.exists(path):
            return "", []
        try:
            text = path.read_bytes().decode("utf-8").replace("\r\n", "\n").replace("\t", " ")
        except UnicodeDecodeError:
            return "", [Problem(str(path), 1, "is not UTF-8")]
        text = text.strip()
        if targeting.clean(text, newlines=True) != text:
            said = f"holds {invisible(text)}, which clients remove"
            return "", [Problem(str(path), 1, said)]
        if len(text) > wire.MAX_TEXT:
            said = f"has {len(text)} characters; {wire.MAX_TEXT} are allowed"
            return "", [Problem(str(path), 1, said)]
        return text, []

    def content(self, product: Product) -> Content:
        """Everything that goes into the next document, with all problems."""
        drafts = self.drafts(product)
        news, problems = self.news()
        found = [problem for _, draft in drafts for problem in draft.problems]
        messages = tuple(draft.message for _, draft in drafts if draft.message is not None)
        found += duplicates(drafts) + problems
        if len(messages) > wire.MAX_MESSAGES:
            folder = str(self.root / "messages")
            said = (
                f"holds {len(messages)} messages; {wire.MAX_MESSAGES} are allowed. Remove old ones"
            )
            found.append(Problem(folder, 1, said))
        return Content(news, messages, tuple(found))


def printable(path: Path) -> str:
    """The path for people; bytes of a name that are no text as ``\\xff``."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _draft(path: Path, product: Product) -> Draft:
    where = printable(path)
    if where != str(path):
        return Draft(None, (Problem(where, 1, "has a name that is not UTF-8; rename the file"),))
    return parse_message(path.read_bytes(), where, path.stem, product)


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
