"""MLflow servers (3.x) and Twinlens' MLflow face: traces into a named experiment, and one run per agent run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from twinlens.sdk.backends.base import JSON, PROTOBUF, Draft, Remote, basic, inside
from twinlens.sdk.backends.langfuse import check_ingestion
from twinlens.sdk.delivery import Refused
from twinlens.sdk.wire import Unreachable

if TYPE_CHECKING:
    from twinlens.sdk.batch import Batch

SWITCHES = ("log_params", "log_metrics", "log_artifacts")
_API = "/api/2.0/mlflow"
#: MLflow's span types by Langfuse's observation types.
_TYPES = {
    "generation": "CHAT_MODEL", "agent": "AGENT", "tool": "TOOL", "retriever": "RETRIEVER", "chain": "CHAIN",
    "embedding": "EMBEDDING", "evaluator": "EVALUATOR", "guardrail": "GUARDRAIL",
}  # fmt: skip


class Mlflow(Remote):
    """The guide's ``mlflow:`` options. The experiment is found or created by name, on the courier's thread."""

    name = "mlflow"

    def __init__(self, options: Mapping[str, Any], environ: Mapping[str, str], source: str = "") -> None:
        url = str(options.get("tracking_uri") or environ.get("MLFLOW_TRACKING_URI") or "http://localhost:5000")
        if not url.lower().startswith(("http://", "https://")):
            raise ValueError(f"tracking_uri must be an http(s) address, found {url!r}; local stores need a server")
        user = options.get("username") or environ.get("MLFLOW_TRACKING_USERNAME") or ""
        password = options.get("password") or environ.get("MLFLOW_TRACKING_PASSWORD") or ""
        token = options.get("token") or environ.get("MLFLOW_TRACKING_TOKEN")
        headers = basic(user, password) if user else {"Authorization": f"Bearer {token}"} if token else {}
        super().__init__(url, user, headers)
        self._setup(options, source, options.get("experiment_name") or environ.get("MLFLOW_EXPERIMENT_NAME"))

    def _setup(self, options: Mapping[str, Any], source: str, experiment: str | None) -> None:
        self.experiment = experiment or None
        self._wanted = [switch for switch in SWITCHES if options.get(switch, True)]
        self._source = source
        tags = {**(options.get("metadata") or {}), **(options["tags"] if isinstance(options.get("tags"), dict) else {})}
        self._tags = {str(k): str(v) for k, v in tags.items()}
        self._experiments: dict[str, str] = {}
        self._twinlens: bool | None = None

    # --- export thread ---------------------------------------------------------------------------------------------
    def parcels(self, batch: Batch) -> Iterator[Draft]:
        base = {"type": JSON, "experiment": self.experiment}
        if batch.request.resource_spans:
            yield {"kind": "spans", "path": "/v1/traces", **base, "type": PROTOBUF}, self._translated(batch.request)
        if self._wanted:
            for run in batch.runs:
                head = {"kind": "run", **base, "log": self._wanted, "tags": self._tags, "source": self._source}
                yield head, json.dumps(run.plain(), default=str).encode()
            if batch.late_notes:
                head = {"kind": "notes", **base, "log": self._wanted}
                from dataclasses import asdict

                yield head, json.dumps([asdict(note) for note in batch.late_notes], default=str).encode()
        if batch.scores:
            late = [s.score_id for s in batch.late_scores] if "log_metrics" in self._wanted else []
            yield {"kind": "scores", **base, "late": late}, json.dumps([s.plain() for s in batch.scores]).encode()

    def _translated(self, request: Any) -> bytes:
        """The request with MLflow's own attributes beside the others."""
        from twinlens.sdk.encode import attributes_of, set_value, spans_of

        copy = type(request)()
        copy.CopyFrom(request)
        for span in spans_of(copy):
            found = attributes_of(span)
            if any(key.startswith("mlflow.span") for key in found):
                continue
            for key, value in _attributes(found):
                set_value(span, key, value)
            if not span.parent_span_id:
                for key, value in self._tags.items():
                    set_value(span, f"mlflow.traceTag.{key}", value)
        return copy.SerializeToString()

    # --- courier's thread ------------------------------------------------------------------------------------------
    def deliver(self, head: dict[str, Any], body: bytes) -> None:
        from twinlens.sdk.backends.tracking import Tracker

        experiment_id = self._experiment_id(head.get("experiment"))
        if head["kind"] == "spans":
            self.post("/v1/traces", body, {"Content-Type": PROTOBUF, "x-mlflow-experiment-id": experiment_id})
        elif head["kind"] == "run":
            Tracker(self, self.is_twinlens()).run(head, json.loads(body), experiment_id)
        elif head["kind"] == "notes":
            Tracker(self, self.is_twinlens()).late_notes(head["log"], json.loads(body), experiment_id)
        else:
            self._scores(head, json.loads(body), experiment_id)

    def _scores(self, head: dict[str, Any], scores: list[dict[str, Any]], experiment_id: str) -> None:
        from twinlens.sdk.backends.tracking import Tracker, assessment
        from twinlens.sdk.score import Score

        rows = [Score(**row) for row in scores]
        if self.is_twinlens():  # takes our ids, so what also arrives through another backend is stored once
            events = json.dumps({"batch": [row.langfuse_event() for row in rows]}).encode()
            check_ingestion(self.post("/api/public/ingestion", events, {"Content-Type": JSON}).body)
        else:
            known: dict[str, set[str]] = {}
            for row in rows:
                if row.trace_id not in known:
                    known[row.trace_id] = self._assessed(row.trace_id)
                if row.score_id in known[row.trace_id]:
                    continue  # an earlier attempt came this far
                path = f"/api/3.0/mlflow/traces/tr-{row.trace_id}/assessments"
                status, answer = self.json("POST", path, {"assessment": assessment(row)})
                if status >= 400:
                    raise Refused(f"score {row.name}: {status} {str(answer)[:200]}")
        for row in rows:
            if row.score_id in head.get("late", ()):
                Tracker(self, self.is_twinlens()).late_metric(row, experiment_id)

    def _assessed(self, trace_id: str) -> set[str]:
        """Ids of our scores that the trace already has."""
        from twinlens.sdk.backends.tracking import SCORE_KEY

        status, answer = self.json("GET", f"/api/3.0/mlflow/traces/tr-{trace_id}")
        if status != 200 or not isinstance(answer, dict):
            return set()
        found = (answer.get("trace") or {}).get("trace_info", {}).get("assessments") or []
        return {(a.get("metadata") or {}).get(SCORE_KEY, "") for a in found}

    def _experiment_id(self, name: str | None) -> str:
        """The experiment's id, made when absent; ``0`` without a name.

        Raises:
            Unreachable, Refused.
        """
        if not name:
            return "0"
        if name not in self._experiments:
            self._experiments[name] = self.find_experiment(name) or self._create(name)
        return self._experiments[name]

    def find_experiment(self, name: str) -> str | None:
        """The id of the experiment with that name; None when there is none.

        Raises:
            Unreachable, Refused.
        """
        from urllib.parse import quote

        status, answer = self.json("GET", f"{_API}/experiments/get-by-name?experiment_name={quote(name, safe='')}")
        if status == 200:
            if inside(answer, "experiment").get("lifecycle_stage") == "deleted":
                raise Refused(f"experiment {name!r} is deleted; restore it or choose another name")
            return str(inside(answer, "experiment", "experiment_id"))
        if status == 404 and isinstance(answer, dict) and answer.get("error_code") == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise Unreachable(f"{self.url} answered {status} when asked for experiment {name!r}: {str(answer)[:200]}")

    def _create(self, name: str) -> str:
        status, answer = self.json("POST", f"{_API}/experiments/create", {"name": name})
        if status == 200:
            return str(inside(answer, "experiment_id"))
        found = self.find_experiment(name)  # another process was faster
        if found is None:
            raise Refused(f"experiment {name!r} cannot be created: {status} {str(answer)[:200]}")
        return found

    def is_twinlens(self) -> bool:
        """Whether the server is a Twinlens, which takes scores with ids of ours.

        Raises:
            Unreachable
        """
        if self._twinlens is None:
            answer = self.connection.request("GET", "/api/twinlens/v1/session", None, self.headers)
            self._twinlens = answer.ok and b'"signed_in"' in answer.body
        return self._twinlens


