"""The command line, as people type it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx

from tests.servers import LiveServer, clean_environment
from tests.servers import run_command as twinlens
from tests.wire.test_access import basic


def test_help_names_every_command() -> None:
    text = twinlens("--help").stdout
    for command in ("serve", "demo", "doctor", "config", "user", "key", "reclaim", "version"):
        assert command in text
    assert "MLFLOW_TRACKING_URI" in twinlens("serve", "--help").stdout


def test_commands_that_need_no_server_load_none_of_it() -> None:
    code = (
        "import sys; sys.argv = ['twinlens', 'version']\n"
        "from twinlens.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'litestar', 'sqlalchemy', 'duckdb', 'uvicorn', 'msgspec'}))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.splitlines() == ["0.1.0", "[]"]


def test_config_show_says_where_values_come_from(tmp_path: Path) -> None:
    file = tmp_path / "twinlens.yaml"
    file.write_text("port: [5001, 3000]\n")
    ran = twinlens("config", "show", "--json", "--config", str(file), "--data", "d", env={"TWINLENS_LOG_LEVEL": "info"})
    shown = json.loads(ran.stdout)
    assert shown["port"] == {"value": "5001, 3000", "origin": str(file)}
    assert shown["log_level"]["origin"] == "TWINLENS_LOG_LEVEL"
    assert shown["data"]["origin"] == "command line"
    assert shown["host"]["origin"] == "default"
    assert "5001, 3000" in twinlens("config", "show", "--config", str(file)).stdout


def test_misspelt_settings_stop_the_server() -> None:
    ran = twinlens("serve", env={"TWINLENS_PROT": "5001"})
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "did you mean 'port'" in ran.stderr
    assert twinlens("serve", "--prot", "5001").returncode != 0


def test_users_and_keys(tmp_path: Path, start_server: Callable[..., LiveServer]) -> None:
    data = str(tmp_path / "data")
    assert twinlens("user", "add", "eve@x.example", "--password", "short", "--data", data).returncode == 1
    added = twinlens("user", "add", "Eve@x.example", "--password", "long enough", "--data", data)
    assert added.returncode == 0, added.stderr
    printed = twinlens("key", "add", "--note", "ci", "--data", data).stdout
    keys = dict(line.split("=") for line in printed.splitlines())
    whole = twinlens("key", "add", "--organization", "default", "--note", "ops", "--data", data).stdout
    owner = dict(line.split("=") for line in whole.splitlines())
    server = start_server(data=tmp_path / "data", args=["--host", "0.0.0.0"])
    with httpx.Client(base_url=server.url) as client:
        assert client.get("/api/public/projects").status_code == 401
        pair = basic(keys["LANGFUSE_PUBLIC_KEY"], keys["LANGFUSE_SECRET_KEY"])
        assert client.get("/api/public/projects", headers=pair).status_code == 200
        assert client.get("/api/public/projects", headers=basic("eve@x.example", "long enough")).status_code == 200
        organization = basic(owner["LANGFUSE_PUBLIC_KEY"], owner["LANGFUSE_SECRET_KEY"])
        shown = client.get("/api/public/projects/default/apiKeys", headers=organization).json()["apiKeys"]
        assert shown[0]["lastUsedAt"] is not None
        own = client.get("/api/twinlens/v1/projects/default/keys", headers=organization).json()["keys"]
        assert [(key["kind"], key["note"], key["last_used_ms"] is not None) for key in own] == [
            ("project", "ci", True), ("organization", "ops", True),
        ]  # fmt: skip
        made = client.post(
            "/api/twinlens/v1/projects/default/keys",
            json={"kind": "organization", "note": "page"},
            headers=organization,
        ).json()
        assert client.post(
            "/api/twinlens/v1/projects/default/keys", json={"kind": "organization"}, headers=pair
        ).status_code == 403  # fmt: skip
        assert (
            client.delete(f"/api/twinlens/v1/projects/default/keys/{made['id']}", headers=organization).status_code
            == 204
        )
    busy = twinlens("key", "list", "--data", data)
    assert busy.returncode == 1
    assert "in use by process" in busy.stderr
    server.stop()
    listed = twinlens("key", "list", "--data", data).stdout
    assert "ci" in listed
    assert keys["LANGFUSE_SECRET_KEY"] not in listed
    assert twinlens("key", "delete", listed.split()[0], "--data", data).returncode == 0
    assert twinlens("key", "list", "--data", data).stdout == ""
    [line] = twinlens("key", "list", "--organization", "default", "--data", data).stdout.splitlines()
    assert "  organization  2" in line and line.endswith("ops")
    assert twinlens("key", "delete", line.split()[0], "--organization", "default", "--data", data).returncode == 0
    people = twinlens("user", "list", "--data", data).stdout
    assert "default  OWNER  eve@x.example" in people
    assert twinlens("user", "remove", "who@x.example", "--yes", "--data", data).returncode == 1
    assert "no longer secured" in twinlens("user", "remove", "eve@x.example", "--yes", "--data", data).stdout
    assert twinlens("user", "list", "--data", data).stdout == ""


def test_doctor_and_reclaim_with_and_without_a_server(start_server: Callable[..., LiveServer]) -> None:
    server = start_server()
    running = twinlens("doctor", "--data", str(server.data))
    assert running.returncode == 0, running.stdout
    assert f"process {server.pid}" in running.stdout
    assert "0 traces" in running.stdout
    assert "dropped 0 payloads" in twinlens("reclaim", "--data", str(server.data)).stdout
    server.stop()
    port = {"TWINLENS_PORT": server.url.rpartition(":")[2]}
    stopped = twinlens("doctor", "--data", str(server.data), env=port)
    assert stopped.returncode == 0, stopped.stdout
    assert "catalog is sound" in stopped.stdout
    assert "dropped 0 payloads" in twinlens("reclaim", "--data", str(server.data)).stdout
    (server.data / "catalog.db").write_bytes(b"not a database" * 1000)
    broken = twinlens("doctor", "--data", str(server.data), env=port)
    assert broken.returncode == 1
    assert "damaged" in broken.stdout


def test_mlflow_spelling(tmp_path: Path) -> None:
    """``mlflow server``'s options start the same server; the data lies beside the named file."""
    command = [
        sys.executable, "-m", "twinlens", "server", "--host", "127.0.0.1", "--port", "0",
        "--backend-store-uri", "sqlite:///mlflow.db", "--default-artifact-root", "mlflow-artifacts:/", "--workers", "4",
    ]  # fmt: skip
    variables = clean_environment() | {"PYTHONPATH": os.getcwd()}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path, env=variables) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        assert httpx.get(f"{url}/version").status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(90) == 0
    assert (tmp_path / "twinlens-data" / "catalog.db").exists()
    odd = twinlens("server", "--backend-store-uri", "mysql://x/y", cwd=tmp_path)
    assert odd.returncode == 2
    assert "mysql" in odd.stderr


