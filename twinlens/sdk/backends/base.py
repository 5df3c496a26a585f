"""What backends have in common."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from twinlens.sdk.delivery import Refused
from twinlens.sdk.wire import Answer, Connection, Unreachable

if TYPE_CHECKING:
    from twinlens.sdk.pipeline import Batch

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

    Args:
        url: its base address.
        account: what tells two projects at one address apart (a public key or user name, never a secret).
        headers: sent with every request; may hold secrets and are never spooled.
    """

    remote = True

    def __init__(self, url: str, account: str = "", headers: dict[str, str] | None = None) -> None:
        self.url = url.rstrip("/")
        self.account = account
        self.headers = headers or {}
        self._connection = Connection(self.url)
        if urlsplit(self.url).username:
            raise ValueError("the address must not hold a user name or password; use the options for them")

    @property
    def destination(self) -> str:
        """Names the spool's folder and tells ``twinlens spool push`` where parcels go: JSON, no secrets."""
        return json.dumps({"backend": self.name, "url": self.url, "account": self.account})

    def reset(self) -> None:
        """Forget the connection without touching the peer (in the child after a fork)."""
        self._connection = Connection(self.url)

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
            Unreachable: no usable answer. That includes refused keys (they may be corrected) and web pages (a proxy, or
                another program at that address).
        """
        answer = self._connection.request(method, path, body, {**self.headers, **(headers or {})})
        if answer.status in (401, 403):
            raise Unreachable(f"{self.url} refused the credentials ({answer.status})", 30)
        if answer.body[:64].lstrip()[:1] == b"<" and answer.status != 405:
            raise Unreachable(
                f"{self.url}{path} answered {answer.status} with a web page, so it is no {self.name} server"
            )
        return answer

    def post(self, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        """POST and insist on 2xx.

        Raises:
            Unreachable, Refused.
        """
        answer = self.call("POST", path, body, headers)
        if not answer.ok:
            raise Refused(f"{path} answered {answer.status}: {answer.body[:300].decode(errors='replace')}")
        return answer

    def json(self, method: str, path: str, value: Any = None) -> tuple[int, Any]:
        """A JSON request; status and decoded answer (None when it is not JSON).

        Raises:
            Unreachable
        """
        body = None if value is None else json.dumps(value).encode()
        answer = self.call(method, path, body, {"Content-Type": JSON} if body is not None else None)
        try:
            return answer.status, json.loads(answer.body or b"null")
        except ValueError:
            return answer.status, None


def basic(user: str, password: str) -> dict[str, str]:
    """The header of HTTP basic authentication."""
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def tag_list(tags: Any) -> list[str]:
    """Tags as texts: a list as it is, a map as ``key:value``."""
    if isinstance(tags, dict):
        return [f"{k}:{v}" for k, v in tags.items()]
    if isinstance(tags, list):
        return [str(t) for t in tags]
    return [str(tags)] if tags else []
