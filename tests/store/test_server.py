"""The state server as a child process: started, ready, started again, stopped, and never in doubt about whose it is."""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from edgeward.errors import DiskError, StoreError, StoreFull
from edgeward.store import server as server_module
from edgeward.store.connection import open_store
from edgeward.store.program import LEAST_FREE, ServerFolder, find_program
from edgeward.store.server import ServerSettings, StateServer
from waiting import eventually


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def arguments_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


async def test_it_is_ready_when_start_returns(settings: ServerSettings):
    """Start returns when JetStream answers; a write goes through at once; stop leaves no process."""
    server = StateServer(settings)
    await server.start()
    pid = server.pid
    assert pid is not None
    async with open_store(server.address, name="test") as store:
        await store.live.create("docs", b"1", deadline=1.0)
    await server.stop()
    await server.stop()
    assert not is_running(pid)
    assert server.pid is None


async def test_its_folder_and_its_secret_are_nobody_elses(settings: ServerSettings):
    """The folder has mode 0700, the configuration 0600, and the token is in no argument and no log."""
    settings.data.mkdir(mode=0o755)
    async with StateServer(settings) as server:
        assert settings.data.stat().st_mode & 0o777 == 0o700
        assert (settings.data / "server.json").stat().st_mode & 0o777 == 0o600
        assert json.loads((settings.data / "server.json").read_text())["authorization"] == {"token": settings.token}
        assert server.pid is not None
        arguments = arguments_of(server.pid)
        assert settings.token is not None
        assert "token" not in arguments
        assert settings.token not in (settings.data / "server.log").read_text()
        assert settings.token not in repr(settings)
        assert settings.token not in repr(server.address)


async def test_it_syncs_every_write(settings: ServerSettings):
    """An acknowledged write is on the disk: the server is told to sync always."""
    async with StateServer(settings):
        assert json.loads((settings.data / "server.json").read_text())["jetstream"]["sync_interval"] == "always"


async def test_what_was_stored_is_there_after_a_restart(settings: ServerSettings):
    """The folder is the state."""
    for turn in range(3):
        async with StateServer(settings) as server, open_store(server.address, name="test") as store:
            assert len(await store.live.keys()) == turn
            await store.live.create(f"site{turn}", b"1")


async def test_a_killed_server_is_started_again(server: StateServer, store, kill):
    """The supervisor starts it again on the same port, and says meanwhile what is wrong."""
    await store.live.create("docs", b"1")
    address, pid = server.address, server.pid
    await kill()
    assert (server.address, server.problem) == (address, None)
    assert server.pid != pid
    found = await store.live.get("docs", deadline=10)
    assert found is not None


async def test_a_taken_port_is_said_plainly(settings: ServerSettings, loopback_address: str):
    """The message names the address and the port, and the hint a way out; nothing is left running."""
    with socket.socket() as other:
        other.bind((loopback_address, 0))
        other.listen()
        port = other.getsockname()[1]
        server = StateServer(ServerSettings(settings.data, loopback_address, port))
        with pytest.raises(
            StoreError, match=rf"cannot listen on {loopback_address}:{port}: address already in use"
        ) as caught:
            await server.start()
    assert caught.value.hint is not None
    assert "port" in caught.value.hint
    assert server.pid is None
    await server.start()
    await server.stop()


async def test_an_address_of_another_machine_is_said_plainly(settings: ServerSettings):
    """An address that this machine does not have cannot be listened on."""
    with pytest.raises(StoreError, match=r"cannot listen on 192\.0\.2\.1:"):
        await StateServer(ServerSettings(settings.data, "192.0.2.1", 0)).start()


async def test_one_folder_has_one_server(settings: ServerSettings):
    """A second StateServer on the same folder is refused, and the first goes on."""
    async with StateServer(settings) as first:
        with pytest.raises(StoreError, match="in use by another edgeward"):
            await StateServer(settings).start()
        async with open_store(first.address, name="test") as store:
            await store.live.put("docs", b"1")


async def test_a_folder_that_cannot_be_made_is_a_disk_error(tmp_path: Path, loopback_address: str):
    """A file in the way of the folder is named."""
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskError, match=r"cannot use .*file/state for the state server"):
        await StateServer(ServerSettings(tmp_path / "file" / "state", loopback_address, 0)).start()


