"""The key pairs that clients seal to: of the intake, one a week, and of error reports, one a
release.

Public halves lie in ``intake.json`` and ``reports.json``, from where they go into the steering
document and the registry. Secrets lie in files of their own (``mars.wire.keyfile``), which are
carried to where reports are opened, and destroyed there and here when their week is over.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from mars.commandline import shown
from mars.errors import ConfigError, StateError, WireError, naming
from mars.ports import Chance
from mars.wire import keyfile, sealed, strictjson
from mars.wire.keyfile import INTAKE, REPORTS
from mars.wire.product import is_release
from mars.wire.steering import MAX_WEEKS
from mars.wire.times import DAY, WEEK, is_week, monday, week_of, week_start
from mars_motd import files, sealing
from mars_motd.folder import Folder

FILES = {INTAKE: "intake.json", REPORTS: "reports.json"}
"""Public halves: week or release to 64 hex digits."""
_NAMES = {INTAKE: is_week, REPORTS: is_release}
_PUBLIC = re.compile(r"[0-9a-f]{64}", re.ASCII)
_MAX_BYTES = 64 * 1024
_OTHER_KIND = {
    REPORTS: "holds keys of error reports, one a release, and nothing in it ends with a week: name "
    "a file of the intake's, or releases with --reports.",
    INTAKE: "holds keys of the intake, one a week, and none of a release: name a file of error "
    "reports.",
}


@dataclass(frozen=True)
class Destroyed:
    """Secrets that were taken out of one file."""

    path: Path
    names: tuple[str, ...]
    """Their weeks or releases."""
    left: int
    """Secrets that are still in it; the file is gone where there are none."""


def public_halves(folder: Folder, kind: str) -> dict[str, str]:
    """What lies in ``FILES``, in order; nothing where there is no file.

    Raises ``StateError`` (``intake-damaged``, ``reports-damaged``).
    """
    path = folder.root / FILES[kind]
    if not files.exists(path):
        return {}
    try:
        keys = strictjson.parse(files.read(path, _MAX_BYTES + 1), _MAX_BYTES)
    except WireError as error:
        raise _damaged(kind, path, f"cannot be read: {error.message}") from None
    if not isinstance(keys, dict):
        raise _damaged(kind, path, "must map names to public keys.")
    for name, key in keys.items():
        if not (_NAMES[kind](name) and isinstance(key, str) and _PUBLIC.fullmatch(key)):
            raise _damaged(kind, path, "must map weeks or releases to keys of 64 hex digits.")
    return dict(sorted(keys.items(), key=lambda pair: _order(pair[0])))


def _order(name: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall("[0-9]+", name))


def _damaged(kind: str, path: Path, what: str) -> StateError:
    return StateError(f"{kind}-damaged", f"{shown(path)} {what} Restore it from version control.")


def changes(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    """Of which weeks ``new`` has another key than ``old``, for people: nobody compares 64 digits by
    eye, and which weeks they are is what a holder of root knows."""
    for week in sorted({*old, *new}):
        if week not in old:
            yield f"+ {week}"
        elif week not in new:
            yield f"- {week}"
        elif old[week] != new[week]:
            yield f"~ {week} (CHANGED)"


def doubts(folder: Folder, old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    """What the holders of root should know before clients seal to the keys of ``new``, week to
    public key, where they have those of ``old``. Raises ``WireError`` (``key-damaged``)."""
    differing = [week for week in new if old.get(week) != new[week]]
    if changed := [week for week in differing if week in old]:
        yield (
            f"the intake's key of {', '.join(changed)} is ANOTHER than root has signed: whoever "
            f"made it reads what clients report in that week, and what was sealed to the one "
            f"before stays closed to it. Sign only if you made another one yourselves; else "
            f"restore {FILES[INTAKE]}"
        )
    if strange := [week for week in differing if not _is_ours(folder, week, new[week])]:
        yield (
            f"the secret of the intake's key of {', '.join(strange)} is not in keys/: where nobody "
            f"of you has it, it is a stranger's, who would read the reports, and you could not"
        )


def _is_ours(folder: Folder, week: str, public: str) -> bool:
    """Whether a secret of that week lies in ``keys/``, and belongs to ``public`` as far as can be
    seen without a passphrase."""
    for path in _files(folder):
        with naming(path):
            data = files.read(path)
            if week not in keyfile.names(data)[1]:
                continue
            secret = keyfile.in_the_clear(data).get(week)
        if secret is None or sealed.public_key(secret).hex() == public:
            return True
    return False


def weeks_to_make(covered: Mapping[str, str], now: int, many: int) -> list[str]:
    """The next ``many`` weeks, from that of ``now`` (Unix seconds) on, that have no key yet.

    Raises ``ConfigError`` (``too-many-weeks``): a steering document lists ``MAX_WEEKS``.
    """
    start, found = week_start(now), list[str]()
    ahead = [week for week in covered if week >= week_of(now)]
    if len(ahead) + many > MAX_WEEKS:
        raise ConfigError(
            "too-many-weeks",
            f"{len(ahead)} weeks from now on have a key already, and clients take {MAX_WEEKS} in "
            f"all: make fewer, or none yet.",
        )
    while len(found) < many:
        if (week := week_of(start)) not in covered:
            found.append(week)
        start += WEEK
    return found


def days_left(covered: Mapping[str, str], now: int) -> int:
    """Whole days from ``now`` (Unix seconds) during which every week has a key; 0 where this one
    has none."""
    start = week_start(now)
    while week_of(start) in covered:
        start += WEEK
    return max(0, (start - now) // DAY)


def make(
    folder: Folder, kind: str, names: Sequence[str], phrase: str | None, chance: Chance, now: int
) -> Path:
    """A pair for each of ``names``; the file of the secrets, which is new.

    Public halves of weeks that are over at ``now`` (Unix seconds) leave ``intake.json``: no client
    seals to them. Raises ``ConfigError`` (``key-exists``), ``OSError``.
    """
    there = public_halves(folder, kind)
    if taken := [name for name in names if name in there]:
        raise ConfigError("key-exists", f"There is a key for {taken[0]} already.")
    pairs = {name: chance.token(sealed.KEY_BYTES) for name in names}
    passphrase = None if phrase is None else phrase.encode("utf-8")
    data = keyfile.encode(kind, pairs, passphrase, chance.token)
    path = _free(folder.keys.keys, f"{kind}-{names[0]}")
    files.private_folder(path.parent)
    files.create(path, data, files.SECRET)
    public = {name: sealed.public_key(secret).hex() for name, secret in pairs.items()}
    try:
        _save(folder, kind, _current(kind, {**there, **public}, week_of(now)))
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


def _free(folder: Path, name: str) -> Path:
    """Not taken yet: where a key was destroyed, one of the same week may be made again."""
    number, path = 1, folder / f"{name}.secret"
    while files.exists(path):
        number += 1
        path = folder / f"{name}-{number}.secret"
    return path


def _current(kind: str, public: Mapping[str, str], week: str) -> dict[str, str]:
    return {name: key for name, key in public.items() if kind != INTAKE or name >= week}


def _save(folder: Folder, kind: str, public: Mapping[str, str]) -> None:
    told = dict(sorted(public.items(), key=lambda pair: _order(pair[0])))
    files.replace(folder.root / FILES[kind], strictjson.write(told, indent=1) + b"\n")


def destroy(folder: Folder, before: date, now: int) -> tuple[list[Destroyed], list[str]]:
    """``destroy_in`` all files of the intake in ``keys/``; the public halves of these weeks leave
    ``intake.json``.

    Returns what was taken out of which file, and which weeks left ``intake.json``.
    """
    gone = destroy_in(_files(folder), before, now)
    public = public_halves(folder, INTAKE)
    rest = {week: key for week, key in public.items() if not _is_over(week, before)}
    if rest != public:
        _save(folder, INTAKE, rest)
    return gone, [week for week in public if week not in rest]


def destroy_in(paths: Iterable[Path], before: date, now: int) -> list[Destroyed]:
    """Takes the secrets of weeks that ended before the day ``before`` out of files of the intake;
    needs no passphrase.

    Raises ``ConfigError`` (``future``): clients still seal to the key of a week that is not over at
    ``now`` (Unix seconds); ``WireError`` (``key-damaged``).
    """
    week = week_of(now)
    if _is_over(week, before):
        raise ConfigError(
            "future",
            f"{week} is not over, so clients still seal to its key: give --before "
            f"{monday(week)} or an earlier day.",
        )
    return _destroyed_in(paths, INTAKE, lambda name: _is_over(name, before))


def withdraw(folder: Folder, releases: Collection[str]) -> tuple[list[Destroyed], list[str]]:
    """``withdraw_in`` all files of error reports in ``keys/``; the public halves of these releases
    leave ``reports.json``.

    Returns what was taken out of which file, and which releases left ``reports.json``. Raises
    ``ConfigError`` (``key-unknown``).
    """
    public = public_halves(folder, REPORTS)
    _require_held([*public, *held(folder)[REPORTS]], releases)
    gone = withdraw_in(_all_files(folder), releases)
    rest = {release: key for release, key in public.items() if release not in releases}
    if rest != public:
        _save(folder, REPORTS, rest)
    return gone, [release for release in public if release not in rest]


def withdraw_in(paths: Iterable[Path], releases: Collection[str]) -> list[Destroyed]:
    """Takes the secrets of ``releases`` out of files of error reports; needs no passphrase.

    Raises ``ConfigError`` (``key-unknown``) and ``WireError`` (``key-damaged``).
    """
    return _destroyed_in(paths, REPORTS, lambda name: name in releases)


def _require_held(there: Collection[str], releases: Iterable[str]) -> None:
    if unknown := [release for release in releases if release not in there]:
        raise ConfigError(
            "key-unknown",
            f"There is no key of error reports of {', '.join(unknown)} here; mars-motd key list "
            f"shows which there are.",
        )


def require_kind(path: Path, kind: str, releases: Collection[str] = ()) -> None:
    """Raises ``WireError`` (``key-damaged``) where ``path`` is no file of secret keys,
    ``ConfigError``: ``key-kind`` where they are of another kind, ``key-missing``, and
    ``key-unknown`` where one of ``releases`` is not in it."""
    if not files.exists(path):
        raise ConfigError(
            "key-missing",
            f"{shown(path)} is not there. Such a file is removed with its last key: unless the "
            f"name is misspelt, all its keys are destroyed already.",
        )
    with naming(path):
        found, names = keyfile.names(files.read(path))
    if found != kind:
        raise ConfigError("key-kind", f"{shown(path)} {_OTHER_KIND[found]}")
    _require_held(names, releases)


def held(folder: Folder) -> dict[str, list[str]]:
    """By kind the weeks and releases whose secrets are in ``keys/``. Raises ``WireError``
    (``key-damaged``)."""
    found: dict[str, list[str]] = {kind: [] for kind in FILES}
    for path in _all_files(folder):
        with naming(path):
            kind, names = keyfile.names(files.read(path))
            found[kind] += names
    return found


def _is_over(week: str, before: date) -> bool:
    return monday(week) + timedelta(days=7) <= before


def _files(folder: Folder) -> Iterator[Path]:
    """Those of the intake, whatever they are called."""
    for path in _all_files(folder):
        if sealing.read_json(files.read(path), path).get("kind") == INTAKE:
            yield path


def _all_files(folder: Folder) -> Iterator[Path]:
    for path in files.listed(folder.keys.keys, suffix=".secret"):
        if sealing.read_json(files.read(path), path).get("type") == keyfile.TYPE:
            yield path


def _destroyed_in(
    paths: Iterable[Path], kind: str, is_gone: Callable[[str], bool]
) -> list[Destroyed]:
    return [it for it in (_destroyed(path, kind, is_gone) for path in paths) if it.names]


def _destroyed(path: Path, kind: str, is_gone: Callable[[str], bool]) -> Destroyed:
    with naming(path):
        data = files.read(path)
        found, names = keyfile.names(data)
        gone = tuple(it for it in names if found == kind and is_gone(it))
        rest = keyfile.without(data, lambda name: name in gone)
    if gone and len(gone) == len(names):
        path.unlink()
    elif gone:
        files.replace(path, rest, files.SECRET)
    return Destroyed(path, gone, len(names) - len(gone))
