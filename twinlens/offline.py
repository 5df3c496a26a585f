"""What commands do to a data folder whose server is stopped. Apart from ``twinlens.server``, which takes a second to
load because it builds everything."""

from __future__ import annotations

import contextlib
from collections.abc import Generator

from twinlens.features.projects import Projects
from twinlens.features.secrets import Hasher, instance_key
from twinlens.settings import Settings
from twinlens.store.catalog.engine import Catalog
from twinlens.store.catalog.schema import prepare
from twinlens.store.lock import FolderLock


@contextlib.contextmanager
def open_projects(settings: Settings) -> Generator[Projects]:
    """Projects, keys and users of a data folder whose server is stopped.

    Raises:
        Conflict: the server is running.
    """
    lock = FolderLock(settings.data)
    try:
        catalog = Catalog(settings.catalog_url or settings.data.resolve() / "catalog.db")
        try:
            prepare(catalog)
            projects = Projects(catalog, Hasher(settings.secret or instance_key(settings.data)))
            projects.seed(settings)
            yield projects
        finally:
            catalog.close()
    finally:
        lock.release()
