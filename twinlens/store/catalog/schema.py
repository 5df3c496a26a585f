"""Brings the database to the current schema.

A fresh database is created from the metadata in one go and stamped (no Alembic import at start); an older one is
migrated. ``tests/conformance/test_migrations.py`` proves that both ways end in the same schema, on both engines.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from twinlens.domain.errors import StoreUnavailable
from twinlens.store.catalog.engine import Catalog, metadata

#: Newest revision in ``migrations/versions``.
HEAD = "0022"
_MIGRATIONS = Path(__file__).parent / "migrations"


def load_tables() -> None:
    """Import every module that declares tables, so that ``metadata`` is complete."""
    import importlib
    import pkgutil

    import twinlens.store.catalog as package

    for module in pkgutil.iter_modules(package.__path__):
        if not module.ispkg:
            importlib.import_module(f"{package.__name__}.{module.name}")


def revision(catalog: Catalog) -> str | None:
    """Revision the database is at; None for an empty one."""
    with catalog.engine.connect() as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()


def prepare(catalog: Catalog) -> None:
    """Create or migrate the schema.

    Raises:
        StoreUnavailable: the database was written by a newer Twinlens.
    """
    load_tables()
    found = revision(catalog)
    if found == HEAD:
        return
    if found is None:
        with catalog.write() as connection:
            metadata.create_all(connection)
            connection.execute(sa.text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
            connection.execute(sa.text("INSERT INTO alembic_version VALUES (:v)"), {"v": HEAD})
        return
    if found > HEAD:
        raise StoreUnavailable(
            f"the catalog is at revision {found}, newer than this Twinlens ({HEAD}): upgrade Twinlens"
        )
    migrate(catalog, "head")


def migrate(catalog: Catalog, target: str) -> None:
    """Run Alembic up to ``target`` on an open catalog."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    with catalog.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, target)
