"""Couriers and backends: back-off, one warning, final refusals, and what is never written to disk."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from twinlens.sdk.backends import build
from twinlens.sdk.backends.base import Remote
from twinlens.sdk.backends.tracking import playbook
from twinlens.sdk.delivery import Courier, Refused
from twinlens.sdk.spool import Spool
from twinlens.sdk.wire import Unreachable


class Scripted(Remote):
    """Does what it is told, parcel by parcel."""

    name = "scripted"

    def __init__(self, *outcomes: Exception | None) -> None:
        super().__init__("http://127.0.0.1:9", headers={"Authorization": "secret"})
        self.outcomes = list(outcomes)
        self.got: list[int] = []

    def deliver(self, head: dict[str, Any], body: bytes) -> None:
        outcome = self.outcomes.pop(0) if self.outcomes else None
        if outcome is not None:
            raise outcome
        self.got.append(head["n"])


def courier(tmp_path: Path, backend: Scripted, count: int) -> Courier:
    """A courier with parcels; rounds are made by hand."""
    made = Courier(backend, Spool(tmp_path, backend.destination))
    for n in range(count):
        made.put({"n": n}, b"")
    return made


def test_a_dead_backend_keeps_parcels_and_order_and_warns_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    backend = Scripted(Unreachable("away"), Unreachable("away"))
    made = courier(tmp_path, backend, 3)
    with caplog.at_level(logging.WARNING, "twinlens"):
        assert not made.round()
        assert made.down
        assert not made.round()
        assert made.round()
    assert backend.got == [0, 1, 2]
    assert not made.down
    assert len(caplog.records) == 1
    assert "secret" not in caplog.text


def test_refused_parcels_do_not_block_the_others(tmp_path: Path) -> None:
    backend = Scripted(Refused("no"), RuntimeError("our own fault"))
    made = courier(tmp_path, backend, 3)
    assert made.round()
    assert (backend.got, made.refused, made.delivered) == ([2], 2, 1)
    assert made.spool.names() == []


def test_without_a_disk_parcels_leave_from_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    backend = Scripted()
    made = Courier(backend, Spool(tmp_path / "file", backend.destination))
    made.put({"n": 7}, b"")
    assert made.round()
    assert backend.got == [7]


def test_a_child_process_starts_afresh(tmp_path: Path) -> None:
    made = courier(tmp_path, Scripted(Unreachable("away")), 1)
    made.round()
    made.reset()
    assert not made.down
    assert made.round()


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("langfuse", {}, "public_key and secret_key"),
        ("mlflow", {"tracking_uri": "sqlite:///mlflow.db"}, "http"),
        ("twinlens", {"url": "http://user:pw@host"}, "must not hold"),
        ("otlp", {"endpoint": "ftp://x"}, "not an http"),
    ],
)
def test_unusable_options_are_named(name: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        build(name, options, {})


def test_credentials_come_from_the_block_before_the_environment() -> None:
    env = {"LANGFUSE_PUBLIC_KEY": "pk-env", "LANGFUSE_SECRET_KEY": "sk-env", "LANGFUSE_BASE_URL": "http://env"}
    by_env = build("langfuse", {}, env)
    by_block = build("langfuse", {"public_key": "pk-block", "secret_key": "sk", "host": "http://block/"}, env)
    assert isinstance(by_env, Remote)
    assert isinstance(by_block, Remote)
    assert json.loads(by_env.destination) == {"backend": "langfuse", "url": "http://env", "account": "pk-env"}
    assert (by_block.url, by_block.account) == ("http://block", "pk-block")
    assert "sk-env" not in by_env.destination


def test_otlp_takes_the_standard_variables() -> None:
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318/v1/traces", "OTEL_EXPORTER_OTLP_HEADERS": "a=b%20c,d=e"}
    backend = build("otlp", {}, env)
    assert isinstance(backend, Remote)
    assert (backend.url, backend.headers) == ("http://c:4318", {"a": "b c", "d": "e"})


def test_playbooks_become_artifacts_without_their_secrets(tmp_path: Path) -> None:
    path = tmp_path / "book.yaml"
    path.write_text("a: 1\nlangfuse:\n  public_key: pk\n  secret_key: 'sk'\n  api_key: x y\n  - token: t\n")
    found = playbook(str(path))
    assert found is not None
    assert found[0] == "book.yaml"
    assert found[1].decode().splitlines() == [
        "a: 1", "langfuse:", "  public_key: pk", '  secret_key: "***"', '  api_key: "***"', '  - token: "***"',
    ]  # fmt: skip
    assert playbook(str(tmp_path / "absent")) is None
