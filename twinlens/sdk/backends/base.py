"""What backends have in common."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from twinlens.sdk.delivery import Refused
from twinlens.sdk.wire import Answer, Connection, Unreachable

if TYPE_CHECKING:
    from twinlens.sdk.batch import Batch

log = logging.getLogger("twinlens")
PROTOBUF = "application/x-protobuf"
JSON = "application/json"
Draft = tuple[dict[str, Any], bytes]


class Backend:
    """One destination. ``remote`` ones turn batches into parcels that a courier delivers; others write at once."""

    name: ClassVar[str] = ""
    remote: ClassVar[bool] = False
    _complained = False

    def parcels(self, batch: Batch) -> Iterator[Draft]:
        """The batch as (head, body); heads are JSON-ready and hold no secret."""
        raise NotImplementedError

    def write(self, batch: Batch) -> None:
        """Write the batch here and now."""
        raise NotImplementedError

    def complain(self, error: Exception) -> None:
        """Log what went wrong, the first time only."""
        if not self._complained:
            self._complained = True
            log.warning("twinlens: %s backend: %s: %s (said once)", self.name, type(error).__name__, error)


class Remote(Backend):
    """A backend behind HTTP.

    Every answer is looked at: what a server of this kind would never say means that somebody else answered (a proxy, another program
    at that address, a server that is starting), so nothing is taken as delivered.

    Args:
        url: its base address.
        account: what tells two projects at one address apart (a public key or user name, never a secret).
        headers: sent with every request; may hold secrets and are never spooled.
    """

    remote = True
    #: A receiver of telemetry answers 2xx with an empty body, JSON or protobuf; anything else is no acknowledgement.
    strict: ClassVar[bool] = True

    def __init__(self, url: str, account: str = "", headers: dict[str, str] | None = None) -> None:
        self.url = url.rstrip("/")
        self.account = account
        self.headers = headers or {}
        self.connection = Connection(self.url)

    @property
    def destination(self) -> str:
        """Names the spool's folder and tells ``twinlens spool push`` where parcels go: JSON, no secrets."""
        return json.dumps({"backend": self.name, "url": self.url, "account": self.account})

    def reset(self) -> None:
        """Forget the connection without touching the peer (in the child after a fork)."""
        self.connection = Connection(self.url)

    def deliver(self, head: dict[str, Any], body: bytes) -> None:
        """Send one parcel. On the courier's thread.

        Raises:
            Unreachable: try again later.
            Refused: never.
        """
        self.post(head["path"], body, {"Content-Type": head["type"], **head.get("headers", {})})

    def call(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Answer:
        """A request with the credentials; the answer is 2xx–4xx.

        Raises:
            Unreachable: no usable answer. That includes refused keys (they may be corrected), redirections and web pages (a proxy, or
                another program at that address).
        """
        answer = self.connection.request(method, path, body, {**self.headers, **(headers or {})})
        if answer.status in (401, 403):
            raise Unreachable(f"{self.url} refused the credentials ({answer.status})", 30)
        if answer.status < 200 or 300 <= answer.status < 400:
            raise Unreachable(f"{self.url}{path} answered {answer.status}, a redirection")
        if answer.body[:64].lstrip()[:1] == b"<" and answer.status != 405:
            raise Unreachable(
                f"{self.url}{path} answered {answer.status} with a web page, so it is no {self.name} server"
            )
        return answer

    def post(self, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        """POST telemetry and insist on an acknowledgement.

        Raises:
            Unreachable: also when nobody is at that path.
            Refused: never to be taken, whole or in part.
        """
        answer = self.call("POST", path, body, headers)
        if answer.status in (404, 405):
            raise Unreachable(f"{self.url}{path} answered {answer.status}, so it is no {self.name} server")
        if not answer.ok:
            raise Refused(f"{path} answered {answer.status}: {answer.body[:300].decode(errors='replace')}")
        self.acknowledged(path, answer)
        return answer

    def acknowledged(self, path: str, answer: Answer) -> None:
        """Read a 2xx as an acknowledgement.

        Raises:
            Unreachable: it is none.
            Refused: a part was rejected (OTLP's ``partial_success``), which must not be sent again.
        """
        if not answer.body:
            return
        rejected, said = 0, ""
        try:
            if answer.type == PROTOBUF:
                from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

                # the answer about logs has the same fields under the same numbers
                part = ExportTraceServiceResponse.FromString(answer.body).partial_success
                rejected, said = part.rejected_spans, part.error_message
            elif self.strict or answer.type == JSON:
                found = json.loads(answer.body)
                partial = found.get("partialSuccess") or {}
                rejected = int(partial.get("rejectedSpans") or partial.get("rejectedLogRecords") or 0)
                said = str(partial.get("errorMessage") or "")
        except Exception as error:  # whatever is wrong with it
            raise Unreachable(
                f"{self.url}{path} answered {answer.status} with {answer.body[:40]!r}, so it is no {self.name} server"
            ) from error
        if rejected:
            raise Refused(f"{path} rejected {rejected}: {said}")

    def json(self, method: str, path: str, value: Any = None) -> tuple[int, Any]:
        """A JSON request; status and decoded answer (None when it is an error without JSON).

        Raises:
            Unreachable: also for a success that is no JSON object.
        """
        body = None if value is None else json.dumps(value).encode()
        answer = self.call(method, path, body, {"Content-Type": JSON} if body is not None else None)
        try:
            found = json.loads(answer.body or b"null")
        except ValueError:
            found = None
        if answer.ok and not isinstance(found, dict):
            raise Unreachable(
                f"{self.url}{path} answered {answer.status} with {answer.body[:40]!r}, so it is no {self.name} server"
            )
        return answer.status, found


def inside(answer: Any, *path: str) -> Any:
    """What a server of the right kind always answers, by its names.

    Raises:
        Unreachable: it is not there, so somebody else answered.
    """
    found = answer
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    if found is None:
        raise Unreachable(f"an answer has no {'.'.join(path)}, so it is of another server")
    return found


def basic(user: str, password: str) -> dict[str, str]:
    """The header of HTTP basic authentication."""
    import base64

    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def tag_list(tags: Any) -> list[str]:
    """Tags as texts: a list as it is, a map as ``key:value``."""
    if isinstance(tags, dict):
        return [f"{k}:{v}" for k, v in tags.items()]
    if isinstance(tags, list):
        return [str(t) for t in tags]
    return [str(tags)] if tags else []
