"""Artifacts: upload, download, list and delete, through the server or read from direct roots.

Two kinds of artifact URI exist. *Proxied* ones (``mlflow-artifacts:/<project>/…``) are bytes in the server's own blob store;
every path starts with the project's folder and nothing else is reachable with that project's credentials. *Direct*
ones (``file:``, ``s3:`` …) are written by clients themselves; the server only reads them, for listings, previews and
downloads, and only below roots that its operator configured, because a run's ``artifact_uri`` is whatever a client said.
"""

from __future__ import annotations

import mimetypes
import posixpath
import threading
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from twinlens.domain import artifact as uris
from twinlens.domain.errors import InvalidArgument, NotFound, PermissionDenied, TooLarge
from twinlens.store.blobs.folder import FolderBlobStore
from twinlens.store.blobs.interface import BlobInfo, BlobSource, BlobStore
from twinlens.store.blobs.paths import basename, check_key, check_prefix, join

#: Folder of the blob store that holds proxied artifacts (media have their own).
ARTIFACTS = "artifacts"
#: Types whose names Python's table lacks or gets wrong for previews.
_TYPES = {
    ".yaml": "text/yaml", ".yml": "text/yaml", ".md": "text/markdown", ".jsonl": "application/jsonl",
    ".parquet": "application/vnd.apache.parquet", ".py": "text/x-python", ".log": "text/plain", ".toml": "text/plain",
}  # fmt: skip
_NO_TYPE = "application/octet-stream"
_TEXT_NAMES = frozenset({"MLmodel", "MLproject", "Dockerfile", "README", "LICENSE"})


