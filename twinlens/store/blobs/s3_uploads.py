"""Uploads in parts to S3: clients send each part to the store itself, at an address that we sign.

``obstore`` signs plain reads and writes but no part of a multipart upload, which needs query parameters under the signature. So
the parts' addresses are signed here (AWS Signature Version 4 in the query string), with the credentials that ``obstore`` found as far
as the environment holds them; a server that has its credentials from elsewhere (a role) takes no uploads in parts.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import os
import re
import urllib.error
import urllib.request
from collections.abc import AsyncIterable, Sequence
from datetime import UTC, datetime
from urllib.parse import parse_qs, quote, urlsplit

import msgspec

from twinlens.domain.errors import InvalidArgument, NotFound, StoreUnavailable
from twinlens.store.blobs.object import ObjectBlobStore
from twinlens.store.blobs.uploads import Part

_UPLOAD_ID = re.compile(r"<UploadId>([^<]+)</UploadId>")
_TIMEOUT_S = 60.0
_OWN_S = 300  #: how long the addresses are valid that this server calls itself


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """What signs for S3."""

    access_key: str
    secret_key: str
    region: str
    token: str | None = None


async def s3_uploads(store: ObjectBlobStore) -> S3Uploads | None:
    """Uploads in parts of a store; None unless it is S3 and the environment holds the credentials."""
    sample = await store.sign("PUT", "x", _OWN_S)
    secret = os.environ.get("AWS_SECRET_ACCESS_KEY")
    if sample is None or not secret:
        return None
    said = parse_qs(urlsplit(sample).query)
    access_key, _, region, service, _ = (said.get("X-Amz-Credential") or ["////"])[0].split("/")
    if service != "s3" or access_key != os.environ.get("AWS_ACCESS_KEY_ID"):
        return None
    token = (said.get("X-Amz-Security-Token") or [None])[0]
    credentials = Credentials(access_key=access_key, secret_key=secret, region=region, token=token)
    return S3Uploads(sample.split("?")[0].removesuffix("x"), credentials)


class S3Uploads:
    """See ``uploads.Uploads`` and the module's text.

    Args:
        base: address of the store's prefix, with a slash at the end.
    """

    def __init__(self, base: str, credentials: Credentials) -> None:
        self._base = base
        self._credentials = credentials

    async def begin(self, key: str) -> str:
        """Start; S3's id of the upload."""
        found = _UPLOAD_ID.search(await self._call("POST", key, {"uploads": ""}))
        if found is None:
            raise StoreUnavailable("the object store did not name the new upload")
        return found[1]

    def part_url(self, key: str, upload_id: str, number: int, seconds: int) -> str:
        """The signed address of one part."""
        return self._url("PUT", key, {"partNumber": str(number), "uploadId": upload_id}, seconds)

    async def write_part(self, upload_id: str, number: int, chunks: AsyncIterable[bytes]) -> str:
        """Refused: parts go to the store itself.

        Raises:
            InvalidArgument: always.
        """
        raise InvalidArgument("parts of this upload go to the object store itself")

    async def finish(self, key: str, upload_id: str, parts: Sequence[Part], most: int | None = None) -> None:
        """Have S3 put the parts together."""
        rows = "".join(
            f"<Part><PartNumber>{part.number}</PartNumber><ETag>{_xml(part.etag)}</ETag></Part>" for part in parts
        )
        body = f"<CompleteMultipartUpload>{rows}</CompleteMultipartUpload>"
        answer = await self._call("POST", key, {"uploadId": upload_id}, body.encode())
        if "<Error>" in answer:  # S3 may answer 200 first and fail later
            raise StoreUnavailable(f"the object store did not complete the upload: {answer[:300]}")

    async def abort(self, key: str, upload_id: str) -> None:
        """Have S3 forget the parts."""
        with contextlib.suppress(NotFound):
            await self._call("DELETE", key, {"uploadId": upload_id})

    def _url(self, method: str, key: str, query: dict[str, str], seconds: int) -> str:
        return presign(method, self._base + quote(key, safe="/-_.~"), query, self._credentials, seconds)

    async def _call(self, method: str, key: str, query: dict[str, str], body: bytes | None = None) -> str:
        url = self._url(method, key, query, _OWN_S)

        def call() -> str:
            headers = {"Content-Type": "application/xml"} if body else {}
            request = urllib.request.Request(url, body, headers, method=method)  # noqa: S310 - the operator's store
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310
                return answer.read().decode("utf-8", "replace")

        try:
            return await asyncio.to_thread(call)
        except urllib.error.HTTPError as error:
            text = error.read(500).decode("utf-8", "replace")
            if error.code == 404:
                raise NotFound("No such upload: it was finished, aborted or given up") from None
            if error.code == 400:
                raise InvalidArgument(f"the object store refuses the parts: {text}") from None
            raise StoreUnavailable(f"the object store answered {error.code}: {text}") from None
        except OSError as error:
            raise StoreUnavailable(f"the object store cannot be used now: {error}") from error


def presign(
    method: str, url: str, query: dict[str, str], credentials: Credentials, seconds: int, at: datetime | None = None
) -> str:
    """An address with AWS Signature Version 4 in its query string, for a body of any content.

    Args:
        url: encoded, without a query.
        seconds: how long it is valid.
        at: when it is signed; now by default.
    """
    at = at or datetime.now(UTC)
    parts = urlsplit(url)
    scope = f"{at:%Y%m%d}/{credentials.region}/s3/aws4_request"
    values = {
        **query, "X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Credential": f"{credentials.access_key}/{scope}",
        "X-Amz-Date": f"{at:%Y%m%dT%H%M%SZ}", "X-Amz-Expires": str(seconds), "X-Amz-SignedHeaders": "host",
    }  # fmt: skip
    if credentials.token:
        values["X-Amz-Security-Token"] = credentials.token
    said = "&".join(f"{quote(name, safe='-_.~')}={quote(values[name], safe='-_.~')}" for name in sorted(values))
    request = f"{method}\n{parts.path}\n{said}\nhost:{parts.netloc}\n\nhost\nUNSIGNED-PAYLOAD"
    key = ("AWS4" + credentials.secret_key).encode()
    for step in scope.split("/"):
        key = hmac.new(key, step.encode(), hashlib.sha256).digest()
    text = f"AWS4-HMAC-SHA256\n{at:%Y%m%dT%H%M%SZ}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    return f"{url}?{said}&X-Amz-Signature={hmac.new(key, text.encode(), hashlib.sha256).hexdigest()}"


def _xml(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
