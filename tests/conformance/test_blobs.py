"""The blob contract, run against every engine."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from obstore.store import MemoryStore

from tests.s3 import S3Server
from twinlens.domain.errors import InvalidArgument, NotFound, StoreUnavailable
from twinlens.store.blobs.folder import FolderBlobStore
from twinlens.store.blobs.interface import BlobInfo, BlobStore
from twinlens.store.blobs.object import ObjectBlobStore, open_object_store


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def content(store: BlobStore, key: str, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([chunk async for chunk in store.read(key, start, end)])


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with S3Server() as server:
        yield server


@pytest.fixture(params=["folder", "object", pytest.param("s3", marks=pytest.mark.peer)])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    if request.param == "folder":
        return FolderBlobStore(tmp_path / "blobs")
    if request.param == "s3":
        for name, value in request.getfixturevalue("s3").environment.items():
            monkeypatch.setenv(name, value)
        return open_object_store(f"s3://twinlens/{uuid.uuid4().hex}")
    return ObjectBlobStore(MemoryStore())


async def test_write_read_replace(store: BlobStore) -> None:
    assert await store.write("a/b/c.txt", chunks(b"hello ", b"", b"world")) == 11
    assert await content(store, "a/b/c.txt") == b"hello world"
    assert await store.write("a/b/c.txt", chunks(b"new")) == 3
    assert await content(store, "a/b/c.txt") == b"new"


async def test_empty_object(store: BlobStore) -> None:
    assert await store.write("empty", chunks()) == 0
    assert await content(store, "empty") == b""
    assert await store.info("empty") == BlobInfo(path="empty", is_dir=False, size=0)


async def test_ranges(store: BlobStore) -> None:
    await store.write("r", chunks(b"0123456789"))
    assert await content(store, "r", 3) == b"3456789"
    assert await content(store, "r", 3, 5) == b"34"
    assert await content(store, "r", 8, 99) == b"89"
    assert await content(store, "r", 10) == b""
    assert await content(store, "r", 4, 4) == b""


async def test_large_object_crosses_parts(store: BlobStore) -> None:
    block = os.urandom(1 << 20)
    assert await store.write("big", chunks(*[block] * 20)) == 20 << 20
    size = 0
    async for chunk in store.read("big"):
        size += len(chunk)
    assert size == 20 << 20
    assert await content(store, "big", (5 << 20) - 3, (5 << 20) + 3) == block[-3:] + block[:3]


async def test_listing_is_direct_children_sorted(store: BlobStore) -> None:
    for key in ("p/z.txt", "p/a/1", "p/a/2", "p/m", "q/x"):
        await store.write(key, chunks(b"12"))
    assert await store.list("p") == [
        BlobInfo(path="p/a", is_dir=True),
        BlobInfo(path="p/m", is_dir=False, size=2),
        BlobInfo(path="p/z.txt", is_dir=False, size=2),
    ]
    assert await store.list("p/") == await store.list("p")
    assert [info.path for info in await store.list("")] == ["p", "q"]
    assert await store.list("p/m") == []
    assert await store.list("absent") == []


async def test_info(store: BlobStore) -> None:
    await store.write("d/e/f", chunks(b"1"))
    assert await store.info("d") == BlobInfo(path="d", is_dir=True)
    assert await store.info("d/e/f") == BlobInfo(path="d/e/f", is_dir=False, size=1)
    assert await store.info("d/e/fg") is None
    assert await store.info("d/e/f/g") is None
    assert await store.info("dd") is None


async def test_prefix_is_whole_segments(store: BlobStore) -> None:
    await store.write("ab/x", chunks(b"1"))
    assert await store.info("a") is None
    assert await store.list("a") == []
    assert await store.delete("a") == 0


async def test_delete_object_and_folder(store: BlobStore) -> None:
    for key in ("d/1", "d/e/2", "d/e/3", "keep"):
        await store.write(key, chunks(b"1"))
    assert await store.delete("d/1") == 1
    assert await store.delete("d") == 2
    assert await store.delete("d") == 0
    assert await store.info("d") is None
    assert [info.path for info in await store.list("")] == ["keep"]


async def test_folder_goes_with_its_last_object(store: BlobStore) -> None:
    await store.write("x/y/only", chunks(b"1"))
    await store.delete("x/y/only")
    assert await store.info("x") is None


async def test_absent(store: BlobStore) -> None:
    with pytest.raises(NotFound):
        await content(store, "nope")
    with pytest.raises(NotFound):
        await content(store, "nope", 2, 3)
    await store.write("dir/file", chunks(b"1"))
    with pytest.raises(NotFound):
        await content(store, "dir")


@pytest.mark.parametrize("key", [
    "", "/", "/etc/passwd", "..", "../x", "a/../b", "a/..", "a//b", "./a", "a/.", "a/", "a\\b", "..\\x", "a\0b", "a\nb",
    "%2e%2e/x", "a/%2E%2E/b", "%252e%252e/x", "a%2f..%2fb", "a/%5c/b", "%00", "C:/x", ".tmp/x", "x" * 256, "a/" * 600 + "b",
    "\ud800",
])  # fmt: skip
async def test_bad_keys(store: BlobStore, key: str) -> None:
    with pytest.raises(InvalidArgument):
        await store.write(key, chunks(b"1"))
    with pytest.raises(InvalidArgument):
        await content(store, key)
    with pytest.raises(InvalidArgument):
        await store.info(key)
    with pytest.raises(InvalidArgument):
        await store.delete(key)
    if key.strip("/") and key.rstrip("/") == key:
        with pytest.raises(InvalidArgument):
            await store.list(key)
    assert await store.list("") == []


@pytest.mark.parametrize("key", ["100%.txt", "a b/ü€😀.txt", "x#y?z", "...", "a..b", "-r", "~", "a:b", "50%25"])
async def test_unusual_but_good_keys(store: BlobStore, key: str) -> None:
    await store.write(key, chunks(b"1"))
    assert await content(store, key) == b"1"
    assert (await store.list(key.rpartition("/")[0]))[0].path == key


async def test_failing_source_leaves_nothing(store: BlobStore) -> None:
    await store.write("k", chunks(b"old"))

    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * (9 << 20)
        raise ConnectionResetError("client went away")

    with pytest.raises(Exception, match=r"client went away|cannot be used"):
        await store.write("k", broken())
    assert await content(store, "k") == b"old"
    with pytest.raises(Exception, match=r"client went away|cannot be used"):
        await store.write("n", broken())
    assert await store.info("n") is None


# --- folder only -----------------------------------------------------------------------------------------------------


async def test_folder_collision(tmp_path: Path) -> None:
    store = FolderBlobStore(tmp_path)
    await store.write("a/b", chunks(b"1"))
    with pytest.raises(InvalidArgument):
        await store.write("a/b/c", chunks(b"2"))
    with pytest.raises(InvalidArgument):
        await store.write("a", chunks(b"2"))
    assert await content(store, "a/b") == b"1"
    assert list((tmp_path / ".tmp").iterdir()) == []


async def test_folder_does_not_follow_links(tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key").write_text("s")
    store = FolderBlobStore(tmp_path / "root")
    (tmp_path / "root" / "dirlink").symlink_to(tmp_path / "secret")
    (tmp_path / "root" / "link").symlink_to(tmp_path / "secret" / "key")
    for key in ("dirlink/key", "link"):
        with pytest.raises(NotFound):
            await content(store, key)
        assert await store.info(key) is None
    assert await store.list("") == []
    assert await store.list("dirlink") == []
    with pytest.raises(InvalidArgument):
        await store.write("dirlink/new", chunks(b"1"))
    with pytest.raises(InvalidArgument):
        await store.write("link", chunks(b"1"))
    assert await store.delete("dirlink/key") == 0
    await store.delete("dirlink")
    assert (tmp_path / "secret" / "key").read_text() == "s"


async def test_folder_ignores_fifo(tmp_path: Path) -> None:
    store = FolderBlobStore(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NotFound):
        await content(store, "pipe")
    assert await store.list("") == []


async def test_folder_clears_unfinished_writes_at_start(tmp_path: Path) -> None:
    FolderBlobStore(tmp_path)
    (tmp_path / ".tmp" / "half").write_bytes(b"x")
    store = FolderBlobStore(tmp_path)
    assert list((tmp_path / ".tmp").iterdir()) == []
    assert await store.list("") == []


async def test_read_only_folder(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"1")
    store = FolderBlobStore(tmp_path, writable=False)
    assert await content(store, "f") == b"1"
    with pytest.raises(InvalidArgument):
        await store.write("g", chunks(b"1"))
    with pytest.raises(InvalidArgument):
        await store.delete("f")
    assert not (tmp_path / ".tmp").exists()


async def test_full_disk_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FolderBlobStore(tmp_path)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("twinlens.store.blobs.folder._write_all", full)
    with pytest.raises(StoreUnavailable):
        await store.write("k", chunks(b"1"))
    monkeypatch.undo()
    assert await store.info("k") is None
    assert await store.write("k", chunks(b"1")) == 1


def test_unknown_scheme() -> None:
    with pytest.raises(InvalidArgument):
        open_object_store("ftp://host/x")
