"""The process: starting, ports, the data folder's lock, stopping."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx

from tests.servers import LiveServer


def serve(*args: str) -> subprocess.CompletedProcess[str]:
    """Run a command that is expected to end by itself."""
    command = [sys.executable, "-m", "twinlens", *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_second_process_on_a_data_folder_is_told_who_holds_it(start_server: Callable[..., LiveServer]) -> None:
    first = start_server()
    second = serve("serve", "--port", "0", "--data", str(first.data))
    assert second.returncode == 1
    assert f"in use by process {first.pid} on " in second.stderr.replace("\n", " ")
    assert "Traceback" not in second.stderr
    same_port = serve("serve", "--port", first.url.rpartition(":")[2], "--data", str(first.data))
    assert "in use by process" in same_port.stderr.replace("\n", " ")
    first.kill()
    assert first.restart().url


def test_every_port_answers(start_server: Callable[..., LiveServer]) -> None:
    server = start_server(args=["--port", "0", "--port", "0"])
    assert len(set(server.urls)) == 2
    for url in server.urls:
        assert httpx.get(url + "/health").status_code == 200


def test_another_address_is_refused_until_somebody_could_sign_in(tmp_path: Path) -> None:
    refused = serve("serve", "--host", "0.0.0.0", "--port", "0", "--data", str(tmp_path))
    assert refused.returncode == 1
    assert "twinlens user add" in refused.stderr


def test_taken_port_is_named(start_server: Callable[..., LiveServer], tmp_path: Path) -> None:
    port = start_server().url.rpartition(":")[2]
    refused = serve("serve", "--port", port, "--data", str(tmp_path / "other"))
    assert refused.returncode == 1
    assert port in refused.stderr


def test_sigterm_ends_cleanly_and_frees_the_folder(start_server: Callable[..., LiveServer]) -> None:
    server = start_server()
    assert server.stop() == 0
    assert server.restart().url
