"""Blobs in an object store (S3, Google Cloud Storage, Azure) through ``obstore``.

Credentials and endpoints come from the environment in each cloud's usual variables (``AWS_*``, ``GOOGLE_*``,
``AZURE_*``) and MLflow's ``MLFLOW_S3_ENDPOINT_URL``. Unlike a folder, an object store lets an object and a prefix share a
name; ``info`` then says it is an object, and listings show both.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, AsyncIterator, Generator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError

from twinlens.domain.errors import InvalidArgument, NotFound, StoreUnavailable
from twinlens.store.blobs.interface import BlobInfo
from twinlens.store.blobs.paths import basename, check_key, check_prefix

if TYPE_CHECKING:
    from obstore.store import ObjectStore

CHUNK = 1 << 20  #: smallest chunk handed out by ``read``, in bytes
PART = 8 << 20  #: bytes per part of a multipart upload; S3 allows 10,000 parts, so this reaches 80 GB
CONCURRENCY = 4  #: parts in flight, so one upload holds at most ``PART * CONCURRENCY`` bytes
_FEW_RETRIES: Any = {"max_retries": 2, "retry_timeout": timedelta(seconds=30)}
SCHEMES = frozenset({"s3", "s3a", "gs", "az", "abfs", "abfss", "azure", "memory"})


class ObjectBlobStore:
    """See ``interface`` for the contract.

    Args:
        store: an opened ``obstore`` store; all keys are relative to its prefix.
    """

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    async def write(self, key: str, chunks: AsyncIterable[bytes]) -> int:
        """Store the stream; number of bytes."""
        check_key(key)
        counted = _Counted(chunks)
        with _errors(key):
            # Not yet visible until the last part is complete; when the source raises, obstore aborts the upload.
            await obstore.put_async(
                self._store, key, counted, use_multipart=True, chunk_size=PART, max_concurrency=CONCURRENCY
            )
        return counted.size

    async def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes of ``[start, end)``, in chunks."""
        check_key(key)
        if end is not None and end <= start:
            return
        options: Any = None
        if start or end is not None:
            found = await self.info(key)
            if found is None or found.is_dir or found.size is None:
                raise NotFound(f"No such artifact: '{key}'")
            stop = found.size if end is None else min(end, found.size)
            if start >= stop:
                return
            options = {"range": (start, stop)}
        with _errors(key):
            result = await obstore.get_async(self._store, key, options=options)
            async for chunk in result.stream(min_chunk_size=CHUNK):
                yield bytes(chunk)

    async def info(self, key: str) -> BlobInfo | None:
        """The entry, or None."""
        check_key(key)
        with _errors(key):
            try:
                meta = await obstore.head_async(self._store, key)
                return BlobInfo(path=key, is_dir=False, size=meta["size"])
            except FileNotFoundError:
                pass
            async for batch in obstore.list(self._store, prefix=key, chunk_size=1):
                if any(meta["path"].startswith(key + "/") for meta in batch):
                    return BlobInfo(path=key, is_dir=True)
                break
        return None

    async def list(self, prefix: str) -> list[BlobInfo]:
        """Direct children of a folder."""
        prefix = check_prefix(prefix)
        with _errors(prefix):
            result = await obstore.list_with_delimiter_async(self._store, prefix=prefix or None)
        found = [BlobInfo(path=path, is_dir=True) for path in result["common_prefixes"]]
        found += [
            BlobInfo(path=meta["path"], is_dir=False, size=meta["size"])
            for meta in result["objects"]
            if meta["path"] != prefix
        ]
        return sorted(found, key=lambda info: (basename(info.path), info.is_dir))

    async def delete(self, key: str) -> int:
        """Remove an object or a whole folder; number of objects removed."""
        check_key(key)
        removed = 0
        with _errors(key):
            try:
                await obstore.head_async(self._store, key)
                await obstore.delete_async(self._store, key)
                removed = 1
            except FileNotFoundError:
                pass
            async for batch in obstore.list(self._store, prefix=key):
                paths = [meta["path"] for meta in batch if meta["path"].startswith(key + "/")]
                if paths:
                    await obstore.delete_async(self._store, paths)
                    removed += len(paths)
        return removed

    async def sign(self, method: Literal["GET", "PUT"], key: str, seconds: int) -> str | None:
        """A signed address; None where the store (a memory store, a GCS key without its secret) cannot make one."""
        check_key(key)
        try:
            return await obstore.sign_async(self._store, method, key, timedelta(seconds=seconds))  # pyright: ignore[reportArgumentType, reportCallIssue] - other stores raise
        except (TypeError, ValueError, BaseError):
            return None


