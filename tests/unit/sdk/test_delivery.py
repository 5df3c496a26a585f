"""Couriers and backends: back-off, one warning, final refusals, and what is never written to disk."""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from twinlens.sdk.backends import build
from twinlens.sdk.backends.base import Remote
from twinlens.sdk.backends.langfuse import check_ingestion
from twinlens.sdk.backends.tracking import playbook
from twinlens.sdk.delivery import Courier, Refused
from twinlens.sdk.spool import Spool
from twinlens.sdk.wire import Answer, Connection, Unreachable, split_address


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
    path.write_text("a: 1\nlangfuse:\n  public_key: pk\n  secret_key: 'sk'\n  api_key: x y\n  all:\n  - token: t\n")
    found = playbook(str(path))
    assert found is not None
    assert found[0] == "book.yaml"
    assert found[1].decode().splitlines() == [
        "a: 1", "langfuse:", "  public_key: pk", '  secret_key: "***"', '  api_key: "***"', '  all:', '  - token: "***"',
    ]  # fmt: skip
    assert playbook(str(tmp_path / "absent")) is None
    path.write_text(
        '# kept\nlangfuse: {public_key: pk, secret_key: "s\\u0065cret", host: "${HOST}"}  # kept\nmodel: {max_tokens: 9}\n'
        "otlp:\n  headers: {Authorization: Bearer secret}\nbackends:\n- name: mlflow\n  'password': >-\n    secret\n"
        "    secret\n  token: ${TOKEN}\nfound: &a {token: [secret, 7]}\nagain: *a\n"
    )
    found = playbook(str(path))
    assert found is not None
    assert found[1].decode() == (
        '# kept\nlangfuse: {public_key: pk, secret_key: "***", host: "${HOST}"}  # kept\nmodel: {max_tokens: 9}\n'
        'otlp:\n  headers: {Authorization: "***"}\nbackends:\n- name: mlflow\n  \'password\': "***"\n'
        '  token: ${TOKEN}\nfound: &a {token: ["***", "***"]}\nagain: *a\n'
    )
    path.write_text("secret_key: [")
    assert playbook(str(path)) is None


OK, JSON, PROTO = "text/plain", "application/json", "application/x-protobuf"


@pytest.mark.parametrize(
    ("name", "answer", "outcome"),
    [
        ("twinlens", Answer(200, b"", PROTO), None),
        ("twinlens", Answer(200, b"{}", JSON), None),
        ("twinlens", Answer(200, b"\x0a\x02\x08\x00", PROTO), None),
        ("twinlens", Answer(200, b"\x0a\x06\x08\x03\x12\x02no", PROTO), Refused),  # OTLP's partial success: 3 rejected
        ("twinlens", Answer(200, b'{"partialSuccess": {"rejectedSpans": "3", "errorMessage": "no"}}', JSON), Refused),
        ("twinlens", Answer(400, b"{}", JSON), Refused),
        ("twinlens", Answer(200, b"OK", OK), Unreachable),
        ("otlp", Answer(200, b"OK", OK), None),
        ("otlp", Answer(200, b"OK", JSON), Unreachable),
        ("twinlens", Answer(200, bytes(range(256)), PROTO), Unreachable),
        ("twinlens", Answer(200, b"[]", JSON), Unreachable),
        ("twinlens", Answer(200, b" <html>", "text/html"), Unreachable),
        ("otlp", Answer(200, b"<html>", "text/html"), Unreachable),
        ("twinlens", Answer(302, b"", OK), Unreachable),
        ("twinlens", Answer(404, b"{}", JSON), Unreachable),
        ("twinlens", Answer(401, b"{}", JSON), Unreachable),
        ("twinlens", Answer(403, b"{}", JSON), Unreachable),
    ],
)
def test_only_an_acknowledgement_is_one(name: str, answer: Answer, outcome: type[Exception] | None) -> None:
    backend = build(name, {}, {})
    assert isinstance(backend, Remote)
    backend.connection.request = lambda *_: answer  # type: ignore[method-assign]
    deliver = lambda: backend.deliver({"kind": "spans", "path": "/v1/traces", "type": PROTO}, b"")  # noqa: E731
    if outcome is None:
        deliver()
    else:
        with pytest.raises(outcome):
            deliver()


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"OK", b'{"successes": [], "errors": 3}', b'{"successes": 1, "errors": []}', b"[1]"]
)
def test_scores_are_taken_by_an_ingestion_answer_only(body: bytes) -> None:
    with pytest.raises((Unreachable, Refused)):
        check_ingestion(body)


