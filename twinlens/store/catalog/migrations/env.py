"""Alembic runs on the connection that ``schema.migrate`` hands over."""

from alembic import context

from twinlens.store.catalog.engine import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
