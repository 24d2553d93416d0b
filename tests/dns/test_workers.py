"""The processes of a name server, real ones, while what they answer from changes."""

import asyncio
import json
import os
import resource
import signal
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import dns.asyncquery
import dns.edns
import dns.exception
import dns.message
import dns.query
import dns.rcode
import pytest

from dns_world import SECRET, zones
from edgeward.core.steering_table import SteeringTable
from edgeward.dns.view import Proofs, View
from edgeward.dns.watch import HEARD_WITHIN, HERE
from edgeward.dns.workers import _MOST_UNREAD, Listening, Workers
from waiting import eventually

PORT = 5300
PROOF = "_acme-challenge.www.example.test"
SWAPS = 40
CLIENTS = 16


@dataclass
class Server:
    """Two workers, and the files that they read."""

    workers: Workers
    address: str
    view: View
    view_file: Path
    table_file: Path

    def tell(self, number: int) -> None:
        """Have the proof say this number."""
        self.view = replace(self.view, proofs=Proofs(txt={PROOF: (str(number),)}))
        self.workers.tell(self.view)

    def write(self, data: bytes) -> None:
        """Replace the file of the view as the agent does."""
        temp = self.view_file.with_suffix(".new")
        temp.write_bytes(data)
        temp.replace(self.view_file)

    async def proof(self) -> int:
        """Ask for the proof from a port of its own: either worker may answer."""
        question = dns.message.make_query(PROOF, "TXT")
        answer = await dns.asyncquery.udp(question, self.address, port=PORT, timeout=3)
        assert answer.rcode() == dns.rcode.NOERROR
        return int(answer.answer[0][0].strings[0])


@asynccontextmanager
async def serving(folder: Path, address: str, table: SteeringTable) -> AsyncIterator[Server]:
    view_file, table_file = folder / "view.json", folder / "steering.table"
    workers = Workers(Listening((address,), PORT, 2, 0), view=view_file, table=table_file, secret=SECRET)
    server = Server(workers, address, View(zones(), server="fra"), view_file, table_file)
    table_file.write_bytes(table.to_bytes())
    server.tell(0)
    server.write(server.view.to_bytes())
    running = asyncio.create_task(workers.run())
    try:
        await eventually(lambda: len(workers.ready) == 2, within=20)
        yield server
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


@pytest.fixture
async def server(tmp_path: Path, loopback_address: str, table: SteeringTable) -> AsyncIterator[Server]:
    async with serving(tmp_path, loopback_address, table) as made:
        yield made


async def test_no_question_is_lost_while_both_workers_change(server: Server) -> None:
    """Forty changes, every fifth of them with new files, while sixteen clients ask without a pause: each question is
    answered, with what was so before or after the change, and at the end with the last.
    """
    asked = 0
    ended = asyncio.Event()

    async def ask_on() -> None:
        nonlocal asked
        while not ended.is_set():
            assert 0 <= await server.proof() <= SWAPS
            asked += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            group.create_task(ask_on())
        for number in range(1, SWAPS + 1):
            server.tell(number)
            if number % 5 == 0:
                server.write(server.view.to_bytes())
                server.workers.load()
            goal = asked + CLIENTS
            await eventually(lambda goal=goal: asked >= goal, within=20)
        ended.set()
    print(f"\n{asked} questions, none lost")
    for _ in range(CLIENTS):
        assert await server.proof() == SWAPS


@pytest.mark.parametrize("data", [b"", b"{", b'{"schema":[9,0]}', b'{"schema":[1,0],"zones":7}'])
async def test_files_that_cannot_be_used_change_nothing(server: Server, data: bytes) -> None:
    """The last good ones are answered from, and what is told by the pipe is taken all the same."""
    server.write(data)
    server.table_file.write_bytes(b"no table")
    server.workers.load()
    server.tell(7)
    await eventually(lambda: says(server, 7), within=10)
    assert await server.proof() == 7
    pids = set(children())
    server.workers._send(b'{"out": 3, "drained": [], "lacking": {}, "proofs": {"known": true, "txt": {}}}\n')
    server.workers._send(b"no json\n")
    server.tell(8)
    await eventually(lambda: says(server, 8), within=10)
    assert set(children()) == pids


async def says(server: Server, number: int) -> bool:
    """Whether several questions in a row, which both workers answer, are answered so."""
    return all([await server.proof() == number for _ in range(8)])


