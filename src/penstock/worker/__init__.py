"""The worker: one role a file, each with the same small life."""
