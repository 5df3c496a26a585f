"""Artifacts by signed address: uploads in parts, and reads and writes of one file, without credentials of the server.

Where the blob store signs addresses itself (S3, GCS, Azure), clients and store exchange the bytes directly. A folder cannot, so this
server signs addresses of its own, with the instance's key, which end after a while. An address is good for one file and one purpose.
A limit on the size of artifacts holds only for what comes through this server, so with a limit nothing is sent to the store directly.
"""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterable, Sequence
from typing import Literal

import msgspec

from twinlens.domain.clock import Clock, now_ns
from twinlens.domain.errors import InvalidArgument, NotFound, NotSupported, PermissionDenied
from twinlens.features.artifacts import Artifact, Artifacts
from twinlens.features.secrets import Hasher
from twinlens.store.blobs.interface import BlobSource, BlobStore
from twinlens.store.blobs.paths import check_key, join
from twinlens.store.blobs.uploads import MAX_PARTS, FolderUploads, Part, Uploads, uploads_of

PART_S = 6 * 3_600  #: how long addresses of parts are valid: all are signed at the start of an upload
FILE_S = 900  #: how long addresses of files are valid, unless another time is asked for
MAX_S = 7 * 86_400  #: clouds sign for a week at most
_S = 1_000_000_000


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """What an address of this server is good for. ``path`` is that of a proxied artifact."""

    action: Literal["get", "put", "part"]
    project: str
    path: str
    expires: int  #: seconds since 1970
    upload: str = ""
    number: int = 0


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """An address of the store, or a ticket and its signature from which a face makes one of this server."""

    url: str | None = None
    ticket: Ticket | None = None
    signature: str = ""
    size: int | None = None


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """An upload in parts: its id, and where each part goes, from part 1 on."""

    upload_id: str
    parts: list[Signed]


