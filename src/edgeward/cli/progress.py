"""What a use-case says while it works: bars on a terminal, a plain line for each finished phase otherwise."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from edgeward.cli import figures, views
from edgeward.publish import progress as events

SLOW = 2.0
"""Plain output says of each edge when it is ready only after so many seconds: the result names them all anyway."""

_LABEL = {
    "scan": "read the folder",
    "compress": "compress",
    "upload": "upload",
    "stage": "stage on the edges",
    "activate": "switch",
    "verify": "ask the edges",
}


class _Done(ProgressColumn):
    """How much of a phase is done, in its own unit."""

    def render(self, task: Task) -> Text:
        """Return "12 of 1,065 files"."""
        unit = str(task.fields.get("unit", ""))
        if unit == "bytes":
            whole = f" of {figures.size(int(task.total))}" if task.total is not None else ""
            return Text(f"{figures.size(int(task.completed))}{whole}")
        whole = f" of {int(task.total):,}" if task.total is not None else ""
        return Text(f"{int(task.completed):,}{whole} {unit}")


class ProgressView:
    """A `Progress` (see publish) that shows events on stderr. quiet: only what a person must read."""

    def __init__(self, *, quiet: bool = False, bars: Progress | None = None) -> None:
        self._quiet = quiet
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, event: events.Event, /) -> None:
        """Show one event."""
        match event:
            case events.Noticed(text):
                views.warn(text)
            case events.Started(phase, total, unit) if self._bars is not None:
                self._tasks[phase] = self._bars.add_task(_LABEL[phase], total=total, unit=unit)
            case events.Advanced(phase, done) if self._bars is not None and phase in self._tasks:
                self._bars.update(self._tasks[phase], completed=done)
            case events.Finished(phase, seconds, note):
                self._finish(phase, seconds, note)
            case events.EdgeReached(edge, what, seconds) if seconds > SLOW and not self._quiet and self._bars is None:
                views.talk(f"{'':<20}{views.visible(edge)} {what} after {figures.seconds(seconds)}")
            case _:
                pass

    def _finish(self, phase: events.Phase, seconds: float, note: str) -> None:
        if self._bars is not None and phase in self._tasks:
            self._bars.remove_task(self._tasks.pop(phase))
        if not self._quiet:
            views.talk(f"{_LABEL[phase]:<20}{views.visible(note)}  ({figures.seconds(seconds)})", style="dim")


@contextmanager
def progress_view(*, quiet: bool = False) -> Iterator[ProgressView]:
    """Give a ProgressView for the time of one use-case: with bars where stderr is a terminal."""
    if quiet or not views.err.is_terminal:
        yield ProgressView(quiet=quiet)
        return
    columns = (TextColumn("{task.description:<19}"), BarColumn(bar_width=30), _Done(), TimeElapsedColumn())
    with Progress(*columns, console=views.err, transient=True) as bars:
        yield ProgressView(bars=bars)
