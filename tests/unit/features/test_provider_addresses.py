"""Which addresses the gateway calls, and that it is the checked one."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.webhook_receiver import Receiver
from twinlens.features import provider_addresses

_LIMITS, _TIMEOUT = httpx.Limits(), httpx.Timeout(10.0)


def _post(url: str, *, anywhere: bool) -> int:
    async def ask() -> int:
        async with provider_addresses.client(_TIMEOUT, _LIMITS, anywhere=anywhere) as client:
            return (await client.post(url, json={"entity": "a", "action": "b"})).status_code

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("url", "anywhere"),
    [
        ("http://169.254.169.254/latest", True), ("http://0.0.0.0:1/", True), ("http://[fe80::1]/", True),
        ("http://127.0.0.1:1/", False), ("http://10.0.0.1/", False), ("http://localhost:1/", False),
    ],
)  # fmt: skip
def test_refused_addresses(url: str, anywhere: bool) -> None:
    with pytest.raises(httpx.ConnectError, match="the gateway does not call"):
        _post(url, anywhere=anywhere)


def test_a_name_is_looked_up_once_and_that_address_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name leads to the receiver first, and to a cloud's credentials when it is looked up again."""
    asked: list[Any] = []
    real: Callable[..., Any] = socket.getaddrinfo

    def rebinding(host: Any, *args: Any, **named: Any) -> Any:
        if host != "provider.test":
            return real(host, *args, **named)
        asked.append(host)
        return real("127.0.0.1" if len(asked) == 1 else "169.254.169.254", *args, **named)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    with Receiver() as receiver:
        url = receiver.url.replace("127.0.0.1", "provider.test").replace("localhost", "provider.test")
        assert _post(url, anywhere=True) == 200
        assert len(receiver.requests) == len(asked) == 1
        with pytest.raises(httpx.ConnectError, match=r"169\.254"):
            _post(url, anywhere=True)
