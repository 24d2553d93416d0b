"""Adapters of HTTP: trees of files, nginx and the preview engine."""
