"""Run the measurements named on the command line, or all of them: `python -m bench [NAME...]`."""

import importlib
import sys

NAMES = ("http", "compress", "push", "memory", "store", "steering", "dns")
"""Each is a module of this package with a function `main() -> None` that prints its table."""


def main() -> int:
    """Run them one after another; an unknown name is an error before anything runs."""
    wanted = sys.argv[1:] or NAMES
    unknown = [name for name in wanted if name not in NAMES]
    if unknown:
        sys.stderr.write(f"error: no measurement is called {', '.join(unknown)}; there are {', '.join(NAMES)}\n")
        return 2
    for name in wanted:
        importlib.import_module(f"bench.{name}").main()
    return 0


if __name__ == "__main__":
    sys.exit(main())