def test_demo_sends_a_history(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "twinlens", "demo", "--port", "0", "--data", str(tmp_path / "demo"), "--no-live"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=clean_environment()) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        assert process.stdout.readline() == "The sample history is in.\n"
        base = f"{url}/api/twinlens/v1/projects/default"
        found = httpx.get(f"{base}/overview", timeout=60).json()
        assert found["totals"]["traces"] > 100
        assert found["totals"]["total_cost"] > 0
        assert {use["model"] for use in found["models"]} >= {"gpt-4o", "gpt-4o-mini"}
        assert {use["name"] for use in found["scores"]} == {"helpfulness", "user-feedback"}
        runs = httpx.get(f"{base}/runs", timeout=60).json()["runs"]
        assert len(runs) == 8
        assert {run["status"] for run in runs} == {"FINISHED"}
        artifacts = httpx.get(f"{base}/runs/{runs[0]['run_id']}/artifacts", timeout=60).json()["entries"]
        assert [entry["name"] for entry in artifacts] == ["model-card.md", "params.json"]
        process.send_signal(signal.SIGINT)
        assert process.wait(90) == 0


def test_missing_server_parts_are_named(tmp_path: Path) -> None:
    """The base install has the command; what needs the server says how to get it."""
    (tmp_path / "uvicorn.py").write_text("raise ModuleNotFoundError(\"No module named 'uvicorn'\", name='uvicorn')\n")
    ran = twinlens("serve", env={"PYTHONPATH": f"{tmp_path}{os.pathsep}{os.getcwd()}"}, cwd=tmp_path)
    assert ran.returncode == 1
    assert "pip install 'twinlens[server]'" in ran.stderr


def test_projects(tmp_path: Path) -> None:
    data = str(tmp_path)
    assert twinlens("project", "add", "Blog", "--id", "blog", "--data", data).stdout.strip() == "blog"
    assert "blog  default  Blog" in twinlens("project", "list", "--data", data).stdout
    assert twinlens("project", "remove", "default", "--yes", "--data", data).returncode != 0
    assert twinlens("project", "remove", "blog", "--yes", "--data", data).returncode == 0
    assert "blog" not in twinlens("project", "list", "--data", data).stdout