def test_scores_are_taken_when_nothing_was_wrong() -> None:
    check_ingestion(b'{"successes": [{"id": "1", "status": 201}], "errors": []}')


def test_an_answer_that_drips_or_floods_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twinlens.sdk.answer.WHOLE_S", 0.3)
    monkeypatch.setattr("twinlens.sdk.answer.LARGEST", 1 << 16)
    replies = [
        [b"HTTP/1.1 200 OK\r\n"] + [b"X-A: b\r\n"] * 50,
        [b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n"] + [b"."] * 50,
        [b"HTTP/1.1 200 OK\r\n\r\n" + b"." * (1 << 18)],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf"],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"],
    ]
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def talk() -> None:
            for parts in replies:
                peer, _ = listener.accept()
                with contextlib.suppress(OSError), peer:
                    peer.recv(65536)
                    for part in parts:
                        peer.sendall(part)
                        if len(parts) > 1:
                            time.sleep(0.05)  # the drip itself

        threading.Thread(target=talk, daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        for said in ("complete|timed out", "complete|timed out", "larger", "IncompleteRead"):
            with pytest.raises(Unreachable, match=said):
                Connection(url).request("GET", "/")
        last = Connection(url)
        assert last.took is None
        assert last.request("GET", "/").body == b"{}"
        assert (last.took or 0) > 0
        assert last.waited == 0


def test_a_program_that_ends_waits_for_backends_that_answer_only(tmp_path: Path) -> None:
    made = courier(tmp_path, Scripted(), 1)
    link = made.backend.connection
    never = threading.Event()
    link._asked, link.took = time.monotonic() - 5, None  # it has not answered for five seconds
    begun = time.monotonic()
    assert not made.wait(never, 30, ending=True)
    link.took = 60.0  # it answers, after a minute
    assert not made.wait(never, 30, ending=True)
    assert made.spool.given_up_s() < 60
    link._asked, link.took = None, None
    assert not made.wait(never, 30, ending=True)  # another process gave up on it a moment ago
    assert time.monotonic() - begun < 25, "one of them was waited for to the end"
    assert made.round()
    assert made.spool.given_up_s() == float("inf")


@pytest.mark.parametrize(
    ("base", "found"),
    [
        ("http://host", (False, "host", None, "")),
        ("HTTPS://Host:8443/a/b/", (True, "host", 8443, "/a/b")),
        ("localhost:3000", (False, "localhost", 3000, "")),
        ("http://[::1]:5001/x?y=1#z", (False, "::1", 5001, "/x")),
        ("http://host:/", (False, "host", None, "")),
        ("ftp://host", None), ("http://", None), ("http://:80", None), ("http://host:port", None), ("http://host:0", None),
        ("http://host:70000", None), ("http://[::1]80", None), ("http://a b", None), ("", None), ("http://me:secret@host", None),
    ],
)  # fmt: skip
def test_addresses(base: str, found: tuple[bool, str, int | None, str] | None) -> None:
    """What is no address is refused at the start, without showing a password."""
    if found is not None:
        assert split_address(base) == found
        return
    with pytest.raises(ValueError, match="address") as refused:
        split_address(base)
    assert "secret" not in str(refused.value)
