"""What every HTTP engine promises to the edge: serve a view, switch to another one as a whole, or keep the old one."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edgeward.core.release import Manifest


@dataclass(frozen=True)
class ServedSite:
    """One site as an edge serves it.

    manifest: the live release. tree: folder that `serve.tree.stage` made of it. kept: the site's folder of kept and
    staged assets (`serve.kept.KeptFolder`), which may change without an activation: an engine sees such changes at
    once. https: a certificate is in place, so that plain HTTP only redirects.
    """

    manifest: Manifest
    tree: Path
    kept: Path
    https: bool = False


@dataclass(frozen=True)
class ServedView:
    """All that an edge serves at one time. edge: its name, as X-Edgeward shows it. sites: each hostname once."""

    edge: str
    sites: tuple[ServedSite, ...] = ()


class Engine(Protocol):
    """An HTTP server that switches between views as a whole.

    One call at a time: callers hold a lock or are one task. All methods may raise ServeError.
    """

    name: str
    """"nginx" or "preview", as the edge's status says it."""

    @property
    def generation(self) -> int:
        """The number of the configuration that is served; grows with each activation; 0 before the first."""

    async def start(self, view: ServedView) -> int:
        """Serve `view`, from nothing or on the engine that an earlier process left running, which is adopted.

        Returns the generation. Raises ServeError if the addresses cannot be bound or the engine does not answer.
        """

    async def activate(self, view: ServedView) -> int:
        """Serve `view` instead of the current one; returns the generation that answers now.

        When it returns, every request that begins later is answered from `view`. Raises ConfigRejected or ServeError
        and goes on serving the earlier view if that cannot be had.
        """

    @property
    def running(self) -> bool:
        """Whether its process is there at all; one that is there may be too busy to answer."""

    async def healthy(self) -> bool:
        """Whether the engine answers on its control address within a second."""

    async def stop(self) -> None:
        """End it: finish the requests under way within a few seconds, then close. Idempotent."""

    async def release(self) -> None:
        """Let go of a running engine without ending it, so that a later process can adopt it."""
