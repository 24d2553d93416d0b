"""A network namespace of a test's own, in which one edge of a fleet lives, apart from the others."""

import os
import random
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import pytest

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="makes a network namespace, which takes root")


@dataclass
class Island:
    """A network namespace joined to this machine by one pair of interfaces.

    Hosts 1 and 2 are here, host 3 is there. net, net6: what IPv4 and IPv6 addresses begin with.
    """

    name: str
    net: str
    net6: str

    def ip(self, *words: str) -> None:
        subprocess.run(["ip", "-n", self.name, *words], check=True)

    def cut(self, *ports: int) -> None:
        """Let nothing to these TCP ports out any more."""
        for port in ports:
            self.ip("rule", "add", "pref", "10", "ipproto", "tcp", "dport", str(port), "blackhole")

    def silence_six(self) -> None:
        """Let no IPv6 packet to the hosts here out any more: whatever they ask there has no answer."""
        self.ip("-6", "rule", "add", "pref", "10", "to", f"{self.net6}:/64", "blackhole")

    def hear_six(self) -> None:
        """Take that back."""
        self.ip("-6", "rule", "del", "pref", "10")


@contextmanager
def made_island() -> Iterator[Island]:
    """An island that is gone when the context is left."""
    source = random.Random()  # seeded by the machine: runs at the same time must differ
    number = source.randrange(1 << 24)
    name, here, there = f"edgeward-{number:06x}", f"ew{number:06x}a", f"ew{number:06x}b"
    net6 = f"fd00:{number >> 16:x}:{number & 0xFFFF:x}:{source.randrange(1 << 16):x}:"
    made = Island(name, f"10.{200 + source.randrange(50)}.{source.randrange(256)}", net6)
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        addresses = [f"{made.net}.{{}}/24", f"{made.net6}:{{}}/64"]
        for words in (
            f"link add {here} type veth peer name {there} netns {name}",
            *(f"addr add {each.format(host)} dev {here}" for host in "12" for each in addresses),
            f"link set {here} up",
        ):
            subprocess.run(["ip", *_at_once(words)], check=True)
        for words in (
            *(f"addr add {each.format('3')} dev {there}" for each in addresses),
            f"link set {there} up",
            "link set lo up",
        ):
            made.ip(*_at_once(words))
        yield made
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)
        with suppress(subprocess.CalledProcessError):
            subprocess.run(["ip", "link", "del", here], check=True, stderr=subprocess.DEVNULL)


def _at_once(words: str) -> list[str]:
    """The words of a command; an IPv6 address can be used at once: nobody else on the link can have it."""
    return [*words.split(), *(["nodad"] if words.startswith("addr") and "::" in words else [])]