class Artifact(msgspec.Struct, frozen=True, kw_only=True):
    """An artifact that can be read: ``Artifacts.read`` streams it."""

    store: BlobSource
    key: str
    size: int

    @property
    def name(self) -> str:
        """File name."""
        return basename(self.key)

    @property
    def media_type(self) -> str:
        """What the name promises."""
        return media_type(self.name)

    def read(self, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes of ``[start, end)``."""
        return self.store.read(self.key, start, end)


class OtherFiles(Protocol):
    """Files that clients read as proxied artifacts and that are kept elsewhere (``features.skill_files``)."""

    async def keeps(self, project_id: str, path: str) -> bool:
        """Whether the path is one of these."""
        ...

    async def open(self, project_id: str, path: str) -> Artifact | None:
        """A file; None when the path is not one of these."""
        ...

    async def list(self, project_id: str, path: str) -> list[BlobInfo] | None:
        """What a folder holds; None when the path is not one of these."""
        ...


class Artifacts:
    """See the module's text. Methods that touch bytes are coroutines.

    Args:
        blobs: the server's own blob store.
        root: direct artifact root for new experiments (``--artifact-root``); None for artifacts through the server. Below it
            each project reads its own folder only.
        read_roots: further direct roots that every project may read.
        max_bytes: largest upload; None for no limit.
        others: answers for the paths that it keeps.
    """

    def __init__(
        self, blobs: BlobStore, *, root: str | None = None, read_roots: Sequence[str] = (), max_bytes: int | None = None,
        others: OtherFiles | None = None,
    ) -> None:  # fmt: skip
        self._blobs = blobs
        self._root = uris.direct_root(root) if root else None
        self._read_roots = [uris.direct_root(each) for each in read_roots]
        self.max_bytes = max_bytes
        self._others = others
        self._opened: dict[str, BlobStore] = {}
        self._lock = threading.Lock()

    def location(self, project_id: str, experiment_id: str) -> str:
        """The artifact location that a new experiment gets when its creator names none."""
        return uris.experiment_location(self._root, project_id, experiment_id)

    # --- proxied: paths relative to the server's artifact root -------------------------------------------------------
    async def upload(self, project_id: str, path: str, chunks: AsyncIterable[bytes]) -> int:
        """Store a file; number of bytes.

        Raises:
            InvalidArgument: a bad path, or one that collides with a folder.
            TooLarge: more bytes than the server takes; nothing was stored.
            PermissionDenied: what is there never changes.
        """
        await self.check_writable(project_id, path)
        return await self._blobs.write(self.key(project_id, path), self.limited(chunks))

    async def open(self, project_id: str, path: str) -> Artifact:
        """A proxied file.

        Raises:
            NotFound: no such file (folders are not files).
        """
        found = await self._others.open(project_id, path) if self._others else None
        return found or await _open(self._blobs, self.key(project_id, path))

    async def list(self, project_id: str, path: str) -> list[BlobInfo]:
        """What a proxied folder holds, with paths relative to it (plain names)."""
        path = path.strip("/")
        if not path:
            # The root holds the folders of all projects; a project sees its own.
            folder = uris.project_folder(project_id)
            found = await self._blobs.info(join(ARTIFACTS, folder))
            return [BlobInfo(path=folder, is_dir=True)] if found else []
        found = await self._others.list(project_id, path) if self._others else None
        return _named(await self._blobs.list(self.key(project_id, path)), "") if found is None else found

    async def delete(self, project_id: str, path: str) -> int:
        """Remove a proxied file or folder; number of files removed (0 when absent).

        Raises:
            PermissionDenied: what is there never changes.
        """
        await self.check_writable(project_id, path)
        return await self._blobs.delete(self.key(project_id, path))

    async def check_writable(self, project_id: str, path: str) -> None:
        """Raise ``PermissionDenied`` for the files of a skill's version."""
        if self._others and await self._others.keeps(project_id, path):
            raise PermissionDenied("Files of a skill's version never change; register a new version instead")

    # --- by URI: what a run, logged model or model version points to -------------------------------------------------
    async def open_at(self, project_id: str, uri: str, path: str) -> Artifact:
        """The file ``path`` below an artifact URI.

        Raises:
            NotFound: no such file.
            PermissionDenied: the URI lies outside what the server may read for this project.
        """
        store, prefix = self.locate(project_id, uri)
        return await _open(store, join(prefix, check_key(path)))

    async def list_at(self, project_id: str, uri: str, path: str = "") -> list[BlobInfo]:
        """What the folder ``path`` below an artifact URI holds, with paths relative to the URI."""
        store, prefix = self.locate(project_id, uri)
        path = check_prefix(path)
        return _named(await store.list(join(prefix, path)), path)

    async def upload_at(
        self, project_id: str, uri: str, path: str, chunks: AsyncIterable[bytes], max_bytes: int | None = None
    ) -> int:
        """Store the file ``path`` below a proxied artifact URI; number of bytes.

        Raises:
            InvalidArgument: the URI is a direct one, which clients write themselves.
            TooLarge: more than ``max_bytes``; nothing was stored.
        """
        root = uris.proxy_path(uri)
        if root is None:
            raise InvalidArgument(f"the artifact location '{uri}' is written by its clients, not by the server")
        limited = _limited(self.limited(chunks), max_bytes)
        return await self._blobs.write(self.key(project_id, join(root, check_key(path))), limited)

    async def delete_at(self, project_id: str, uri: str) -> int:
        """Remove everything below a proxied artifact URI; direct ones are left to their owners (0)."""
        path = uris.proxy_path(uri)
        return 0 if path is None else await self._blobs.delete(self.key(project_id, path))

    # -----------------------------------------------------------------------------------------------------------------
    def key(self, project_id: str, path: str) -> str:
        """The key in the blob store of a proxied path. It lies in the project's folder, whether or not the path begins
        with that: programs choose locations such as ``mlflow-artifacts:/team/x``, and those of a moved MLflow server
        begin with the experiment.

        Raises:
            InvalidArgument: a bad path.
        """
        path, folder = check_key(path.strip("/")), uris.project_folder(project_id)
        return join(ARTIFACTS, path) if path.split("/", 1)[0] == folder else join(ARTIFACTS, folder, path)

    @staticmethod
    def proxied(uri: str, path: str) -> str | None:
        """The proxied path of the file ``path`` below an artifact URI; None for direct URIs."""
        root = uris.proxy_path(uri)
        return None if root is None else join(root, check_key(path))

    def locate(self, project_id: str, uri: str) -> tuple[BlobStore, str]:
        """The store and key prefix of an artifact URI.

        Raises:
            PermissionDenied: the URI lies outside what the server may read for this project.
        """
        if uris.is_traversal(uri):
            raise InvalidArgument(f"Invalid artifact location: '{uri}'")
        path = uris.proxy_path(uri)
        if path is not None:
            return self._blobs, self.key(project_id, path)
        if self._root is not None and (rest := uris.inside(uri, self._root)) is not None:
            if rest.split("/", 1)[0] == uris.project_folder(project_id):
                return self._direct(self._root), check_prefix(rest)
            raise PermissionDenied(f"the artifact location '{uri}' does not belong to this project")
        for root in self._read_roots:
            if (rest := uris.inside(uri, root)) is not None:
                return self._direct(root), check_prefix(rest)
        raise PermissionDenied(
            f"the artifact location '{uri}' is outside the roots that this server may read; clients that can reach it "
            "read it themselves (artifact_root and artifact_read_roots name the roots)"
        )

    def _direct(self, root: str) -> BlobStore:
        with self._lock:
            store = self._opened.get(root)
            if store is None:
                scheme, _, path = uris.split_direct(root)
                if scheme == "file":
                    store = FolderBlobStore(Path("/" + path), writable=False)
                else:
                    from twinlens.store.blobs.object import open_object_store  # 20 ms that most servers never need

                    store = open_object_store(root)
                self._opened[root] = store
            return store

    def limited(self, chunks: AsyncIterable[bytes]) -> AsyncIterable[bytes]:
        """The chunks, up to the largest artifact that is taken; then ``TooLarge``."""
        return _limited(chunks, self.max_bytes)


async def _limited(chunks: AsyncIterable[bytes], most: int | None) -> AsyncIterator[bytes]:
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if most is not None and size > most:
            raise TooLarge(f"the artifact is larger than {most} bytes, the largest that is taken here")
        yield chunk


def media_type(name: str) -> str:
    """MIME type by file name; ``application/octet-stream`` when it says nothing."""
    suffix = posixpath.splitext(name)[1].lower()
    if name in _TEXT_NAMES:
        return "text/plain"
    return _TYPES.get(suffix) or mimetypes.guess_type(name)[0] or _NO_TYPE


async def _open(store: BlobStore, key: str) -> Artifact:
    found = await store.info(key)
    if found is None or found.size is None:
        raise NotFound(f"No such artifact: '{basename(key)}'")
    return Artifact(store=store, key=key, size=found.size)


def _named(entries: list[BlobInfo], below: str) -> list[BlobInfo]:
    return [BlobInfo(path=join(below, basename(entry.path)), is_dir=entry.is_dir, size=entry.size) for entry in entries]
