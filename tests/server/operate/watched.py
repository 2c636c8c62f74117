"""A real server that is well, for whoever looks at it, and the database of one that counts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from mars.testing.publisher import Publisher
from mars_server.common.config import Config
from mars_server.storage import open_database
from mars_server.storage.ledger import note_doctor
from mars_server.storage.schema import sources, weeks
from tests.server.serving import kit

NOW = int(datetime.now(UTC).timestamp())
PUBLISHER = Publisher()


@contextmanager
def watched(folder: Path, *options: str) -> Iterator[Config]:
    """The settings of a server that runs, with a document that clients accept."""
    document = PUBLISHER.document(NOW - 10)
    (folder / "trust.json").write_bytes(PUBLISHER.trust().encode())
    options = ("--trust", str(folder / "trust.json"), *options)
    with kit.served(*options, folder=folder, unix=True, motd_file=document) as server:
        yield Config(
            bind=f"unix:{server.path}",
            motd=str(folder / "motd.json"),
            log=str(server.logs),
            product=str(folder / "product.toml"),
            trust=str(folder / "trust.json"),
            db=f"sqlite:///{folder}/counts.db",
        )


def database(path: Path, counted: int = NOW, published: int = NOW, proved: int = NOW) -> str:
    """URL of one that was last counted into, published from and proved then (Unix seconds)."""
    engine = open_database(f"sqlite:///{path}")
    source = {"ladder": "", "position": 1, "tail": "", "lines": 1, "hits": 1, "counted": counted}
    with engine.begin() as connection:
        connection.execute(sources.insert().values(source))
        connection.execute(weeks.insert().values(week="2026-W46", published=published))
    note_doctor(engine, 0, proved)
    engine.dispose()
    return f"sqlite:///{path}"
