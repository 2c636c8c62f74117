"""Writes access logs of any size: realistic lines, and hostile ones made to be misread.

    python bench/loggen.py --lines 5000000 --out /tmp/access.log [--kind combined|own|distinct|json]

``combined`` is a busy site's log: 70 % hits over the given days with realistic shares of versions
and platforms, 30 % other requests, refusals and lines that attackers write. ``own`` is our own
server's log. ``distinct`` is an attack: every line a hit with a query of its own. Deterministic
for a seed; lines are in the order of time.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

FIRST_DAY = date(2026, 9, 28)
AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/131.0.0.0 Safari/537.36"
    ),
    "curl/8.5.0",
    "MARS",
)
VERSIONS = ("0.5.2", "0.5.1", "0.5.0", "0.4.9", "dev", "0.6.0.rc1")
SHARES = (55, 20, 10, 8, 5, 2)
PLATFORMS = ("windows", "linux", "macos", "other", "plan9")
AGES = ("1", "10", "100", "1000", "7")
LANGUAGES = ("en", "de", "is", "fr", "xx")
OTHER_PATHS = ("/", "/robots.txt", "/motd/", "/motd/motd.json/x", "/static/app.js", "/wp-login.php")
_AT = "{ip} - - [{day}:{time} +0000] "
_GET = '"GET /motd/motd.json HTTP/1.1"'
HOSTILE = (
    _AT + '"GET /?x=\\"GET /motd/motd.json HTTP/1.1\\" 200 1 HTTP/1.1" 404 5 "-" "-"',
    '{ip} - "x [{day}:{time} +0000] ' + _GET + ' 200 1843 "-" "-"',
    _AT + '"GET /motd/motd.json?v=%30.5 HTTP/1.1" 200 1843 "-" "-"',
    _AT + _GET + ' 404 9 "\\" 200 " "\\x00"',
    _AT + '"\\x16\\x03\\x01\\x02" 400 157 "-" "-"',
    _AT + _GET + ' 200 1843 "-" "\x85\u2028\r \x1b[31m"',
    _AT + '"HEAD /motd/motd.json HTTP/1.1" 200 0 "-" "-"',
    "{ip} - - [31/Feb/2026:{time} +0000] " + _GET + ' 200 1843 "-" "-"',
)


def query(draw: random.Random) -> str:
    if draw.random() < 0.35:
        return ""
    version = draw.choices(VERSIONS, SHARES)[0]
    text = f"?v={version}&os={draw.choice(PLATFORMS)}&ia={draw.choice(AGES)}"
    extra = draw.random()
    if extra < 0.1:
        return f"{text}&lang={draw.choice(LANGUAGES)}"
    if extra < 0.2:
        return f"{text}&py=3.{draw.randint(8, 14)}"
    return f"{text}&cc={draw.choice(('IS', 'DE', 'US', 'FR', 'zz'))}" if extra < 0.3 else text


def clock(second: int) -> str:
    return f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"


def combined(draw: random.Random, day: str, second: int) -> str:
    ip = ".".join(str(draw.randint(1, 223)) for _ in range(4))
    time = clock(second)
    kind = draw.random()
    agent = draw.choice(AGENTS)
    if kind < 0.7:
        return (
            f'{ip} - - [{day}:{time} +0000] "GET /motd/motd.json{query(draw)} HTTP/1.1" '
            f'200 1843 "-" "{agent}"'
        )
    if kind < 0.95:
        path = draw.choice(OTHER_PATHS)
        return f'{ip} - - [{day}:{time} +0000] "GET {path} HTTP/1.1" 404 153 "-" "{agent}"'
    return draw.choice(HOSTILE).format(ip=ip, day=day, time=time)


def own(draw: random.Random, day: str, _second: int) -> str:
    text = query(draw)
    return f'- - - [{day}:00:00:00 +0000] "GET /motd/motd.json{text} HTTP/1.1" 200 1843 "-" "-"'


def distinct(draw: random.Random, day: str, second: int) -> str:
    noise = f"{draw.getrandbits(400):0100x}"
    return (
        f"{draw.randint(1, 223)}.0.0.1 - - [{day}:{clock(second)} +0000] "
        f'"GET /motd/motd.json?v=0.5.2&os=linux&x={noise} HTTP/1.1" 200 1843 "-" "-"'
    )


def as_json(draw: random.Random, day: str, second: int) -> str:
    first = datetime.strptime(day, "%d/%b/%Y").replace(tzinfo=UTC)
    status = 200 if draw.random() < 0.7 else 404
    return (
        f'{{"level":"info","ts":{int(first.timestamp()) + second}.5,"logger":"http.log.access",'
        '"msg":"handled request","request":{"remote_ip":"127.0.0.1","proto":"HTTP/1.1",'
        f'"method":"GET","host":"x","uri":"/motd/motd.json{query(draw)}",'
        f'"headers":{{"User-Agent":["curl"]}}}},"size":1843,"status":{status}}}'
    )


KINDS = {"combined": combined, "own": own, "distinct": distinct, "json": as_json}
PREPARED = 20_000
"""Lines made one by one; bigger logs repeat them with another day, which keeps this fast."""


def log(kind: str, lines: int, days: int = 14, seed: int = 1) -> Iterator[bytes]:
    """Pieces of a log of ``lines`` lines over ``days`` days."""
    draw = random.Random(seed)
    made = 0
    for number in range(days):
        today = (FIRST_DAY + timedelta(number)).strftime("%d/%b/%Y")
        wanted = lines * (number + 1) // days - made
        made += wanted
        fresh = wanted if kind == "distinct" else min(wanted, PREPARED)
        prepared = [
            KINDS[kind](draw, today, 86_400 * index // max(1, fresh)).encode() + b"\n"
            for index in range(fresh)
        ]
        yield from repeated(prepared, wanted)


def repeated(prepared: list[bytes], wanted: int) -> Iterator[bytes]:
    """Each prepared line as often as it takes, in its order."""
    if not prepared:
        return
    times, more = divmod(wanted, len(prepared))
    for at in range(0, len(prepared), 1000):
        part = prepared[at : at + 1000]
        yield b"".join(line * (times + (at + i < more)) for i, line in enumerate(part))


def write(path: Path, kind: str, lines: int, days: int = 14, seed: int = 1) -> None:
    with path.open("wb") as file:
        if kind == "own":
            file.write(b"# mars access log v1 id=%032x\n" % random.Random(seed).getrandbits(128))
        for piece in log(kind, lines, days, seed):
            file.write(piece)


def main() -> None:
    parser = argparse.ArgumentParser(description="Writes an access log to count.")
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--days", type=int, default=14)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kind", choices=sorted(KINDS), default="combined")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    write(options.out, options.kind, options.lines, options.days, options.seed)


if __name__ == "__main__":
    main()
