"""Alembic's entry: runs on the connection, and in the transaction, that `database.migrate` hands over."""

from alembic import context

from vlm_app.store.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    transactional_ddl=True,
    render_as_batch=True,  # SQLite changes a table by copying it
)
with context.begin_transaction():
    context.run_migrations()
