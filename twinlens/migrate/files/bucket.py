"""Objects of a bucket into a folder."""

from __future__ import annotations

import asyncio
from pathlib import Path

from twinlens.domain.errors import TwinlensError
from twinlens.migrate.errors import MigrationError
from twinlens.store.blobs.object import open_object_store
from twinlens.store.blobs.paths import check_key


def fetch(url: str, folder: Path) -> None:
    """Fetch everything below ``s3://bucket/prefix``. Credentials come from the cloud's usual variables.

    Raises:
        MigrationError: the bucket cannot be read.
    """
    try:
        asyncio.run(_fetch(url, folder))
    except TwinlensError as error:
        raise MigrationError(f"{url} cannot be read: {error.message}") from error


async def _fetch(url: str, folder: Path) -> None:
    store = open_object_store(url)
    waiting = [""]
    while waiting:
        for entry in await store.list(waiting.pop()):
            if entry.is_dir:
                waiting.append(entry.path)
                continue
            path = folder / check_key(entry.path)
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as out:
                async for chunk in store.read(entry.path):
                    out.write(chunk)
