"""Where providers' names lead: looked up once for each connection, checked, and then connected to.

A name that is looked up twice may lead elsewhere the second time (DNS rebinding); here the address that was checked is the one that is
called, while TLS still proves the name. Link-local addresses, where clouds hand out credentials, multicast and unspecified ones are
never called; private networks and this machine are refused where the server's owner says so, as models often run there.

Where a proxy is configured by environment variables it looks names up itself, and knows what this server may reach.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterable
from typing import Any, cast
from urllib.request import getproxies

import httpcore
import httpx

from twinlens.features.webhook_client import is_public


class PinningBackend(httpcore.AsyncNetworkBackend):
    """Opens connections to checked addresses.

    Args:
        anywhere: private networks and this machine may be called.
    """

    def __init__(self, *, anywhere: bool) -> None:
        self._anywhere = anywhere
        self._inner = cast("httpcore.AsyncNetworkBackend", httpcore.AnyIOBackend())

    async def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, local_address: str | None = None,  # noqa: ASYNC109
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:  # fmt: skip
        """A connection to the first address of a name that answers.

        Raises:
            httpcore.ConnectError: the name is unknown, leads where nothing may be called, or nobody answers.
        """
        failed: Exception = httpcore.ConnectError(f"the host {host} has no address")
        for address in await self._addresses(host, port):
            try:
                return await self._inner.connect_tcp(
                    address, port, timeout=timeout, local_address=local_address, socket_options=socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        raise failed

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Never: no provider listens there."""
        raise httpcore.ConnectError("the gateway calls no sockets of this machine")

    async def sleep(self, seconds: float) -> None:
        """Wait between attempts."""
        await self._inner.sleep(seconds)

    async def _addresses(self, host: str, port: int) -> list[str]:
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"the host {host} cannot be found ({error})") from error
        addresses = list(dict.fromkeys(str(place[0]) for *_, place in found))
        for address in addresses:
            if _never(address):
                raise httpcore.ConnectError(
                    f"the gateway does not call {host}: it is at {address}, which is no provider's address"
                )
            if not self._anywhere and not is_public(address):
                raise httpcore.ConnectError(
                    f"the gateway does not call {host}: it is at {address}, which is not public. Start the server with "
                    "TWINLENS_GATEWAY_ADDRESSES=any to allow it."
                )
        return addresses


def _never(address: str) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    ip = getattr(ip, "ipv4_mapped", None) or ip
    return ip.is_link_local or ip.is_multicast or ip.is_unspecified


class PinningTransport(httpx.AsyncHTTPTransport):
    """HTTP over a ``PinningBackend``."""

    def __init__(self, limits: httpx.Limits, *, anywhere: bool) -> None:
        super().__init__(limits=limits)
        self._pool = httpcore.AsyncConnectionPool(  # httpx has no argument for the backend
            ssl_context=httpx.create_ssl_context(), max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections, keepalive_expiry=limits.keepalive_expiry,
            network_backend=PinningBackend(anywhere=anywhere),
        )  # fmt: skip


def client(timeout: httpx.Timeout, limits: httpx.Limits, *, anywhere: bool) -> httpx.AsyncClient:
    """A client for providers; redirects are not followed."""
    proxied = {"http", "https", "all"} & set(getproxies())
    transport = None if proxied else PinningTransport(limits, anywhere=anywhere)
    return httpx.AsyncClient(follow_redirects=False, timeout=timeout, limits=limits, transport=transport)
