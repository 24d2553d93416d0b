"""The agent of one edge: gather what should be, compare it with what is, act on the difference, report."""
