"""The state of a living client: broken, too large, a link, another's, on a full disk."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from mars.adapters.files import Folder
from mars.channels.memory import Memory
from mars.core import state as states
from mars.core.records import DAMAGED, JOURNAL_FILE, STATE_FILE
from mars.errors import StateError
from mars.testing.memory import START, MemoryStore, session
from mars.testing.world import World
from tests.hostile.test_starts_and_state_files import DAY, GARBAGE, a_world
from tests.waiting import PATIENCE


@pytest.mark.parametrize("data", GARBAGE.values(), ids=GARBAGE)
def test_e22_a_broken_state_is_a_first_run_without_consent(data: bytes) -> None:
    world = a_world()
    world.store.files[STATE_FILE] = data
    client = world.client()
    assert client.load().decision is None
    session(client, world.clock, 20 * DAY)
    assert world.server.visits == []
    stored = states.decode(world.store.files[STATE_FILE])
    assert stored is not None
    assert stored.decision is None


@pytest.mark.parametrize("name", [STATE_FILE, JOURNAL_FILE])
def test_e22_what_is_damaged_while_a_client_runs_is_told_and_kept(name: str) -> None:
    """What was understood once is looked at again when it is another."""
    world = a_world()
    world.publish()
    mars = world.mars()
    assert mars.consent.grant("plain")
    session(mars._client, world.clock, 20 * DAY)
    assert mars.status()["problem"] is None
    assert len(world.server.visits) > 1
    broken = {
        STATE_FILE: world.store.files[STATE_FILE].replace(
            b'"installed": ', b'"installed": "x", "i": '
        ),
        JOURNAL_FILE: world.store.files[JOURNAL_FILE] + b"{no entry}\n",
    }[name]
    world.store.files[name] = broken
    session(mars._client, world.clock, 20 * DAY)
    assert mars.status()["problem"]["reason"] == "state-damaged"
    assert world.store.files[f"{name}{DAMAGED}"] == broken


def test_e22_a_state_too_large_to_be_ours_is_left_alone_and_nothing_is_sent() -> None:
    """No first run: consent and the memory against rollback may be in it."""
    world = a_world()
    data = world.store.files[STATE_FILE] + b" " * 900_000
    world.store.files[STATE_FILE] = data
    mars = world.mars()
    session(mars._client, world.clock, 20 * DAY)
    assert world.server.visits == []
    assert not mars.consent.grant("plain")
    assert mars.status()["problem"]["reason"] == "state-too-large"
    assert world.store.files == {STATE_FILE: data}


def test_e22_a_state_that_would_be_too_large_is_not_written() -> None:
    world = a_world()
    world.publish()
    client = world.client()
    assert client.fetch(asked="plain").ok
    before = client.load()
    seen = {"x" * 900_000: 1}
    with pytest.raises(StateError) as refused:
        client.update(lambda state: (Memory.of(state).saw(seen).into(state), None))
    assert refused.value.reason == "state-too-large"
    assert world.client().load() == before


def test_e22_a_broken_schedule_begins_anew_and_fetches_nothing_at_once() -> None:
    immediate = 0
    for seed in range(60):
        world = a_world(seed)
        world.client().step(None)
        table = json.loads(world.store.files[STATE_FILE])
        table["schedule"] = {"due": "soon"}
        world.store.files[STATE_FILE] = json.dumps(table).encode()
        session(world.client(), world.clock, 300)
        immediate += len(world.server.visits)
    assert immediate <= 1


def test_e22_a_full_disk_stops_the_fetch_and_nothing_else() -> None:
    world = a_world()
    world.store.full = True
    session(world.client(), world.clock, 40 * DAY)
    assert world.server.visits == [], "what cannot be stored before is not attempted"
    mars = world.mars()
    assert mars.motd() is None
    assert mars.consent.grant("plain") is False
    assert mars.status()["problem"]["reason"] == "state-unwritable"
    world.store.full = False
    session(world.client(), world.clock, 40 * DAY)
    assert world.server.visits


def test_e22_a_fetch_by_hand_asks_for_nothing_that_it_cannot_keep() -> None:
    world = World()
    world.publish()
    world.store.full = True
    with pytest.raises(StateError):
        world.client().fetch(asked="plain")
    assert world.server.visits == []


def test_e22_a_link_in_the_place_of_the_state_is_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"secret")
    folder = Folder(tmp_path / "state")
    folder.write("other", b"")
    (tmp_path / "state" / STATE_FILE).symlink_to(elsewhere)
    require_unreadable(folder)
    folder.write(STATE_FILE, b"new")
    assert elsewhere.read_bytes() == b"secret"
    assert folder.read(STATE_FILE) == b"new"


@pytest.mark.parametrize("name", [STATE_FILE, JOURNAL_FILE])
@pytest.mark.parametrize("dangling", [False, True])
def test_e22_a_link_is_left_alone_and_nothing_is_sent(
    tmp_path: Path, name: str, dangling: bool
) -> None:
    """As a program that keeps a user's settings elsewhere makes it."""
    world, elsewhere, state = a_world(), tmp_path / "elsewhere", tmp_path / "state"
    world.store.files[JOURNAL_FILE] = b""
    state.mkdir()
    for kept, data in world.store.files.items():
        (state / kept).write_bytes(data)
    if not dangling:
        elsewhere.write_bytes(world.store.files[name])
    (state / name).unlink()
    (state / name).symlink_to(elsewhere)
    mars = world.mars(store=Folder(state))
    session(mars._client, world.clock, 40 * DAY)
    assert name == JOURNAL_FILE or not mars.consent.grant("plain")
    problem = mars.status()["problem"]
    assert (problem["reason"], f"{name} cannot be read (it is a link)" in problem["message"]) == (
        "state-unreadable",
        True,
    )
    assert world.server.visits == []
    assert (state / name).is_symlink()
    assert elsewhere.exists() is not dangling
    assert dangling or elsewhere.read_bytes() == world.store.files[name]


