"""Posts a webhook's body to its address, and nowhere else.

An address must be public, unless the server's owner allows any: whoever may add webhooks could otherwise have this server call
what only it can reach. Names are looked up when a webhook is stored, and the peer of each connection is checked again before
anything is sent, because a name may lead elsewhere by then. Redirects and proxies are not followed for the same reason.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

from twinlens.domain.errors import InvalidArgument
from twinlens.domain.webhook import check_url

TIMEOUT_S = 10.0
_SHOWN = 2_000  #: bytes of an answer that are kept
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_HOW = "Start the server with TWINLENS_WEBHOOK_ADDRESSES=any to allow it."


class NotPublic(InvalidArgument):
    """The address leads into a private network or to this machine."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver said."""

    status: int
    body: str
    retry_after: float | None  #: seconds that it asks to be left alone


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet; IPv6 forms that wrap an IPv4 address count as that one."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if inner is None and ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return inner.is_global
    return ip.is_global and not ip.is_multicast


def check_target(url: str, *, anywhere: bool) -> None:
    """Refuse an address that a webhook may not have.

    Args:
        anywhere: private addresses and plain HTTP are allowed.

    Raises:
        InvalidArgument: no address, its name is unknown, or it is not public.
    """
    scheme, host, port = check_url(url)
    if anywhere:
        return
    if scheme != "https":
        raise InvalidArgument(f"Invalid webhook URL scheme: '{scheme}'. Allowed schemes are: https. {_HOW}")
    try:
        found = {str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError) as error:
        raise InvalidArgument(f"Webhook URL: the host '{host}' cannot be found ({error}).") from None
    private = sorted(address for address in found if not is_public(address))
    if private:
        raise NotPublic(f"Webhook URL must lead to a public address; '{host}' leads to {private[0]}. {_HOW}")


class _Plain(http.client.HTTPConnection):
    anywhere = False

    def connect(self) -> None:
        super().connect()
        peer = str(self.sock.getpeername()[0])
        if not self.anywhere and not is_public(peer):
            self.close()
            raise NotPublic(f"'{self.host}' now leads to {peer}, which is not a public address. {_HOW}")


class _Tls(http.client.HTTPSConnection, _Plain):
    """``HTTPSConnection`` connects through ``_Plain``, so the peer is checked before the handshake."""


def post(url: str, body: bytes, headers: dict[str, str], *, anywhere: bool, timeout: float = TIMEOUT_S) -> Answer:
    """Send one request. Blocks.

    Args:
        timeout: seconds that connecting and each wait for bytes may take.

    Raises:
        OSError: not connected, or no answer in time.
        NotPublic: the address is private now.
    """
    scheme, host, port = check_url(url)
    parts = urlsplit(url)
    connection: _Plain
    if scheme == "https":
        connection = _Tls(host, port, timeout=timeout, context=ssl.create_default_context())
    else:
        connection = _Plain(host, port, timeout=timeout)
    connection.anywhere = anywhere
    try:
        connection.request("POST", (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), body, headers)
        response = connection.getresponse()
        text = response.read1(_SHOWN).decode("utf-8", "replace") if response.length != 0 else ""
        return Answer(response.status, text, _seconds(response.headers.get("Retry-After")))
    except http.client.HTTPException as error:
        raise OSError(f"no HTTP answer: {error!r}") from error
    finally:
        connection.close()


def _seconds(value: str | None) -> float | None:
    return float(value) if value is not None and value.isdecimal() and len(value) < 8 else None
