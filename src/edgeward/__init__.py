"""edgeward: a push CDN on a handful of servers that its user owns."""

__version__ = "0.1.0"
