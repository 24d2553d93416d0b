"""First push: making the variants of a real site, against the brotli and gzip programs on the same files and cores.

The tools get what a careful person would give them: every core busy, small batches so that none idles at the end, the
same qualities (brotli 11, 9 above 4 MiB; gzip 9). The goal is at most 1.15 times their time, reading and digesting
included.
"""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.material import PYTHON, documentation
from edgeward.errors import EngineMissing
from edgeward.publish.compress import LARGE, compress_all, wants_variants
from edgeward.publish.scan import ScannedFile, scan
from edgeward.publish.variant_cache import VariantCache

GOAL = 1.15
_BATCH = 8


def main() -> None:
    """Print the table."""
    table = Table(title=f"Variants of {PYTHON[0]} on {os.cpu_count()} cores", title_justify="left")
    for column in ("by", "files", "MB", "br MB", "gzip MB", "seconds", "ratio", "goal"):
        table.add_column(column, justify="left" if column == "by" else "right")
    with tempfile.TemporaryDirectory(prefix="edgeward-bench-") as name:
        work = Path(name)
        site = documentation(PYTHON, work / "site")
        files = _worth_trying(site)
        size = f"{sum(file.size for file in files) / 1e6:.1f}"
        theirs, their_sizes = _tools(files, work / "tools", site)
        ours, our_sizes = _ours(site, work / "cache")
        table.add_row("brotli and gzip", str(len(files)), size, *their_sizes, f"{theirs:.1f}", "1.00", "")
        table.add_row("edgeward", str(len(files)), size, *our_sizes, f"{ours:.1f}", f"{ours / theirs:.2f}", f"≤ {GOAL}")
    Console().print(table)


def _worth_trying(site: Path) -> list[ScannedFile]:
    """Files that get variants, each content once, as the push would have it."""
    found = {file.digest: file for file in scan(site).files if wants_variants(file.path, file.size)}
    return list(found.values())


def _ours(site: Path, cache: Path) -> tuple[float, tuple[str, str]]:
    """Scan and compress with empty caches: all that a first push does before it uploads."""
    began = time.monotonic()
    files = [file for file in scan(site, cache=cache).files if wants_variants(file.path, file.size)]
    made = compress_all(files, VariantCache.below(cache))
    seconds = time.monotonic() - began
    variants = [variant for variants in made.values() for variant in variants]
    br, gzip = (sum(each.size for each in variants if each.coding == coding) for coding in ("br", "gzip"))
    return seconds, (f"{br / 1e6:.1f}", f"{gzip / 1e6:.1f}")


def _tools(files: Sequence[ScannedFile], work: Path, site: Path) -> tuple[float, tuple[str, str]]:
    _have("brotli", "gzip", "xargs")
    for file in files:
        target = work / file.source.relative_to(site)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file.source, target)
    ordered = sorted(files, key=lambda file: -file.size)
    copies = {file: work / file.source.relative_to(site) for file in ordered}
    began = time.monotonic()
    _on_all_cores(["brotli", "-k", "-q", "11"], [copies[file] for file in ordered if file.size <= LARGE])
    _on_all_cores(["brotli", "-k", "-q", "9"], [copies[file] for file in ordered if file.size > LARGE])
    _on_all_cores(["gzip", "-k", "-n", "-9"], list(copies.values()))
    seconds = time.monotonic() - began
    br, gzip = (sum(path.stat().st_size for path in work.rglob(f"*.{suffix}")) for suffix in ("br", "gz"))
    return seconds, (f"{br / 1e6:.1f}", f"{gzip / 1e6:.1f}")


def _on_all_cores(command: Sequence[str], paths: Sequence[Path]) -> None:
    if paths:
        line = ["xargs", "-0", "-n", str(_BATCH), "-P", str(os.cpu_count() or 1), *command]
        subprocess.run(line, input=b"\0".join(bytes(path) for path in paths), check=True)


def _have(*programs: str) -> None:
    missing = [program for program in programs if shutil.which(program) is None]
    if missing and shutil.which("apt-get"):
        subprocess.run(["apt-get", "install", "-qq", "-y", "--no-install-recommends", *missing], check=False)
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        raise EngineMissing(f"not installed: {', '.join(missing)}", hint=f"apt-get install {' '.join(missing)}")
