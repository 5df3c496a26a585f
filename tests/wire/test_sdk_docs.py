"""docs/sdk.md, executed: its programs one after another in one process, its block read without a remark."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import yaml

from tests.servers import LiveServer
from tests.wire.langfuse.clients import api
from tests.wire.test_sdk import environment, push
from twinlens.sdk.block import read

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "sdk.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    """Fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_the_pages_programs_do_what_it_says(live_server: LiveServer, tmp_path: Path) -> None:
    book = tmp_path / "playbook.yaml"
    book.write_text(
        f"observability:\n  backends: [twinlens]\n  twinlens: {{url: '{live_server.url}', experiment_name: page}}\n"
    )
    program = "\n".join(blocks("python"))
    assert program.count("twinlens.observe(") == 2
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment(tmp_path / "spool", TWINLENS_URL=live_server.url), cwd=tmp_path,
        capture_output=True, text=True, timeout=90,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (done.stdout, done.stderr) == ("1.0\n", "")
    assert push(book, tmp_path / "spool").returncode == 0
    with live_server.client() as http, api(live_server.url) as langfuse:
        traces = {row["name"]: row for row in langfuse.get("/traces", params={"limit": 20}).json()["data"]}
        assert set(traces) == {"developer", "support", "first", "llm_call"}
        assert traces["support"]["userId"] == "ada"
        assert traces["support"]["metadata"]["abtest.tone"] in ("calm", "bold")
        trace = langfuse.get(f"/traces/{traces['support']['id']}").json()
        assert {s["name"] for s in trace["scores"]} == {"user-feedback"}
        experiment = http.get("/api/2.0/mlflow/experiments/get-by-name", params={"experiment_name": "page"}).json()
        found = http.post(
            "/api/2.0/mlflow/runs/search", json={"experiment_ids": [experiment["experiment"]["experiment_id"]]}
        ).json()["runs"]
        by_name = {run["info"]["run_name"]: run for run in found}
        assert {"developer", "support", "llm_call"} <= set(by_name)
        assert {"key": "tone", "value": traces["support"]["metadata"]["tone"]} in by_name["support"]["data"]["params"]


def test_the_pages_block_is_understood() -> None:
    [block] = blocks("yaml")
    understood = read(yaml.safe_load(block), {"LANGFUSE_PUBLIC_KEY": "a", "LANGFUSE_SECRET_KEY": "b"})
    assert [str(remark) for remark in understood.remarks] == []
    assert [backend.name for backend in understood.backends] == ["mlflow", "langfuse"]
