"""What ``init`` and ``new`` write, with the explanations that a publisher wants to read there."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files

from mars.wire.events import GRACE, LATE

GITIGNORE = """\
# Secrets stay on the machine that made them. Public records (keys/*.json, trust/, issued/) are
# meant to be under version control.
*.secret
trust/gen.lock
openpgp/
root/
"""


def product_toml(name: str, channel: str, servers: Iterable[str] = ()) -> str:
    """``product.toml`` beside this module, filled in."""
    text = files("mars_motd").joinpath("product.toml").read_text("utf-8")
    return text.format(name=name, channel=channel, servers=", ".join(map(_quoted, servers)))


METRICS_TOML = """\
# Statistics that an application may offer its users to send. Each needs their consent, and each
# must be declared here first. Nothing is declared yet. An entry looks so:
#
# [folders]
# project = "examplemail"                  # the product's name, or a plug-in's
# label = "Mail folders"
# description = "How many mail folders there are, in coarse steps."
# reason = "Decides whether the folder list needs a search field."
# owner = "mail list team"
# review = "https://example.org/reviews/12"      # or a number such as BUG 1234
# sensitivity = "interaction"              # or technical
# declared = 2026-12-01
# expires = 2027-12-31                     # the first day on which it is not collected any more
# type = "bucket"                          # bool, enum (values = ["a", "b"]), bucket, version
# bounds = [1, 10, 100]
# rate = 0.25                              # reports a week of one installation, on average
#
# With epsilon = 1.0986 a random value goes out one time in two; rate is then 0.07 at most.
# What is not needed any more gets withdrawn = 2027-06-30 and stays, so that people can read what
# was collected. "mars-motd check" says what is wrong, "mars-motd registry" writes what is sent out.
"""

ERRORS_TOML = f"""\
# Error events that an application may count, if its user agrees to the domain as a whole. Nothing
# is declared yet. A domain with a cause looks so:
#
# [decryption]
# description = "Decrypting a mail that somebody sent."
# rate = 0.25                              # reports a week of the whole domain
# grace = {GRACE}                               # seconds within which what resolves is no failure
# late = {LATE}                             # seconds until when a later resolution is known as late
#
# [decryption.key_missing]
# description = "The secret key for a mail is not on this computer."
# owner = "mail encryption team"
# review = "https://example.org/reviews/15"      # or a number such as BUG 1234
# sensitivity = "technical"                # or interaction
# declared = 2026-12-01
# expires = 2027-12-31                     # the first day on which it is not collected any more
# expected = false                         # true: left out of the share that failed
#
# [decryption.key_missing.dimensions]      # of the last such failure; each is reported on its own
# device = ["own", "other"]
# verified = "bool"
#
# A domain has a cause called other, and at best one for each thing that you would mend. Free text,
# times, numbers and identifiers cannot be told. "mars-motd generate" makes an enum of the causes.
"""


def message_toml(
    title: str,
    text: str,
    kind: str = "news",
    severity: str = "info",
    url: str = "",
    versions: str = "",
    platforms: tuple[str, ...] = (),
    languages: tuple[str, ...] = (),
    language: str = "en",
) -> str:
    """A file for ``messages/``; empty values become commented examples."""
    target = [
        _entry("platforms", _texts(platforms), '["windows"]'),
        _entry("versions", _quoted(versions) if versions else "", '">=0.1,<0.1.3"'),
        _entry("languages", _texts(languages), '["is"]'),
    ]
    return "\n".join(
        [
            "# The id is the file's name unless you give one. Raise the revision to show the item",
            "# again to people who have seen it.",
            "revision = 1",
            f"kind = {_quoted(kind)}  # news, update or security",
            f"severity = {_quoted(severity)}  # info, warning or critical (may pop up)",
            "# not_before = 2026-11-21T00:00:00Z",
            "# not_after = 2026-12-21T00:00:00Z",
            _entry("url", _quoted(url) if url else "", '"https://example.org/news"'),
            "",
            "# Who sees it. Clients decide that for themselves: all are sent the same document.",
            "[target]",
            *target,
            "",
            "[title]",
            f"{language} = {_quoted(title)}",
            "",
            "[text]",
            f"{language} = {_long(text)}",
            "",
        ]
    )


def _entry(name: str, value: str, example: str) -> str:
    return f"{name} = {value}" if value else f"# {name} = {example}"


def _texts(values: tuple[str, ...]) -> str:
    return f"[{', '.join(_quoted(value) for value in values)}]" if values else ""


def _quoted(text: str) -> str:
    """A basic TOML string (toml.io, v1.0.0, "String")."""
    return '"' + "".join(_escaped(character) for character in text) + '"'


def _long(text: str) -> str:
    """A multi-line basic string, so that a person can go on writing."""
    lines = text.strip("\n").split("\n")
    body = "\n".join("".join(_escaped(c, '"') for c in line) for line in lines)
    return '"""\n' + body.replace('"""', '""\\"') + '\n"""'


def _escaped(character: str, keep: str = "") -> str:
    if character in keep or (character.isprintable() and character not in '"\\'):
        return character
    if character in '"\\':
        return "\\" + character
    return f"\\U{ord(character):08X}"
