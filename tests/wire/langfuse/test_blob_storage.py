"""Scheduled exports through Langfuse's own client, into a real S3 protocol server."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.s3 import S3Server
from tests.servers import LiveServer
from tests.wire.langfuse.clients import api, run_json
from tests.wire.langfuse.conftest import event

pytestmark = pytest.mark.peer

PROGRAM = """
import json
from langfuse import get_client
api = get_client().api.blob_storage_integrations
fields = dict(project_id="default", type="S3_COMPATIBLE", bucket_name="twinlens", endpoint={endpoint!r}, region="us-east-1",
    access_key_id="test", prefix="nightly/", export_frequency="hourly", enabled=True, force_path_style=True,
    file_type="JSONL", export_mode="FULL_HISTORY")
made = api.upsert_blob_storage_integration(**fields, secret_access_key="hidden-secret")
again = api.upsert_blob_storage_integration(**fields)
listed = api.get_blob_storage_integrations()
status = api.get_blob_storage_integration_status(id=made.id)
print(json.dumps({{"id": made.id, "same": again.id == made.id, "listed": [each.model_dump(mode="json") for each in listed.data],
    "status": status.sync_status.value}}))
"""


@pytest.fixture(scope="module")
def live_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server that may export into this machine."""
    env = {"TWINLENS_LOG_LEVEL": "info", "TWINLENS_EXPORT_ADDRESSES": "any"}
    with LiveServer(tmp_path_factory.mktemp("data"), env=env) as server:
        yield server


def test_files_reach_the_bucket(live_server: LiveServer, http: httpx.Client) -> None:
    events = [event("trace-create", {"id": "t", "name": "ask", "userId": "ann", "input": {"q": "why"}})]
    events += [
        event("generation-create", {"id": "g", "traceId": "t", "model": "gpt-4o", "usage": {"input": 10, "output": 2}})
    ]
    events += [event("score-create", {"id": "s", "traceId": "t", "name": "quality", "value": 0.5})]
    assert http.post("/ingestion", json={"batch": events}).json()["errors"] == []
    with S3Server() as s3:
        made = run_json("langfuse5", PROGRAM.format(endpoint=s3.url), live_server.url)
        assert made["same"]
        assert made["status"] in ("idle", "up_to_date", "queued", "running")
        [row] = made["listed"]
        assert (row["bucketName"], row["prefix"], row["accessKeyId"]) == ("twinlens", "nightly/", "test")
        assert "hidden-secret" not in json.dumps(made)
        native = live_server.client(headers={"Origin": live_server.url})
        own = "/api/twinlens/v1/projects/default/scheduled-export"
        names = native.post(f"{own}/run").json()["files"]
        assert [name.split("/")[:3] for name in names] == [
            ["nightly", "default", table] for table in ("traces", "observations", "scores")
        ]
        files = [httpx.get(f"{s3.url}/twinlens/{name}").content for name in names]
        rows = [json.loads(gzip.decompress(file)) for file in files]
        assert [each["id"] for each in rows] == ["t", "g", "s"]
        assert (rows[0]["user_id"], rows[0]["input"]) == ("ann", {"q": "why"})
        assert (rows[1]["provided_model_name"], rows[1]["usage_details"]["input"]) == ("gpt-4o", 10)
        assert native.post(f"{own}/run").json()["files"] == names
        assert [httpx.get(f"{s3.url}/twinlens/{name}").content for name in names] == files  # the same bytes
    gone = native.post(f"{own}/run")
    assert (gone.status_code, "object store" in gone.text) == (503, True)
    assert http.delete(f"/integrations/blob-storage/{made['id']}").status_code == 200
    assert http.get(f"/integrations/blob-storage/{made['id']}").status_code == 404
    assert http.get("/integrations/blob-storage").json()["data"] == []


def test_what_is_wrong_is_said(http: httpx.Client) -> None:
    good: dict[str, Any] = {
        "projectId": "default", "type": "S3", "bucketName": "b-1", "region": "us-east-1", "exportFrequency": "daily",
        "enabled": True, "forcePathStyle": False, "fileType": "CSV", "exportMode": "FROM_TODAY",
    }  # fmt: skip
    for change in (
        {"type": "FTP"}, {"bucketName": "../x"}, {"fileType": "XLSX"}, {"exportFrequency": "yearly"}, {"prefix": "x"},
        {"exportMode": "FROM_CUSTOM_DATE"}, {"type": "FOLDER"}, {"endpoint": "ftp://x"}, {"projectId": 5},
    ):  # fmt: skip
        answer = http.put("/integrations/blob-storage", json=good | change)
        assert answer.status_code == 400, change
        assert answer.json()["message"], change
    assert http.put("/integrations/blob-storage", json=good | {"projectId": "nobody"}).status_code in (403, 404)


def test_a_project_key_may_not_set_it_up(start_server: Callable[..., LiveServer]) -> None:
    keys = {"LANGFUSE_INIT_PROJECT_PUBLIC_KEY": "pk-lf-a", "LANGFUSE_INIT_PROJECT_SECRET_KEY": "sk-lf-a"}
    server = start_server(TWINLENS_MODE="secured", LANGFUSE_INIT_PROJECT_ID="a", LANGFUSE_INIT_ORG_ID="o", **keys)
    with api(server.url, ("pk-lf-a", "sk-lf-a")) as http:
        assert http.get("/integrations/blob-storage").status_code == 403
