"""Artifacts of MLflow where its database or folder says they are: local folders, buckets, or a server's artifact root."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from twinlens.migrate.errors import MigrationError
from twinlens.migrate.mlflow_wire import proxied

_CHUNK = 1 << 18


class StoredArtifacts:
    """Reads artifact URIs without MLflow.

    Args:
        base: the folder that relative paths start from.
        root: where a tracking server keeps what it calls ``mlflow-artifacts:`` (its ``--artifacts-destination``): a folder or
            a bucket's URL.
    """

    def __init__(self, base: Path, root: str | None = None) -> None:
        self._base = base
        self._root = root

    def _place(self, uri: str) -> str:
        path = proxied(uri)
        if path is None:
            return uri
        if self._root is None:
            raise MigrationError(
                f"artifacts are at {uri}, which is a place at a tracking server: add ?artifacts=FOLDER to the address of the "
                "database (the server's --artifacts-destination; ./mlartifacts by default), or read from the server itself"
            )
        return f"{self._root.rstrip('/')}/{path}"

    def _folder(self, place: str) -> Path | None:
        """A local place as a path; None for a bucket."""
        parts = urlsplit(place)
        if parts.scheme == "file":
            return self._base / unquote(parts.path)
        return None if "://" in place else self._base / place

    def files(self, uri: str) -> list[tuple[str, int]]:
        """Paths and sizes of all files below a URI; none where nothing is."""
        if not uri:
            return []
        place = self._place(uri)
        folder = self._folder(place)
        if folder is not None:
            return sorted(
                (file.relative_to(folder).as_posix(), file.stat().st_size)
                for file in folder.rglob("*")
                if file.is_file()
            )
        return sorted((str(item["path"]), int(item["size"])) for page in self._bucket(place).list() for item in page)

    def open(self, uri: str, path: str) -> Iterator[bytes]:
        """The bytes of a file below a URI."""
        place = self._place(uri)
        folder = self._folder(place)
        if folder is None:
            for chunk in self._bucket(place).get(path).stream(_CHUNK):
                yield bytes(chunk)
            return
        with (folder / path).open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk

    def read(self, uri: str, path: str) -> bytes | None:
        """A small file as a whole; None when it is not there."""
        try:
            return b"".join(self.open(uri, path))
        except FileNotFoundError:
            return None

    def _bucket(self, place: str) -> Any:
        """Credentials are those of the environment, as for MLflow's own clients."""
        from obstore.store import from_url

        try:
            return from_url(place)
        except Exception as error:
            raise MigrationError(f"artifacts at {place} cannot be read: {error}") from error
