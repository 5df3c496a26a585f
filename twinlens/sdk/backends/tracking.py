"""An agent run as a tracked run over MLflow's REST API (3.x). Every step may be repeated: the run is found by its trace."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from twinlens.sdk.backends.base import inside
from twinlens.sdk.delivery import Refused
from twinlens.sdk.note import Note
from twinlens.sdk.runs import metric_name, param_value, point

if TYPE_CHECKING:
    from twinlens.sdk.backends.base import Remote
    from twinlens.sdk.score import Score

#: Run tag that holds the trace id, so that a repeated delivery finds its run.
TRACE_TAG = "twinlens.trace_id"
#: Assessment metadata that holds a score's id, for the same reason.
SCORE_KEY = "twinlens.score_id"
_API = "/api/2.0/mlflow"


class Tracker:
    """Makes runs. Lives on the courier's thread for one parcel.

    Args:
        server: where to.
        is_twinlens: the server prices traces itself at once.
    """

    def __init__(self, server: Remote, is_twinlens: bool) -> None:
        self._server = server
        self._is_twinlens = is_twinlens

    def run(self, head: dict[str, Any], record: dict[str, Any], experiment_id: str) -> None:
        """Create or complete the run of one trace.

        Args:
            head: the parcel's head (``log``: what to record, ``tags``, ``source``: the playbook).
            record: ``RunRecord.plain``.
            experiment_id: where it belongs.

        Raises:
            Unreachable, Refused.
        """
        trace_id = record["trace_id"]
        info = self._find(trace_id, experiment_id) or self._create(head, record, experiment_id)
        run_id = inside(info, "run_id")
        values: dict[str, Any] = {"run_id": run_id}
        if "log_params" in head["log"]:
            values["params"] = [{"key": k, "value": v} for k, v in record["params"].items()]
        if "log_metrics" in head["log"]:
            metrics = record["metrics"] | self._priced(record)
            values["metrics"] = [
                {"key": k, "value": v, "timestamp": record["end_ms"], "step": 0} for k, v in metrics.items()
            ] + record.get("points", [])
        self._ask("runs/log-batch", values)
        if "log_artifacts" in head["log"]:
            self._upload(info, "trace.json", json.dumps(record["trace"], ensure_ascii=False, default=str).encode())
            for name, content in record.get("files", []):
                self._upload(info, name, base64.b64decode(content))
            book = playbook(head.get("source"))
            if book is not None:
                self._upload(info, *book)
        self._ask("traces/link-to-run", {"trace_ids": [f"tr-{trace_id}"], "run_id": run_id})
        status = "FAILED" if record["failed"] else "FINISHED"
        self._ask("runs/update", {"run_id": run_id, "status": status, "end_time": record["end_ms"]})

    def late_metric(self, score: Score, experiment_id: str) -> None:
        """Add a score that came after its run ended. Without such a run: nothing."""
        info = self._find(score.trace_id, experiment_id)
        if info is not None and score.number is not None:
            stamp = score.timestamp_ns // 1_000_000
            value = {"key": metric_name(score.name), "value": score.number, "timestamp": stamp, "step": 0}
            self._ask("runs/log-metric", {"run_id": info["run_id"], **value})

    def late_notes(self, wanted: list[str], rows: list[dict[str, Any]], experiment_id: str) -> None:
        """Add what a program logged after its run had ended. Without such a run: nothing.

        Args:
            wanted: what to record: ``log_params`` and so on.
            rows: ``Note``s as JSON values.
            experiment_id: where the runs are.

        Raises:
            Unreachable, Refused.
        """
        notes = [Note(**row) for row in rows if f"log_{row['kind']}s" in wanted]
        for trace_id in dict.fromkeys(note.trace_id for note in notes):
            info = self._find(trace_id, experiment_id)
            mine = [note for note in notes if note.trace_id == trace_id]
            if info is None:
                continue
            params = [{"key": metric_name(n.key), "value": param_value(n.value)} for n in mine if n.kind == "param"]
            metrics = [point(n) for n in mine if n.kind == "metric"]
            if params or metrics:
                self._ask("runs/log-batch", {"run_id": info["run_id"], "params": params, "metrics": metrics})
            for note in mine:
                if note.kind == "artifact":
                    self._upload(info, note.key, base64.b64decode(note.value))

    def _ask(self, path: str, value: dict[str, Any]) -> Any:
        status, answer = self._server.json("POST", f"{_API}/{path}", value)
        if status >= 400:
            raise Refused(f"{path} answered {status}: {str(answer)[:300]}")
        return answer

    def _find(self, trace_id: str, experiment_id: str) -> dict[str, Any] | None:
        query = {"experiment_ids": [experiment_id], "filter": f"tags.`{TRACE_TAG}` = '{trace_id}'", "max_results": 1}
        found = (self._ask("runs/search", query) or {}).get("runs") or []
        return found[0]["info"] if found else None

    def _create(self, head: dict[str, Any], record: dict[str, Any], experiment_id: str) -> dict[str, Any]:
        tags = {**head.get("tags", {}), TRACE_TAG: record["trace_id"]}
        wanted = {
            "experiment_id": experiment_id, "run_name": record["name"], "start_time": record["start_ms"],
            "tags": [{"key": k, "value": v} for k, v in tags.items()],
        }  # fmt: skip
        return inside(self._ask("runs/create", wanted), "run", "info")

    def _priced(self, record: dict[str, Any]) -> dict[str, float]:
        """Cost and tokens as the server counted them, where the program did not say."""
        known = record["metrics"]
        if "cost" in known and known.get("total_tokens"):
            return {}
        status, answer = self._server.json("GET", f"/api/3.0/mlflow/traces/tr-{record['trace_id']}")
        if status != 200 or not isinstance(answer, dict):
            return {}
        said = (answer.get("trace") or {}).get("trace_info", {}).get("trace_metadata") or {}
        found: dict[str, float] = {}
        cost = _object(said.get("mlflow.trace.cost")).get("total_cost")
        if "cost" not in known and cost is not None:
            found["cost"] = float(cost)
        usage = _object(said.get("mlflow.trace.tokenUsage"))
        if not known.get("total_tokens"):
            names = ("input_tokens", "output_tokens", "total_tokens")
            found |= {name: float(usage[name]) for name in names if usage.get(name) is not None}
        return found

    def _upload(self, info: dict[str, Any], name: str, content: bytes) -> None:
        root = str(info.get("artifact_uri") or "")
        if root.startswith("mlflow-artifacts:"):
            folder = root.removeprefix("mlflow-artifacts:").lstrip("/")
            path = f"/api/2.0/mlflow-artifacts/artifacts/{quote(f'{folder}/{name}')}"
            answer = self._server.call("PUT", path, content, {"Content-Type": "application/octet-stream"})
        else:  # the server writes to its own store
            path = f"/ajax-api/2.0/mlflow/upload-artifact?run_uuid={info['run_id']}&path={quote(name, safe='')}"
            answer = self._server.call("POST", path, content, {"Content-Type": "application/octet-stream"})
        if not answer.ok:
            raise Refused(f"artifact {name}: {answer.status} {answer.body[:200].decode(errors='replace')}")
        self._server.acknowledged(path, answer)


def playbook(source: str | None) -> tuple[str, bytes] | None:
    """Name and text of the playbook, literal secrets blanked out. None when it cannot be read."""
    if not source:
        return None
    path = Path(source)
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    from twinlens.sdk.redact import yaml_text

    try:
        return path.name, yaml_text(text).encode()
    except ValueError:
        return None


def assessment(score: Score) -> dict[str, Any]:
    """A score as MLflow's assessment. The span id is only MLflow's when the trace came over OTLP, as ours do."""
    found: dict[str, Any] = {
        "assessment_name": score.name, "trace_id": f"tr-{score.trace_id}", "source": {"source_type": score.source, "source_id": score.author or "twinlens"},
        "feedback": {"value": score.value}, "metadata": {SCORE_KEY: score.score_id},
        "create_time": _stamp(score.timestamp_ns), "last_update_time": _stamp(score.timestamp_ns),
    }  # fmt: skip
    if score.comment:
        found["rationale"] = score.comment
    if score.span_id:
        found["span_id"] = score.span_id
    return found


def _stamp(ns: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(ns / 1e9, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _object(text: Any) -> dict[str, Any]:
    try:
        found = json.loads(text) if isinstance(text, str) else text
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
