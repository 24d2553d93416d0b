"""The authoritative name server: messages, zones, answers."""