def children() -> list[int]:
    """The workers of this process."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            line = (entry.parent / "cmdline").read_bytes()
            if int(entry.read_text().rpartition(")")[2].split()[1]) == os.getpid() and b"dns.worker" in line:
                found.append(int(entry.parent.name))
    return found


async def test_a_frozen_worker_is_started_again(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    """One that says nothing is no worker: another takes its socket over, and the questions that wait in it. Until that
    answers it is told what became of the first.
    """
    victim, other = children()
    os.kill(victim, signal.SIGSTOP)
    try:
        await eventually(lambda: len(children()) == 2 and victim not in children(), within=40)
    finally:
        with suppress(ProcessLookupError):
            os.kill(victim, signal.SIGCONT)
    assert other in children()
    assert "of the name server ended (exit code -9); it starts again in" in caplog.text
    await eventually(lambda: len(server.workers.ready) == 2, within=20)
    await eventually(lambda: says(server, 0), within=20, ignoring=(dns.exception.Timeout,))
    assert server.workers.fallen == {}
    os.kill(other, signal.SIGKILL)
    await eventually(lambda: list(server.workers.fallen.values()) != [], within=5)
    (sentence,) = server.workers.fallen.values()
    assert sentence.endswith(" of the name server ended (exit code -9)")


@contextmanager
def descriptors(spare: int) -> Iterator[None]:
    """Let this process open no more than so many further descriptors: those that it has stay open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free: list[int] = []
    try:
        free += [os.open(os.devnull, os.O_RDONLY) for _ in range(spare + 1)]
    finally:
        for each in free:
            os.close(each)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free[-1], hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.mark.parametrize("spare", [0, 2], ids=["none for its output", "none to hear of its start"])
async def test_a_worker_that_cannot_be_started_is_tried_again(
    server: Server, caplog: pytest.LogCaptureFixture, spare: int
) -> None:
    """While this process has descriptors for no more than a part of the pipes (some come free with the worker that
    ended) the other answers; then it is back, and no try has kept any.
    """
    victim, other = children()
    before = open_files()
    with descriptors(spare):
        os.kill(victim, signal.SIGKILL)
        await eventually(lambda: caplog.text.count("cannot be started: [Errno 24]") >= 2, within=20)
        assert len(server.workers.ready) == 1
    assert children() == [other]
    assert await server.proof() == 0
    await eventually(lambda: len(server.workers.ready) == 2, within=20)
    await eventually(lambda: says(server, 0), within=20)
    assert other in children()
    await eventually(lambda: open_files() == before)


async def test_a_question_waits_for_the_next_worker(server: Server) -> None:
    """What has arrived when a worker is killed is answered by the one that takes its place."""
    server.tell(5)
    await eventually(lambda: says(server, 5), within=10)
    victims = children()
    for pid in victims:
        os.kill(pid, signal.SIGSTOP)
    question = dns.message.make_query(PROOF, "TXT").to_wire()
    loop = asyncio.get_running_loop()
    socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(8)]
    try:
        for sock in socks:
            sock.setblocking(False)
            sock.connect((server.address, PORT))
            sock.send(question)
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        async with asyncio.timeout(20):
            answers = [await loop.sock_recv(sock, 4096) for sock in socks]
    finally:
        for sock in socks:
            sock.close()
    assert {dns.message.from_wire(each).answer[0][0].strings for each in answers} == {(b"5",)}


def codes(server: Server, name: str, kind: str, *options: dns.edns.Option) -> set[dns.rcode.Rcode]:
    """The codes of several answers, which both workers give; asked without letting the loop of this process run."""
    question = dns.message.make_query(name, kind, options=options or None)
    return {dns.query.udp(question, server.address, port=PORT, timeout=3).rcode() for _ in range(16)}


