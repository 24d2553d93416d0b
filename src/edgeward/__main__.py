"""`python -m edgeward`: the same as the program `edgeward`."""

from edgeward.cli.main import main

main()
