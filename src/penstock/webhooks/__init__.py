"""Webhooks: what has happened to runs, signed and sent to those who asked to be told."""
