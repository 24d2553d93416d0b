"""Ports that are free on every address of the demo."""

import contextlib
import socket

ADDRESSES = ("127.0.10.1", "127.0.10.2", "127.0.10.3")


_given: set[int] = set()


def free_port() -> int:
    """Return a port that is free on each of the demo's addresses, for TCP and UDP, and was not given before."""
    for _ in range(100):
        with socket.socket() as probe:
            probe.bind((ADDRESSES[0], 0))
            port = int(probe.getsockname()[1])
        if port in _given:
            continue
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            for address in (*ADDRESSES, "127.0.0.1"):
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    stack.enter_context(socket.socket(type=kind)).bind((address, port))
            _given.add(port)
            return port
    raise AssertionError("no free port")