def _attributes(found: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """MLflow's attributes for what a span says in the Langfuse dialect."""
    from twinlens.sdk.encode import loads

    kind = found.get("langfuse.observation.type")
    if kind in _TYPES:
        yield "mlflow.spanType", _TYPES[kind]
    for ours, theirs in (("input", "mlflow.spanInputs"), ("output", "mlflow.spanOutputs")):
        value = found.get(f"langfuse.observation.{ours}")
        if value is not None:
            yield theirs, loads(value)
    model = found.get("langfuse.observation.model.name")
    if model:
        yield "mlflow.llm.model", model
    usage = loads(found.get("langfuse.observation.usage_details"))
    if isinstance(usage, dict) and usage:
        into, out = usage.get("input", 0), usage.get("output", 0)
        total = usage.get("total", into + out)
        yield "mlflow.chat.tokenUsage", {"input_tokens": into, "output_tokens": out, "total_tokens": total}
    cost = loads(found.get("langfuse.observation.cost_details"))
    if isinstance(cost, dict) and cost:
        into, out = float(cost.get("input", 0)), float(cost.get("output", 0))
        total = float(cost.get("total", into + out))
        yield "mlflow.llm.cost", {"input_cost": into, "output_cost": out, "total_cost": total}
    for theirs, ours in (("mlflow.trace.session", "session.id"), ("mlflow.trace.user", "user.id")):
        if found.get(ours):
            yield theirs, found[ours]
