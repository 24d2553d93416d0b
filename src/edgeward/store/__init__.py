"""The state store: NATS JetStream as a server of our own, a connection, buckets of small keys, and blobs."""
