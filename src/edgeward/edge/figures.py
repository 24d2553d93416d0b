"""The figures of an edge for `/metrics`. Names and meanings are listed in docs/reference/metrics.md."""

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from edgeward import __version__
from edgeward.core.fleet import EdgeStatus
from edgeward.edge.gather import StoreView
from edgeward.edge.metrics import Metric, Sample, counter, gauge
from edgeward.edge.report import Report
from edgeward.edge.scrub import Scrub
from edgeward.edge.verdicts import Verdicts

_PROC_STAT = Path("/proc/stat")
_STEAL = 8
"""Field of the line `cpu` in /proc/stat that counts the time taken by other guests (proc(5))."""

_TICKS = 100
"""Ticks of /proc/stat in a second (USER_HZ)."""


class Figures:
    """Collects the metrics of one edge at the moment of a scrape."""

    def __init__(
        self,
        report: Report,
        view: StoreView,
        scrub: Scrub,
        verdicts: Verdicts,
        *,
        requests: Callable[[], Mapping[str, int]],
        answers: Callable[[], Mapping[str, int]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._report = report
        self._view = view
        self._scrub = scrub
        self._verdicts = verdicts
        self._requests = requests
        self._answers = answers
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        status = self._report.status()
        now = self._clock()
        labels = {"edge": status.edge, "version": __version__, "engine": status.engine}
        yield Metric("info", "gauge", "Who this is; always 1.", ((labels, 1),))
        yield gauge("ready", "1 if the edge holds and serves all that it should.", status.ready)
        yield gauge("start_time_seconds", "When the agent started, seconds since the epoch.", status.started)
        yield gauge("config_generation", "Number of the HTTP configuration that answers.", status.generation)
        yield gauge("problems", "Conditions that an operator should look at.", len(status.problems))
        yield from self._sites(status, now)
        yield gauge("store_connected", "1 if the state store is being followed.", self._view.connected)
        yield gauge(
            "store_lag_seconds",
            "Seconds for which the state store has not been seen; 0 while it is.",
            self._report.store_lag,
        )
        yield gauge("disk_free_bytes", "Bytes that are free on the disk of the edge's data.", status.disk_free)
        yield from self._health()
        yield from self._scrubbing()
        samples: tuple[Sample, ...] = tuple(
            ({"status": code}, count) for code, count in sorted(self._requests().items())
        )
        yield Metric("requests_total", "counter", "Requests answered since the agent started, by status.", samples)
        answered: tuple[Sample, ...] = tuple(({"rcode": name}, count) for name, count in self._answers().items())
        yield Metric("dns_answers_total", "counter", "Answers of the running name server, by code.", answered)
        yield from _cpu()

    def _sites(self, status: EdgeStatus, now: float) -> Iterator[Metric]:
        live = {name: site for name, site in status.sites.items() if site.live is not None}
        yield gauge("sites", "Sites that are served.", len(live))
        yield Metric(
            "release_age_seconds",
            "gauge",
            "Seconds since the site's live release began to be served here.",
            tuple(({"site": name, "release": (site.live or "")[:12]}, now - site.since) for name, site in live.items()),
        )
        yield Metric(
            "staged_releases",
            "gauge",
            "Releases of a site whose trees are on disk, the live one too.",
            tuple(({"site": name}, len(site.staged)) for name, site in status.sites.items()),
        )
        behind = self._report.behind
        yield Metric(
            "site_current",
            "gauge",
            "1 if the site is served from the release that its live pointer names.",
            tuple(({"site": name}, float(name not in behind)) for name in sorted({*status.sites, *behind})),
        )

    def _health(self) -> Iterator[Metric]:
        found = self._verdicts.verdicts
        yield Metric(
            "edge_up",
            "gauge",
            "1 if the verdict on an edge is that it is up, as this edge sees the fleet.",
            tuple(({"edge": edge}, float(verdict.up)) for edge, verdict in sorted(found.items())),
        )
        yield Metric(
            "edge_out",
            "gauge",
            "1 if answers should not name an edge: it is down or drained.",
            tuple(({"edge": edge}, float(edge in self._verdicts.out)) for edge in sorted(found)),
        )
        yield Metric(
            "edge_lacks_live",
            "gauge",
            "1 if an edge does not hold the live release of a site; only those that do not are listed.",
            tuple(
                ({"site": site, "edge": edge}, 1.0)
                for site, edges in sorted(self._verdicts.lacking.items())
                for edge in sorted(edges)
            ),
        )
        yield Metric(
            "edge_silent",
            "gauge",
            "1 if an edge does not answer over a family of addresses; only those that do not are listed.",
            tuple(
                ({"edge": edge, "family": str(family)}, 1.0)
                for edge, families in sorted(self._verdicts.silent.items())
                for family in sorted(families)
            ),
        )
        yield Metric(
            "probe_seconds",
            "gauge",
            "How long the last probe of an edge took that succeeded, on its slowest address.",
            tuple(
                ({"edge": each.target}, each.milliseconds / 1000)
                for each in self._verdicts.observer.report().observations
                if each.milliseconds is not None
            ),
        )
        yield counter(
            "loop_lag_seconds_total",
            "Seconds in which the agent was held up and judged no edge.",
            self._verdicts.clock.lag,
        )

    def _scrubbing(self) -> Iterator[Metric]:
        progress = self._scrub.progress
        yield gauge(
            "blobs", "Blobs on this edge's disk, counted when the present round of the scrub began.", progress.total
        )
        yield gauge(
            "blobs_rotten", "Blobs that are known to be corrupt and are not mended yet.", len(self._scrub.rotten)
        )
        share = progress.done / progress.total if progress.total else 1.0
        yield gauge("scrub_progress_ratio", "How far the present round of the scrub is, from 0 to 1.", share)
        yield counter("scrub_rounds_total", "Whole rounds of the scrub since the agent started.", progress.rounds)
        yield gauge(
            "scrub_last_round_seconds",
            "When the last whole round ended, seconds since the epoch; 0: never.",
            progress.last_round_ended,
        )
        yield counter("scrub_found_total", "Corrupt or missing files that the scrub found.", progress.found)
        yield counter("scrub_mended_total", "Those that were mended.", progress.mended)


def _cpu() -> Iterator[Metric]:
    """Yield the time that other guests of the machine took from this one; nothing where it cannot be known."""
    try:
        fields = _PROC_STAT.read_text(encoding="ascii").split("\n", 1)[0].split()
        steal = int(fields[_STEAL]) / _TICKS
    except (OSError, ValueError, IndexError):
        return
    yield counter("cpu_steal_seconds_total", "CPU time that the host gave to other guests, all cores together.", steal)