def test_e22_an_empty_state_is_a_first_run_and_nothing_is_said_to_be_kept(tmp_path: Path) -> None:
    (tmp_path / STATE_FILE).touch()
    mars = World().mars(store=Folder(tmp_path))
    mars.reset_age()
    problem = mars.status()["problem"]
    assert problem["reason"] == "state-damaged"
    assert problem["message"].startswith("state.json is empty, so ")
    assert "kept" not in problem["message"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [STATE_FILE, "state.lock"]
    assert mars.consent.grant("plain")
    assert mars.status()["problem"] is None


@pytest.mark.timeout(PATIENCE)  # else it would wait for ever
def test_e22_a_pipe_in_the_place_of_the_state_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / STATE_FILE)
    require_unreadable(Folder(tmp_path))


def test_e22_a_file_of_another_user_is_not_believed(tmp_path: Path) -> None:
    if os.geteuid() != 0:  # then any file of root's will do
        assert Path("/etc/passwd").read_bytes()
        require_unreadable(Folder("/etc"), "passwd")
        return
    (tmp_path / STATE_FILE).write_bytes(b"{}")
    assert Folder(tmp_path).read(STATE_FILE) == b"{}"
    os.chown(tmp_path / STATE_FILE, 65534, 65534)
    require_unreadable(Folder(tmp_path))


def require_unreadable(folder: Folder, name: str = STATE_FILE) -> None:
    with pytest.raises(StateError) as refused:
        folder.read(name)
    assert refused.value.reason == "state-unreadable"


def test_e22_a_folder_that_is_a_file_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    folder = Folder(tmp_path / "file")
    require_unreadable(folder)
    with pytest.raises(StateError):
        folder.write(STATE_FILE, b"")
    with pytest.raises(StateError):
        folder.delete(STATE_FILE)
    with pytest.raises(StateError), folder.lock("fetcher"):
        pass


def test_e22_a_write_that_fails_midway_leaves_the_old_file(tmp_path: Path) -> None:
    """The kernel refuses the rest of a file beyond the limit, as it does on a full disk."""
    script = (
        "import resource, sys\n"
        "from mars.adapters.files import Folder\n"
        "from mars.errors import StateError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "try: Folder(sys.argv[1]).write('state.json', b'x' * 200_000)\n"
        "except StateError as error: print(error.reason)\n"
    )
    folder = Folder(tmp_path)
    folder.write(STATE_FILE, b"old")
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "state-unwritable", done.stderr
    assert folder.read(STATE_FILE) == b"old"
    assert [path.name for path in tmp_path.iterdir()] == [STATE_FILE], "no litter"


def test_e22_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    whole = [bytes([65 + number]) * 50_000 for number in range(2)]
    folder.write("file", whole[0])
    ending = threading.Event()
    torn: list[bytes | None] = []

    def read() -> None:
        while not ending.is_set():
            data = folder.read("file")
            if data not in whole:
                torn.append(data)

    reader = threading.Thread(target=read)
    reader.start()
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        for data in whole:
            folder.write("file", data)
    ending.set()
    reader.join()
    assert torn == []


def test_the_memory_store_and_the_folder_keep_one_contract(tmp_path: Path) -> None:
    for store in (MemoryStore(), Folder(tmp_path / "deep" / "er")):
        assert store.read("a") is None
        store.delete("a")
        store.write("a", b"1")
        store.write("a", b"2")
        assert store.read("a") == b"2"
        with store.lock("l"):
            with pytest.raises(StateError) as refused, store.lock("l"):
                pass
            assert refused.value.reason == "locked"
            with store.lock("other"):
                pass
        with store.lock("l"):
            pass
        store.delete("a")
        assert store.read("a") is None
    assert (tmp_path / "deep" / "er").stat().st_mode & 0o777 == 0o700
    assert START % DAY == 0
