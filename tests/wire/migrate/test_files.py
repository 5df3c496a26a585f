"""Files of other tools into a running server, twice: everything arrives, nothing is doubled; also a Langfuse export and a
collector's files, and onwards into another project."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tests.servers import LiveServer
from twinlens.migrate import locate
from twinlens.migrate.checkpoint import Checkpoint
from twinlens.migrate.runner import Migration, check

TRACKERS = Path(__file__).resolve().parents[2] / "fixtures" / "trackers"
AT = "2024-05-29 13:46:19.963000"


def carry(source: str, target: str) -> dict[str, int]:
    """Carry over; number of things found by kind."""
    checkpoint = Checkpoint(None, source)
    there, here = locate.parse(source), locate.parse(target)
    migration = Migration(locate.source(there), locate.target(here, derive=True), checkpoint)
    migration.run()
    report = migration.compare()
    checkpoint.close()
    check(report)
    return {total.kind: total.found for total in report.totals}


def counts(server: LiveServer, project: str) -> dict[str, Any]:
    with server.client() as client:
        return client.get(f"/api/twinlens/v1/projects/{project}/counts").raise_for_status().json()


@pytest.mark.parametrize("name", ["wandb", "trackio", "tensorboard", "superoptix", "phoenix"])
def test_a_tool_arrives_whole_and_once(live_server: LiveServer, name: str) -> None:
    target = f"twinlens+{live_server.url}/{name}"
    first = carry(str(TRACKERS / name), target)
    there = counts(live_server, name)
    assert first and carry(str(TRACKERS / name), target) == first and counts(live_server, name) == there
    assert there["runs"] == first.get("run", 0) and there["traces"] == first.get("trace", 0)


def export(folder: Path, form: str) -> None:
    """A blob export as Langfuse writes it: legacy traces and observations, enriched ones, scores."""
    tables: dict[str, list[dict[str, Any]]] = {
        "traces": [{
            "id": "t1", "timestamp": AT, "name": "chat", "project_id": "p", "user_id": "u1", "session_id": "s1",
            "input": '{"q":"hi"}', "output": '"ho"', "tags": ["a", "b"], "metadata": {"k": "v"}, "public": False,
            "bookmarked": True, "release": "r1",
        }],
        "observations": [{
            "id": "o1", "trace_id": "t1", "type": "GENERATION", "name": "answer", "start_time": AT,
            "end_time": "2024-05-29 13:46:21.000000", "provided_model_name": "gpt-4o", "level": "ERROR", "status_message": "bad",
            "input": '[{"role":"user","content":"hi"}]', "output": "plain text", "usage_details": {"input": "10", "output": 5, "total": 15},
            "cost_details": {"total": 0.25}, "model_parameters": '{"temperature": 0}', "prompt_name": "p", "prompt_version": 2,
        }],
        "observations_v2": [{
            "id": "o2", "trace_id": "t2", "type": "SPAN", "name": "root", "start_time": AT, "trace_name": "second",
            "user_id": "u2", "session_id": "s2", "tags": ["c"],
        }],
        "scores": [{
            "id": "sc1", "timestamp": AT, "trace_id": "t1", "observation_id": "o1", "name": "quality", "value": 0.9,
            "data_type": "NUMERIC", "source": "API", "comment": "fine",
        }],
    }  # fmt: skip
    for table, rows in tables.items():
        place = folder / "p" / table / f"2024-05-29.{form}"
        place.parent.mkdir(parents=True, exist_ok=True)
        if form == "csv":
            with place.open("w", newline="") as out:
                writer = csv.DictWriter(out, list(rows[0]))
                writer.writeheader()
                for row in rows:
                    writer.writerow({k: json.dumps(v) if isinstance(v, dict | list) else v for k, v in row.items()})
        elif form == "jsonl.gz":
            place.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
        else:
            place.write_text(json.dumps(rows))


@pytest.mark.parametrize("form", ["json", "jsonl.gz", "csv"])
def test_langfuse_export(live_server: LiveServer, tmp_path: Path, form: str) -> None:
    export(tmp_path, form)
    project = "lf-" + form.replace(".", "-")
    found = carry(str(tmp_path), f"twinlens+{live_server.url}/{project}")
    assert (found["trace"], found["span"], found["score"]) == (2, 2, 1)
    with live_server.client(headers={"x-twinlens-project": project}) as client:
        trace = client.get("/api/public/traces/t1").raise_for_status().json()
        assert trace["timestamp"] == "2024-05-29T13:46:19.963Z" and trace["userId"] == "u1"
        assert sorted(trace["tags"]) == ["a", "b"] and trace["input"] == {"q": "hi"} and trace["release"] == "r1"
        (observation,) = trace["observations"]
        assert (observation["model"], observation["level"], observation["output"]) == ("gpt-4o", "ERROR", "plain text")
        assert observation["usageDetails"]["total"] == 15 and observation["costDetails"]["total"] == 0.25
        assert observation["promptVersion"] == 2 and trace["scores"][0]["value"] == 0.9
        second = client.get("/api/public/traces/t2").raise_for_status().json()
        assert (second["name"], second["sessionId"], second["tags"]) == ("second", "s2", ["c"])


def test_onwards(live_server: LiveServer, tmp_path: Path) -> None:
    """What came from files goes on like anything else."""
    export(tmp_path, "json")
    source = f"twinlens+{live_server.url}/onwards"
    carry(str(tmp_path), source)
    found = carry(source, f"langfuse+http://pk-lf-other:sk-lf-other@{live_server.url.removeprefix('http://')}")
    assert found["trace"] >= 2
