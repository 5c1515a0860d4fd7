"""The HTTP API of the run service."""
