"""Where webhooks may lead."""

from __future__ import annotations

import pytest

from tests.webhook_receiver import Receiver
from twinlens.domain.errors import InvalidArgument
from twinlens.features.webhook_client import NotPublic, check_target, is_public, post


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True), ("2606:4700::1111", True), ("64:ff9b::808:808", True), ("127.0.0.1", False),
        ("10.1.2.3", False), ("169.254.169.254", False), ("100.64.0.1", False), ("0.0.0.0", False), ("::1", False),
        ("fe80::1%eth0", False), ("::ffff:10.0.0.1", False), ("2002:0a00:0001::1", False), ("64:ff9b::a00:1", False),
        ("224.0.0.1", False),
    ],
)  # fmt: skip
def test_public_addresses(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/x", "https://localhost:8000", "https://[::1]/", "https://0x7f.1/", "https://2130706433/",
        "http://8.8.8.8/", "file:///etc/passwd", "https://", "https://user:word@8.8.8.8/", "https://8.8.8.8/a b",
        "https://8.8.8.8:99999/", "https://[::1", "https://no-such-host.invalid/", "", "https://8.8.8.8/\r\nX: y",
    ],
)  # fmt: skip
def test_refused_addresses(url: str) -> None:
    with pytest.raises(InvalidArgument):
        check_target(url, anywhere=False)


def test_a_name_that_leads_elsewhere_later_is_not_called() -> None:
    with Receiver() as receiver:
        with pytest.raises(NotPublic, match="TWINLENS_WEBHOOK_ADDRESSES=any"):
            post(receiver.url, b"{}", {}, anywhere=False)
        assert receiver.requests == []
        assert post(receiver.url, b'{"entity": "a", "action": "b"}', {}, anywhere=True).body == "thanks"
