"""Runs: recorded jobs with a history, their database, and the projector that writes it."""
