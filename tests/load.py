"""Clients that ask an edge without a pause while releases are switched, and judge every answer."""

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from conformance.wire import Ask, Got, Wire
from edgeward.core.digest import Digest
from edgeward.core.release import Manifest, etag_of
from waiting import eventually_sync

Bodies = Mapping[str, Mapping[str, frozenset[bytes]]]
"""By the first twelve digits of a release: the bodies for each ETag (two URLs of a release may share an ETag)."""


def bodies_of(releases: Iterable[tuple[Manifest, Mapping[Digest, bytes]]]) -> Bodies:
    """What the answers of these releases may be, from their manifests and blobs."""
    found: dict[str, dict[str, frozenset[bytes]]] = {}
    for manifest, blobs in releases:
        by_etag = found.setdefault(manifest.release[:12], {})
        for entry in manifest.entries:
            for variant in entry.variants:
                etag = etag_of(entry, variant)
                by_etag[etag] = by_etag.get(etag, frozenset()) | {blobs[variant.digest]}
    return found


@dataclass
class Tally:
    """What the clients saw. closed: reused connections closed before the first byte, asked again once."""

    asked: int = 0
    closed: int = 0
    faults: list[str] = field(default_factory=list)
    answers: list[tuple[float, str]] = field(default_factory=list)

    def wait_for_more(self, count: int, *, within: float = 20.0) -> None:
        """Return when so many requests more have been begun and answered than had been."""
        wanted = len(self.answers) + count
        eventually_sync(lambda: len(self.answers) >= wanted, within=within, what=f"{count} more answers")


class Load:
    """Clients that ask without a pause over connections that they keep, each in a thread of its own."""

    def __init__(
        self, address: tuple[str, int], host: str, paths: Sequence[str], bodies: Bodies, *, clients: int = 4
    ) -> None:
        self.tally = Tally()
        self._address = address
        self._host = host
        self._paths = paths
        self._bodies = bodies
        self._ending = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(clients)]

    def __enter__(self) -> Tally:
        for thread in self._threads:
            thread.start()
        return self.tally

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join(20)
        if any(thread.is_alive() for thread in self._threads):
            self.tally.faults.append("a client hung")

    def _run(self, number: int) -> None:
        wire = Wire(self._address)
        coding = ("br", "gzip", "", "br, gzip")[number % 4]
        while not self._ending.is_set():
            for path in self._paths:
                self._ask(wire, Ask(path, self._host, headers=(("Accept-Encoding", coding),)))
        wire.close()

    def _ask(self, wire: Wire, ask: Ask) -> None:
        begun = time.monotonic()
        closed = 0
        reused = wire.is_open
        try:
            try:
                wire.send(ask.to_bytes())
                got = wire.read()
            except (ConnectionError, EOFError):
                wire.close()
                if not reused or wire.began:
                    raise
                closed = 1
                begun = time.monotonic()
                wire.send(ask.to_bytes())
                got = wire.read()
        except (OSError, EOFError, ValueError) as error:
            wire.close()
            self._note(begun, closed, None, f"{ask.target}: {error!r}")
            return
        self._note(begun, closed, got, self._fault(ask, got))

    def _fault(self, ask: Ask, got: Got) -> str | None:
        label = got.values("x-edgeward")[0].partition(" ")[2] if got.values("x-edgeward") else ""
        if got.status != 200:
            return f"{ask.target}: status {got.status}"
        if got.body not in self._bodies.get(label, {}).get(got.values("etag")[0], ()):
            return f"{ask.target}: body, ETag and release {label!r} are not of one release"
        return None

    def _note(self, begun: float, closed: int, got: Got | None, fault: str | None) -> None:
        with self._lock:
            self.tally.asked += 1
            self.tally.closed += closed
            if fault is not None:
                self.tally.faults.append(fault)
            if got is not None and got.values("x-edgeward"):
                self.tally.answers.append((begun, got.values("x-edgeward")[0].partition(" ")[2]))
