"""The HTTP engine as the agent uses it: one call at a time, whole views, the last good one kept."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

from edgeward.core.digest import Digest
from edgeward.core.plan import Switch
from edgeward.edge.conditions import Conditions
from edgeward.edge.holdings import Holdings
from edgeward.errors import ConfigRejected, EdgewardError
from edgeward.serve.engine import Engine, ServedView

_LOG = logging.getLogger("edgeward.edge")
_TEND_EVERY = 2.0
_MISSES = 15
"""Checks in a row that an engine whose process is there may leave unanswered before it is started again: it may only be
busy, and ending it would be the outage."""


class Switching:
    """Keeps the engine serving what `holdings` says is served."""

    def __init__(
        self, engine: Engine, holdings: Holdings, conditions: Conditions, *, delay: float, clock: Callable[[], int]
    ) -> None:
        self.engine = engine
        self.answering = False
        """Whether the engine answered when it was last asked."""
        self.leaving_alone = False
        """Whether the engine serves what an earlier agent told it and this one does not know: the disk's state is lost.
        It goes on until the store has said what is to be served."""
        self._holdings = holdings
        self._conditions = conditions
        self._delay = delay
        self._clock = clock
        self._busy = asyncio.Lock()

    async def start(self) -> None:
        """Serve what the disk says is served; an engine that runs already is adopted.

        If the engine refuses and an earlier one still serves, that one is left alone. If nothing serves, every site
        that the engine takes is served, and the others are held to be not served. Raises ServeError or EngineMissing if
        the engine cannot serve at all. If the disk does not say what was served, an engine that answers is left alone.
        """
        async with self._busy:
            if self._holdings.lost and await self.engine.healthy():
                self.leaving_alone = self.answering = True
                _LOG.warning("the HTTP engine goes on with what it serves until the store has said what that should be")
                return
            view = await self._holdings.view(self._holdings.live)
            try:
                await self.engine.start(view)
            except ConfigRejected as error:
                self._conditions.set(
                    "start", f"not all that was served can be served: {error.message}", now=self._clock()
                )
                if not await self.engine.healthy():
                    await self._start_what_can_be()
            self.answering = True
        _LOG.info("serving %d sites from this edge's own disk", len(self._holdings.live))

    async def _start_what_can_be(self) -> None:
        """Start with the sites that the engine takes, be it none. Raises ServeError if it does not even start empty."""
        live = dict(self._holdings.live)
        taken = dict[str, Digest]()
        await self.engine.start(await self._holdings.view(taken))
        waiting = [sorted(live)]
        while waiting:
            sites = waiting.pop()
            trial = {**taken, **{site: live[site] for site in sites}}
            try:
                await self.engine.activate(await self._holdings.view(trial))
            except ConfigRejected as error:
                half = len(sites) // 2
                if half:
                    waiting += [sites[half:], sites[:half]]
                else:
                    _LOG.warning("site %s is not served: %s", sites[0], error.message)
            else:
                taken = trial
        self._holdings.note_served(await self._holdings.view(taken), {})

    async def switch(self, switches: Sequence[Switch]) -> Mapping[str, str]:
        """Make the switches as one; if the engine refuses, make those that it takes. Returns the refusals by site."""
        if self._delay:
            await asyncio.sleep(self._delay)
        async with self._busy:
            return await self._switch(list(switches))

    async def _switch(self, switches: list[Switch]) -> dict[str, str]:
        serve = dict(self._holdings.live)
        for change in switches:
            if change.new is None:
                serve.pop(change.site, None)
            else:
                serve[change.site] = change.new
        view = await self._holdings.view(serve)
        try:
            generation = await self._activate(view)
        except EdgewardError as error:
            if len(switches) == 1 or not isinstance(error, ConfigRejected):
                for change in switches:
                    _LOG.warning("the HTTP engine refuses the switch of site %s: %s", change.site, error.message)
                return {change.site: error.message for change in switches}
            half = len(switches) // 2
            return {**await self._switch(switches[:half]), **await self._switch(switches[half:])}
        self._conditions.set("start", None, now=self._clock())
        self._holdings.note_served(view, {change.site: change.old for change in switches if change.old is not None})
        for change in switches:
            new = change.new[:12] if change.new else "nothing"
            _LOG.info("site %s: %s is live, generation %d (%s)", change.site, new, generation, change.because)
            await self._holdings.keep(change.site)
        return {}

    async def refresh(self) -> None:
        """Make the engine open every file anew: what it holds open may have been replaced. Raises ServeError."""
        async with self._busy:
            if not self.leaving_alone:
                await self.engine.activate(await self._holdings.view(self._holdings.live))

    async def take_over(self) -> None:
        """Serve what this edge holds to be served and nothing else, if the engine was left alone. Raises ServeError."""
        if self.leaving_alone:
            async with self._busy:
                await self._activate(await self._holdings.view(self._holdings.live))

    async def _activate(self, view: ServedView) -> int:
        """Activate a view; an engine that was left alone until now is adopted with it."""
        if not self.leaving_alone:
            return await self.engine.activate(view)
        generation = await self.engine.start(view)
        self.leaving_alone = False
        return generation

    async def tend(self) -> None:
        """Ask the engine for ever whether it answers, and start it again when it does not."""
        misses = 0
        while True:
            await asyncio.sleep(_TEND_EVERY)
            async with self._busy:
                misses = 0 if await self.engine.healthy() else misses + 1
                self.answering = self.engine.running and misses < _MISSES
                if self.answering:
                    self._conditions.set("engine", None, now=self._clock())
                    continue
                sentence = f"the HTTP engine ({self.engine.name}) does not answer; starting it again"
                self._conditions.set("engine", sentence, now=self._clock())
                try:
                    await self.engine.start(await self._holdings.view(self._holdings.live))
                except EdgewardError as error:
                    sentence = f"the HTTP engine ({self.engine.name}) cannot be started: {error.message}"
                    self._conditions.set("engine", sentence, now=self._clock())
                else:
                    misses, self.leaving_alone = 0, False