async def test_a_loop_that_hangs_is_no_longer_spoken_for(
    tmp_path: Path, loopback_address: str, table: SteeringTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While this process's loop stands still, as that of a frozen agent does, both workers fall silent about steered
    names and proofs, also where they have just answered from memory, and go on with static ones. As soon as it runs
    again they answer again: the same workers, though nobody heard them for longer than a worker may be silent.
    """
    monkeypatch.setattr("edgeward.dns.workers._SILENT_STEPS", 7)
    async with serving(tmp_path, loopback_address, table) as server:
        pids = set(children())
        began = time.monotonic()
        assert codes(server, "www.example.test", "A") == {dns.rcode.NOERROR}
        while codes(server, "www.example.test", "A") != {dns.rcode.SERVFAIL}:
            assert time.monotonic() < began + HEARD_WITHIN + 1.0
        assert time.monotonic() > began + HEARD_WITHIN - 1.5, "a loop that is held up for a moment silences nobody"
        while time.monotonic() < began + 9.0:
            assert codes(server, "www.example.test", "AAAA") == {dns.rcode.SERVFAIL}
            assert codes(server, PROOF, "TXT") == {dns.rcode.SERVFAIL}
            assert codes(server, "mail.example.test", "A") == {dns.rcode.NOERROR}
            assert codes(server, "nothing.example.test", "A") == {dns.rcode.NXDOMAIN}
        await eventually(lambda: codes(server, "www.example.test", "A") == {dns.rcode.NOERROR}, within=1)
        assert await says(server, 0)
        server.workers._answers.clear()
        await eventually(lambda: len(server.workers._answers) == 2, what="both say what they have answered")
        assert set(children()) == pids


def damage(file: Path, *sections: str) -> None:
    """Set every bit of these sections, in the file as it is: whoever has it mapped sees it at once."""
    data = bytearray(file.read_bytes())
    table = SteeringTable.from_bytes(data)
    for cells in (table.cells[name].cast("B") for name in sections):
        cells[:] = b"\xff" * len(cells)
    with file.open("r+b") as opened:
        opened.write(data)


async def test_a_table_that_rots_under_a_worker_is_given_up(server: Server, table: SteeringTable) -> None:
    """A question that it cannot answer is the sign: both workers say so, and answer no steered name from it, whatever
    of it may be sound. Static names go on, and so do steered ones with the next table.
    """
    assert codes(server, "www.example.test", "A") == {dns.rcode.NOERROR}
    assert not server.workers.wrong_table
    damage(server.table_file, "decisions_6")
    assert codes(server, "www.example.test", "A") == {dns.rcode.NOERROR}
    option = dns.edns.ECSOption("2001:db8:a::", 48)

    def asked() -> bool:
        return codes(server, "www.example.test", "AAAA", option) == {dns.rcode.SERVFAIL}

    assert asked()
    await eventually(lambda: codes(server, "www.example.test", "A") == {dns.rcode.SERVFAIL}, within=5)
    sentence = "the steering table cannot be read: a stored steering table is damaged"
    await eventually(lambda: sentence in server.workers.wrong_table, within=5, what="a worker has said so")
    assert codes(server, "mail.example.test", "A") == {dns.rcode.NOERROR}
    new = server.table_file.with_suffix(".new")
    new.write_bytes(table.to_bytes())
    new.replace(server.table_file)
    server.workers.load()
    await eventually(lambda: codes(server, "www.example.test", "A") == {dns.rcode.NOERROR}, within=5)


async def test_a_damaged_table_that_is_new_leaves_the_last_one(server: Server, table: SteeringTable) -> None:
    """It is another file: what is mapped is as sound as before. What is wrong is said."""
    new = server.table_file.with_suffix(".new")
    new.write_bytes(table.to_bytes())
    damage(new, "edges")
    new.replace(server.table_file)
    server.workers.load()
    await eventually(lambda: "damaged" in server.workers.wrong_table, within=5)
    assert codes(server, "www.example.test", "A") == {dns.rcode.NOERROR}


async def test_a_worker_that_does_not_read_is_told_all_later(server: Server) -> None:
    """What waits for it does not grow without end, however much there is to say; when it reads again it knows what was
    said last, and has read the file that it was told of meanwhile.
    """
    texts = tuple(str(number) * 250 for number in range(1000))
    victim, _ = children()
    os.kill(victim, signal.SIGSTOP)
    try:
        server.write(replace(server.view, unsure=frozenset({"new.example.test"})).to_bytes())
        for number in range(40):
            view = replace(server.view, proofs=Proofs(txt={PROOF: (str(number),), f"_acme-challenge.{PROOF}": texts}))
            server.workers.tell(view)
            server.workers.load()
        one = len(json.dumps(view.moment())) + len(HERE) + 1
        sizes = [process.stdin.transport.get_write_buffer_size() for process in server.workers._running.values()]
        assert _MOST_UNREAD < max(sizes) <= _MOST_UNREAD + 2 * one
    finally:
        os.kill(victim, signal.SIGCONT)
    await eventually(lambda: says(server, 39), within=20)
    await eventually(lambda: codes(server, "new.example.test", "A") == {dns.rcode.SERVFAIL}, within=20)


def test_a_moment_goes_through_the_pipe_as_it_is() -> None:
    """What workers are told is all of a view that may change by the second."""
    view = View(
        zones(),
        out={"syd": "dead", "iad": "drained"},
        drained=frozenset({"iad"}),
        lacking={"www": {"fra": "old"}},
        silent={"fra": {6: "no answer"}},
        proofs=Proofs(txt={PROOF: ("a", "b")}),
    )
    assert View(zones()).at(json.loads(json.dumps(view.moment()))) == view
