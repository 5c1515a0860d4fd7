"""Runs the migrations on the connection, and in the transaction, that ``migrate`` hands over."""

from __future__ import annotations

from alembic import context

from penstock.runs.models import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