class ArtifactTransfers:
    """See the module's text."""

    def __init__(self, blobs: BlobStore, artifacts: Artifacts, hasher: Hasher, clock: Clock = now_ns) -> None:
        self._blobs = blobs
        self._artifacts = artifacts
        self._hasher = hasher
        self._clock = clock
        self._uploads: Uploads | Literal["unknown"] | None = "unknown"

    async def takes_parts(self) -> bool:
        """Whether uploads in parts are possible here."""
        return await self._find() is not None

    async def signs(self) -> bool:
        """Whether the store itself gives files to who holds a signed address."""
        return await self._blobs.sign("GET", "x", FILE_S) is not None

    # --- uploads in parts -------------------------------------------------------------------------------------------
    async def start(self, project_id: str, path: str, parts: int) -> Started:
        """Begin an upload of so many parts to a proxied path.

        Raises:
            InvalidArgument: a bad path, or too many parts.
            PermissionDenied: a path of another project.
            NotSupported: the store takes no parts.
        """
        if not 1 <= parts <= MAX_PARTS:
            raise InvalidArgument(f"an upload has 1 to {MAX_PARTS} parts, not {parts}")
        await self._artifacts.check_writable(project_id, path)
        key, uploads = self._artifacts.key(project_id, path), await self._need()
        found = await uploads.begin(key)
        ends = self._clock() // _S + PART_S
        places: list[Signed] = []
        for number in range(1, parts + 1):
            url = uploads.part_url(key, found, number, PART_S)
            ticket = Ticket(
                action="part", project=project_id, path=path.strip("/"), expires=ends, upload=found, number=number
            )  # fmt: skip
            places.append(Signed(url=url) if url else self._sign(ticket))
        return Started(upload_id=f"{found}:{self._proof(project_id, key, found)}", parts=places)

    async def finish(self, project_id: str, path: str, upload_id: str, parts: Sequence[Part]) -> None:
        """Put the parts together; the file appears whole.

        Raises:
            NotFound: no such upload to this path.
            InvalidArgument: a part has not arrived.
            TooLarge: together they are more than the server takes.
        """
        key = self._artifacts.key(project_id, path)
        if not parts or sorted({part.number for part in parts}) != [part.number for part in parts]:
            raise InvalidArgument("parts must be named once each, in ascending order")
        found = self._checked(project_id, key, upload_id)
        await (await self._need()).finish(key, found, parts, self._artifacts.max_bytes)

    async def abort(self, project_id: str, path: str, upload_id: str) -> None:
        """Remove what has arrived.

        Raises:
            NotFound: no such upload to this path.
        """
        key = self._artifacts.key(project_id, path)
        await (await self._need()).abort(key, self._checked(project_id, key, upload_id))

    # --- single files -----------------------------------------------------------------------------------------------
    async def download(self, project_id: str, path: str, seconds: int = FILE_S) -> Signed:
        """An address that gives a proxied file.

        Raises:
            NotFound: no such file.
        """
        artifact = await self._artifacts.open(project_id, path)
        return await self._address("get", project_id, path, artifact.store, artifact.key, seconds, artifact.size)

    async def download_at(self, project_id: str, uri: str, path: str, seconds: int = FILE_S) -> Signed:
        """An address that gives the file ``path`` below an artifact URI.

        Raises:
            NotFound: no such file.
            NotSupported: files there cannot be had by address.
        """
        artifact = await self._artifacts.open_at(project_id, uri, path)
        proxied = self._artifacts.proxied(uri, path)
        return await self._address("get", project_id, proxied, artifact.store, artifact.key, seconds, artifact.size)

    async def upload_at(self, project_id: str, uri: str, path: str, seconds: int = FILE_S) -> Signed:
        """An address that takes the file ``path`` below an artifact URI.

        Raises:
            PermissionDenied: the URI lies outside what the server may use for this project.
            NotSupported: files there cannot be sent by address.
        """
        store, prefix = self._artifacts.locate(project_id, uri)
        key = join(prefix, check_key(path))
        return await self._address("put", project_id, self._artifacts.proxied(uri, path), store, key, seconds)

    async def _address(
        self, action: Literal["get", "put"], project_id: str, path: str | None, store: BlobSource, key: str, seconds: int,
        size: int | None = None,
    ) -> Signed:  # fmt: skip
        if not 1 <= seconds <= MAX_S:
            raise InvalidArgument(f"expiration must be between 1 and {MAX_S} seconds (got {seconds}).")
        url = None
        if action == "get" or self._artifacts.max_bytes is None:
            url = await store.sign("GET" if action == "get" else "PUT", key, seconds)
        if url is not None:
            return Signed(url=url, size=size)
        if path is None:
            raise NotSupported("the artifact location is a folder that clients reach themselves: it has no addresses")
        ends = self._clock() // _S + seconds
        made = self._sign(Ticket(action=action, project=project_id, path=path, expires=ends))
        return msgspec.structs.replace(made, size=size)

    # --- what comes to this server's own addresses ------------------------------------------------------------------
    async def open(self, ticket: Ticket, signature: str) -> Artifact:
        """The file a ticket is for.

        Raises:
            PermissionDenied: not signed here, for something else, or over.
        """
        self._check(ticket, signature, "get")
        return await self._artifacts.open(ticket.project, ticket.path)

    async def take(self, ticket: Ticket, signature: str, chunks: AsyncIterable[bytes]) -> str | None:
        """Store a part (its etag) or a whole file (None).

        Raises:
            PermissionDenied: not signed here, for something else, or over.
            TooLarge: more bytes than the server takes in one request; nothing was stored.
        """
        self._check(ticket, signature, "put", "part")
        if ticket.action == "put":
            await self._artifacts.upload(ticket.project, ticket.path, chunks)
            return None
        return await (await self._need()).write_part(ticket.upload, ticket.number, self._artifacts.limited(chunks))

    # -----------------------------------------------------------------------------------------------------------------
    async def _find(self) -> Uploads | None:
        if self._uploads == "unknown":
            found = await uploads_of(self._blobs)
            limited = self._artifacts.max_bytes is not None
            self._uploads = None if limited and not isinstance(found, FolderUploads) else found
        return self._uploads

    async def _need(self) -> Uploads:
        found = await self._find()
        if found is None:
            raise NotSupported("Multipart upload is not supported for the current artifact repository")
        return found

    def _sign(self, ticket: Ticket) -> Signed:
        return Signed(ticket=ticket, signature=self._signature(ticket))

    def _signature(self, ticket: Ticket) -> str:
        return self._hasher.hash("artifact" + msgspec.json.encode(ticket).decode())[:43]

    def _check(self, ticket: Ticket, signature: str, *actions: str) -> None:
        if ticket.action not in actions or not hmac.compare_digest(
            self._signature(ticket).encode(), signature.encode("utf-8", "surrogatepass")
        ):
            raise PermissionDenied("This artifact address is not signed for this")
        if ticket.expires * _S <= self._clock():
            raise PermissionDenied("This artifact address has expired, ask for a new one")

    def _proof(self, project_id: str, key: str, upload_id: str) -> str:
        """Ties an upload's id to its project and path, so that nobody can finish or abort another's."""
        return self._hasher.hash(msgspec.json.encode(["upload", project_id, key, upload_id]).decode())[:24]

    def _checked(self, project_id: str, key: str, upload_id: str) -> str:
        found, _, proof = upload_id.rpartition(":")
        if not hmac.compare_digest(self._proof(project_id, key, found).encode(), proof.encode()):
            raise NotFound("No such upload to this path")
        return found