async def test_a_disk_without_room_is_said_before_the_start(settings: ServerSettings, monkeypatch):
    """With next to nothing free the server is not started: the message says where and how much."""
    real = shutil.disk_usage

    def nearly_full(path):
        return real(path)._replace(free=LEAST_FREE - 1)

    monkeypatch.setattr(shutil, "disk_usage", nearly_full)
    with pytest.raises(StoreFull, match=r"cannot run: the disk of .*state has 15 MiB free"):
        await StateServer(settings).start()


async def test_a_server_that_cannot_read_its_files_says_so(settings: ServerSettings, monkeypatch):
    """When the program itself refuses, its own complaint is in the message."""
    original = ServerFolder.write_config

    def broken(self: ServerFolder, port: int) -> None:
        original(self, port)
        config = json.loads(self.config.read_text())
        config["jetstream"]["sync_interval"] = "nonsense"
        self.config.write_text(json.dumps(config, ensure_ascii=False))

    monkeypatch.setattr(ServerFolder, "write_config", broken)
    with pytest.raises(StoreError, match=r"the state server ended with code 1: .*nonsense"):
        await StateServer(settings).start()


AGENT = """
    import asyncio, sys
    from pathlib import Path
    from edgeward.store.server import ServerSettings, StateServer

    async def main():
        async with StateServer(ServerSettings(Path(sys.argv[1]), sys.argv[2], 0)) as server:
            print(server.pid, server.address.url.rpartition(":")[2], flush=True)
            await asyncio.Event().wait()

    asyncio.run(main())
"""


def start_agent(settings: ServerSettings, *, without_setpriv: bool) -> tuple[subprocess.Popen[str], int, int]:
    path = "/nonexistent" if without_setpriv else os.environ["PATH"]
    agent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(AGENT), str(settings.data), settings.listen],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PATH": path},
    )
    assert agent.stdout is not None
    pid, port = map(int, agent.stdout.readline().split())
    return agent, pid, port


async def test_no_server_outlives_its_agent(settings: ServerSettings):
    """The agent is killed: its server ends by itself."""
    agent, pid, _ = await asyncio.to_thread(start_agent, settings, without_setpriv=False)
    with agent:
        assert is_running(pid)
        agent.kill()
    await eventually(lambda: not is_running(pid), within=15)


async def test_a_server_that_was_left_behind_is_replaced(settings: ServerSettings):
    """Where the system cannot end it with its agent, the next start stops the old server and takes its port."""
    agent, pid, port = await asyncio.to_thread(start_agent, settings, without_setpriv=True)
    with agent:
        agent.kill()
    assert is_running(pid), "without setpriv it stays"
    async with StateServer(ServerSettings(settings.data, settings.listen, port)) as server:
        assert server.pid != pid
        assert not is_running(pid)


async def test_a_process_that_is_not_our_server_is_left_alone(settings: ServerSettings):
    """A recorded process number that now belongs to somebody else is never signalled."""
    settings.data.mkdir(mode=0o700)
    bystander = await asyncio.create_subprocess_exec("sleep", "60")
    (settings.data / "server.pid").write_text(str(bystander.pid))
    async with StateServer(settings):
        assert bystander.returncode is None
    bystander.kill()
    assert await bystander.wait() == -signal.SIGKILL


async def test_a_server_that_does_not_answer_is_started_again(server: StateServer, store, monkeypatch):
    """A server that is alive but silent is replaced."""
    monkeypatch.setattr(server_module, "_SILENT_CHECKS", 1)
    await store.live.put("docs", b"1")
    pid = server.pid
    assert pid is not None
    monkeypatch.setattr(server_module, "_STOP_PATIENCE", 0.5)
    os.kill(pid, signal.SIGSTOP)
    await eventually(lambda: server.restarts == 1, within=30)
    assert not is_running(pid)
    assert await store.live.get("docs", deadline=15) is not None


def test_the_program_is_the_wheels(tmp_path: Path):
    """find_program returns the server that was installed beside this interpreter, of a version that serves us."""
    found = subprocess.run([find_program(), "--version"], capture_output=True, text=True, check=True)
    major, minor = found.stdout.rpartition("v")[2].split(".")[:2]
    assert (int(major), int(minor)) >= (2, 12)


async def test_ports_and_addresses_of_both_families(settings: ServerSettings):
    """It listens on IPv6 as well."""
    async with (
        StateServer(ServerSettings(settings.data, "::1", 0)) as server,
        open_store(server.address, name="test") as store,
    ):
        assert server.address.url.startswith("nats://[::1]:")
        await store.live.put("docs", b"1")
