"""A full disk: 503 with ``Retry-After``, nothing acknowledged is lost, and it recovers by itself once there is room."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.servers import LiveServer
from tests.wire.test_kill import NATIVE, SPANS, agent_trace, stored_points, stored_scores

MIB = 1 << 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 96 MiB of its own. Needs the right to mount; elsewhere the test is skipped, and says so."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", folder], capture_output=True, check=False)
    if made.returncode != 0:
        pytest.skip("needs the right to mount a small file system: " + made.stderr.decode().strip())
    yield folder
    subprocess.run(["umount", "-l", folder], check=False)


def _fill(folder: Path) -> Path:
    """Leave no block free; the ballast's path."""
    ballast = folder / "ballast"
    with open(ballast, "wb") as file:
        for size in (MIB, 4096):
            try:
                while True:
                    os.write(file.fileno(), b"\0" * size)
            except OSError:
                continue
    return ballast


def _send(client: httpx.Client, number: int) -> httpx.Response:
    body = agent_trace(f"{number + 1:032x}")
    return client.post("/v1/traces", content=body, headers={"Content-Type": "application/x-protobuf"})


def _refused(answer: httpx.Response) -> None:
    assert answer.status_code == 503, (answer.status_code, answer.text)
    assert int(answer.headers["Retry-After"]) >= 1


def test_full_disk_is_503_and_recovers(small_disk: Path) -> None:
    server = LiveServer(small_disk / "data").start()
    try:
        _full_disk(server, small_disk)
    finally:
        server.stop()


def _full_disk(server: LiveServer, small_disk: Path) -> None:
    with server.client() as client:
        run = client.post("/api/2.0/mlflow/runs/create", json={"experiment_id": "0"}).raise_for_status().json()
        run_id = run["run"]["info"]["run_id"]
        point = {"run_id": run_id, "key": "loss", "value": 1.0, "timestamp": 1, "step": 1}
        for number in range(5):
            _send(client, number).raise_for_status()
        client.post("/api/2.0/mlflow/runs/log-metric", json=point).raise_for_status()

        ballast = _fill(small_disk)
        stored = set(range(5))
        refused = 0
        for number in range(5, 400):  # what fits into blocks that files already own may still be taken
            answer = _send(client, number)
            if answer.status_code == 200:
                stored.add(number)
            else:
                _refused(answer)
                refused += 1
            if refused == 3:
                break
        assert refused == 3
        steps, scores = {1}, set[str]()
        for step in range(2, 400):
            answer = client.post("/api/2.0/mlflow/runs/log-metric", json=point | {"step": step})
            if answer.status_code != 200:
                _refused(answer)
                break
            steps.add(step)
        else:
            pytest.fail("metrics were never refused")
        score = {"name": "quality", "value": 1, "traceId": f"{1:032x}"}
        for index in range(400):
            answer = client.post(
                "/api/public/scores", json=score | {"id": f"s{index}", "comment": os.urandom(500).hex()}
            )
            if answer.status_code != 200:
                _refused(answer)
                break
            scores.add(f"s{index}")
        else:
            pytest.fail("scores were never refused")
        _refused(
            client.put(f"/api/2.0/mlflow-artifacts/artifacts/default/0/{run_id}/artifacts/a.bin", content=b"x" * MIB)
        )
        counted = client.get(f"{NATIVE}/traces/count")
        if counted.status_code == 200:
            assert counted.json()["count"] == len(stored)
        else:  # what waits in the journal cannot be taken over (ADR 0007): refused, never an answer that falls short
            _refused(counted)

        ballast.unlink()
        deadline = time.monotonic() + 20
        while (answer := _send(client, 1_000)).status_code == 503 and time.monotonic() < deadline:
            time.sleep(0.2)
        answer.raise_for_status()
        stored.add(1_000)
        client.post("/api/2.0/mlflow/runs/log-metric", json=point | {"step": 1_000}).raise_for_status()
        client.post("/api/public/scores", json=score | {"id": "last"}).raise_for_status()
        assert client.get(f"{NATIVE}/traces/count").json()["count"] == len(stored)

    server.restart()
    with server.client() as client:
        for number in stored:
            detail = client.get(f"{NATIVE}/traces/{number + 1:032x}").raise_for_status().json()
            assert detail["trace"]["span_count"] == SPANS
        assert client.get(f"{NATIVE}/traces/count").json()["count"] == len(stored)
        assert set(stored_points(client, run_id)) == steps | {1_000}
        assert set(stored_scores(client, f"{1:032x}")) == scores | {"last"}