def open_object_store(url: str) -> ObjectBlobStore:
    """Open ``s3://bucket/prefix``, ``gs://bucket/prefix`` or ``az://container/prefix``.

    Raises:
        InvalidArgument: the URL names no store this engine knows, or its configuration is incomplete.
    """
    from obstore.store import from_url

    scheme = urlsplit(url).scheme
    if scheme not in SCHEMES:
        raise InvalidArgument(f"unknown artifact root '{url}': use a folder, s3://, gs:// or az://")
    options: dict[str, Any] = {}
    endpoint = os.environ.get("MLFLOW_S3_ENDPOINT_URL")
    if scheme in ("s3", "s3a") and endpoint:
        options["endpoint"] = endpoint
        if endpoint.startswith("http://"):
            options["client_options"] = {"allow_http": True}
    try:
        return ObjectBlobStore(from_url(url, **options))
    except BaseError as error:
        raise InvalidArgument(f"artifact root '{url}' cannot be opened: {_first_line(error)}") from error


def open_bucket(
    kind: str, bucket: str, *, endpoint: str | None, region: str, access_key: str | None, secret: str | None,
    path_style: bool,
) -> ObjectBlobStore:  # fmt: skip
    """Open a bucket with credentials of its own; without them those of the environment are used.

    Args:
        kind: ``S3``, ``S3_COMPATIBLE``, ``AZURE_BLOB_STORAGE`` or ``GOOGLE_CLOUD_STORAGE``.
        access_key: access key id, or the name of the Azure account.
        secret: secret access key, Azure account key, or Google service account as JSON.

    Raises:
        InvalidArgument: the configuration is incomplete or wrong.
    """
    from obstore.store import AzureStore, GCSStore, S3Store

    http = {"allow_http": True} if endpoint and endpoint.startswith("http://") else {}
    options: Any = {"client_options": {"timeout": "60s", **http}, "retry_config": _FEW_RETRIES}
    if endpoint and kind != "GOOGLE_CLOUD_STORAGE":
        options["endpoint"] = endpoint
    try:
        if kind == "GOOGLE_CLOUD_STORAGE":
            options |= {"service_account_key": secret} if secret else {}
            return ObjectBlobStore(GCSStore(bucket, **options))
        if kind == "AZURE_BLOB_STORAGE":
            options |= {"account_name": access_key, **({"account_key": secret} if secret else {})}
            return ObjectBlobStore(AzureStore(bucket, **options))
        options |= {"region": region, "virtual_hosted_style_request": not (path_style or kind == "S3_COMPATIBLE")}
        options |= {"access_key_id": access_key, "secret_access_key": secret} if secret else {}
        return ObjectBlobStore(S3Store(bucket, **options))
    except (BaseError, ValueError) as error:
        raise InvalidArgument(f"the bucket '{bucket}' cannot be opened: {_first_line(error)}") from error


class _Counted:
    """Passes chunks on and counts their bytes; skips empty ones, which a multipart upload would refuse."""

    def __init__(self, chunks: AsyncIterable[bytes]) -> None:
        self._chunks = chunks
        self.size = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._chunks:
            if chunk:
                self.size += len(chunk)
                yield chunk


@contextmanager
def _errors(key: str) -> Generator[None]:
    try:
        yield
    except FileNotFoundError:
        raise NotFound(f"No such artifact: '{key}'") from None
    except (PermissionDeniedError, UnauthenticatedError) as error:
        raise StoreUnavailable(f"the object store refuses the server's credentials: {_first_line(error)}") from error
    except BaseError as error:
        raise StoreUnavailable(f"the object store cannot be used now: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0]
