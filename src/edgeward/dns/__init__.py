"""The authoritative name server: messages, zones, answers, and where in the world a client is."""
