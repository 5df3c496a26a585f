"""MLflow's tracking database, read without MLflow: SQLite or PostgreSQL, as MLflow 2 and 3 make it. Nothing is written.

Tables and columns: those that MLflow 3.17 creates; what an older version does not have is taken as empty.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from twinlens.domain.clock import iso_ms
from twinlens.migrate.errors import MigrationError
from twinlens.migrate.files.reading import json_of
from twinlens.migrate.mlflow_artifacts import StoredArtifacts
from twinlens.migrate.mlflow_reader import IS_PROMPT, WHOLE, Part
from twinlens.migrate.mlflow_wire import pairs_of

_PAGE = 200
_MODEL_STATUS = {1: "PENDING", 2: "READY", 3: "FAILED"}
_SPANS = "traces.json"
_MS = 1_000_000


class DatabaseReader:
    """See ``MlflowReader``.

    Args:
        address: ``sqlite:///path`` or ``postgresql://user:password@host/name``; perhaps with ``?artifacts=…`` (see
            ``StoredArtifacts``) and ``workspace=…``.

    Raises:
        MigrationError: not there, or not a tracking database.
    """

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        asked = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        self._workspace = asked.pop("workspace", "default")
        base = Path.cwd()
        root = asked.pop("artifacts", None)
        if parts.scheme.startswith("sqlite"):
            file = Path(address.split("?")[0].split(":///", 1)[1]).absolute()
            if not file.is_file():
                raise MigrationError(f"{file} does not exist")
            base = file.parent
            self._engine = sa.create_engine(f"sqlite:///file:{file}?mode=ro&uri=true")
        else:
            url = sa.make_url(address.split("?")[0]).set(drivername="postgresql+psycopg")
            self._engine = sa.create_engine(
                url.update_query_dict(asked), execution_options={"postgresql_readonly": True}
            )
        self._files = StoredArtifacts(base, root)
        try:
            self._tables = set(sa.inspect(self._engine).get_table_names())
        except SQLAlchemyError as error:
            raise MigrationError(f"the database cannot be read: {getattr(error, 'orig', error)}") from error
        if not {"experiments", "runs", "latest_metrics"} <= self._tables:
            raise MigrationError("the database is not one of MLflow's: it has no table of experiments or runs")

    def _rows(self, table: str, rest: str = "", **values: Any) -> list[dict[str, Any]]:
        """``SELECT * FROM table …``; lists among the values are for ``IN``."""
        if table not in self._tables:
            return []
        text = sa.text(f"SELECT * FROM {table} {rest}")
        text = text.bindparams(*(sa.bindparam(k, expanding=True) for k, v in values.items() if isinstance(v, list)))
        with self._engine.connect() as connection:
            return [dict(row) for row in connection.execute(text, values).mappings()]

    def _here(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Those of the workspace."""
        return [row for row in rows if row.get("workspace", self._workspace) == self._workspace]

    def _pairs(
        self, table: str, owner: str, ids: Sequence[Any], key: str = "key", value: str = "value"
    ) -> dict[Any, dict[str, str]]:
        """Keys and values by owner."""
        found: dict[Any, dict[str, str]] = {}
        for row in self._rows(table, f"WHERE {owner} IN :ids", ids=list(ids)) if ids else []:
            found.setdefault(row[owner], {})[row[key]] = row[value]
        return found

    # --- experiments and runs --------------------------------------------------------------------------------------------
    def experiments(self) -> Iterator[dict[str, Any]]:
        """See ``MlflowReader``."""
        rows = self._here(self._rows("experiments", "ORDER BY experiment_id"))
        tags = self._pairs("experiment_tags", "experiment_id", [row["experiment_id"] for row in rows])
        for row in rows:
            yield row | {
                "experiment_id": str(row["experiment_id"]), "tags": pairs_of(tags.get(row["experiment_id"], {})),
                "artifact_location": row["artifact_location"] or "",
            }  # fmt: skip

    def runs(self, experiment_id: str, token: str | None) -> Iterator[Part]:
        """See ``MlflowReader``."""
        for rows, more in self._keyset(
            "runs", "start_time", "run_uuid", "experiment_id = :e", token, e=int(experiment_id)
        ):
            ids = [row["run_uuid"] for row in rows]
            tags, params = self._pairs("tags", "run_uuid", ids), self._pairs("params", "run_uuid", ids)
            latest: dict[str, list[Any]] = {}
            for metric in self._rows("latest_metrics", "WHERE run_uuid IN :ids", ids=ids) if ids else []:
                latest.setdefault(metric["run_uuid"], []).append({"key": metric["key"]})
            inputs, outputs = self._inputs(ids)
            yield [
                {
                    "info": {
                        "run_id": row["run_uuid"], "experiment_id": experiment_id, "run_name": row["name"] or "",
                        "status": row["status"], "lifecycle_stage": row["lifecycle_stage"], "start_time": row["start_time"],
                        "end_time": row["end_time"], "user_id": row["user_id"] or "", "artifact_uri": row["artifact_uri"] or "",
                    },
                    "data": {
                        "tags": pairs_of(tags.get(row["run_uuid"], {})), "params": pairs_of(params.get(row["run_uuid"], {})),
                        "metrics": latest.get(row["run_uuid"], []),
                    },
                    "inputs": inputs.get(row["run_uuid"], {}), "outputs": outputs.get(row["run_uuid"], {}),
                }
                for row in rows
            ], more  # fmt: skip

    def _keyset(
        self, table: str, time: str, key: str, condition: str, token: str | None, **values: Any
    ) -> Iterator[Part]:
        """Pages by time and key; the token is both of the last row."""
        time_or_0 = f"coalesce({time}, 0)"
        while True:
            rest = condition
            if token:
                at, _, last = token.partition(" ")
                rest += f" AND ({time_or_0} > :at OR ({time_or_0} = :at AND {key} > :last))"
                values |= {"at": int(at), "last": last}
            rows = self._rows(table, f"WHERE {rest} ORDER BY {time_or_0}, {key} LIMIT {_PAGE}", **values)
            token = f"{rows[-1][time] or 0} {rows[-1][key]}" if len(rows) == _PAGE else None
            yield rows, token
            if token is None:
                return

    def _inputs(self, run_ids: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
        """``inputs`` and ``outputs`` of runs: datasets, and logged models."""
        inputs: dict[str, Any] = {}
        outputs: dict[str, Any] = {}
        if not run_ids:
            return inputs, outputs
        links = self._rows("inputs", "WHERE destination_id IN :ids", ids=run_ids)
        tags = self._pairs("input_tags", "input_uuid", [link["input_uuid"] for link in links], "name")
        uuids = list({link["source_id"] for link in links if link["source_type"] == "DATASET"})
        datasets = {
            d["dataset_uuid"]: d
            for d in (self._rows("datasets", "WHERE dataset_uuid IN :ids", ids=uuids) if uuids else [])
        }
        for link in links:
            d = datasets.get(link["source_id"])
            if d is not None:
                dataset = {
                    "name": d["name"], "digest": d["digest"], "source_type": d["dataset_source_type"], "source": d["dataset_source"],
                    "schema": d["dataset_schema"], "profile": d["dataset_profile"],
                }  # fmt: skip
                said = {"dataset": dataset, "tags": pairs_of(tags.get(link["input_uuid"], {}))}
                inputs.setdefault(link["destination_id"], {}).setdefault("dataset_inputs", []).append(said)
        for link in self._rows("inputs", "WHERE source_id IN :ids", ids=run_ids):
            if link["source_type"] == "RUN_INPUT":
                found = inputs.setdefault(link["source_id"], {}).setdefault("model_inputs", [])
                found.append({"model_id": link["destination_id"]})
            elif link["source_type"] == "RUN_OUTPUT":
                found = outputs.setdefault(link["source_id"], {}).setdefault("model_outputs", [])
                found.append({"model_id": link["destination_id"], "step": link.get("step") or 0})
        return inputs, outputs

    def histories(self, run_ids: list[str], key: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        """See ``MlflowReader``."""
        for run_id in run_ids:
            rows = self._rows(
                "metrics", "WHERE run_uuid = :run AND key = :key ORDER BY timestamp, step, value", run=run_id, key=key
            )  # fmt: skip
            yield run_id, [row | {"value": math.nan if row["is_nan"] else row["value"]} for row in rows]

    # --- models and prompts ----------------------------------------------------------------------------------------------
    def models(self, experiment_id: str, token: str | None) -> Iterator[Part]:
        """See ``MlflowReader``. Deleted ones are left out, as the server does."""
        condition = "experiment_id = :e AND lifecycle_stage = 'active'"
        if "logged_models" not in self._tables:
            return iter([([], None)])
        return (
            (self._models(rows), more)
            for rows, more in self._keyset(
                "logged_models", "creation_timestamp_ms", "model_id", condition, token, e=int(experiment_id)
            )
        )

    def _models(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        ids = [row["model_id"] for row in rows]
        params = self._pairs("logged_model_params", "model_id", ids, "param_key", "param_value")
        tags = self._pairs("logged_model_tags", "model_id", ids, "tag_key", "tag_value")
        metrics: dict[str, list[Any]] = {}
        for m in self._rows("logged_model_metrics", "WHERE model_id IN :ids", ids=ids) if ids else []:
            metrics.setdefault(m["model_id"], []).append({
                "key": m["metric_name"], "timestamp": m["metric_timestamp_ms"], "step": m["metric_step"], "value": m["metric_value"],
                "run_id": m["run_id"], **{k: m[k] for k in ("dataset_name", "dataset_digest") if m.get(k)},
            })  # fmt: skip
        return [
            {
                "info": {
                    "model_id": row["model_id"], "name": row["name"], "model_type": row["model_type"], "source_run_id": row["source_run_id"],
                    "artifact_uri": row["artifact_location"], "status": _MODEL_STATUS.get(row["status"], "READY"),
                    "creation_timestamp_ms": row["creation_timestamp_ms"], "tags": pairs_of(tags.get(row["model_id"], {})),
                    "last_updated_timestamp_ms": row["last_updated_timestamp_ms"],
                },
                "data": {"params": pairs_of(params.get(row["model_id"], {})), "metrics": metrics.get(row["model_id"], [])},
            }
            for row in rows
        ]  # fmt: skip

    def registered(self, token: str | None, *, prompts: bool) -> Iterator[Part]:
        """See ``MlflowReader``; all are one page."""
        rows = self._here(self._rows("registered_models", "ORDER BY name"))
        tags = self._pairs("registered_model_tags", "name", [row["name"] for row in rows])
        found: list[dict[str, Any]] = []
        for row in rows:
            own = tags.get(row["name"], {})
            if (own.get(IS_PROMPT) == "true") is prompts:
                aliases = self._here(self._rows("registered_model_aliases", "WHERE name = :name", name=row["name"]))
                found.append({
                    "name": row["name"], "creation_timestamp": row["creation_time"], "description": row["description"] or "",
                    "last_updated_timestamp": row["last_updated_time"], "tags": pairs_of(own), "aliases": aliases,
                })  # fmt: skip
        yield found, None

    def versions(self, name: str, *, prompt: bool) -> Iterator[dict[str, Any]]:
        """See ``MlflowReader``."""
        rows = self._here(self._rows("model_versions", "WHERE name = :name ORDER BY version", name=name))
        tags: dict[int, dict[str, str]] = {}
        for tag in self._here(self._rows("model_version_tags", "WHERE name = :name", name=name)):
            tags.setdefault(tag["version"], {})[tag["key"]] = tag["value"]
        for row in rows:
            if row["current_stage"] != "Deleted_Internal":
                yield row | {
                    "creation_timestamp": row["creation_time"], "last_updated_timestamp": row["last_updated_time"],
                    "description": row["description"] or "", "user_id": row["user_id"] or "", "source": row["source"] or "",
                    "tags": pairs_of(tags.get(row["version"], {})),
                }  # fmt: skip

    # --- traces ----------------------------------------------------------------------------------------------------------
    def traces(self, experiment_id: str, token: str | None) -> Iterator[Part]:
        """See ``MlflowReader``."""
        if "trace_info" not in self._tables:
            yield [], None
            return
        for rows, more in self._keyset(
            "trace_info", "timestamp_ms", "request_id", "experiment_id = :e", token, e=int(experiment_id)
        ):
            yield self._infos(rows), more

    def _infos(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        ids = [row["request_id"] for row in rows]
        tags, metadata = (
            self._pairs("trace_tags", "request_id", ids),
            self._pairs("trace_request_metadata", "request_id", ids),
        )
        assessments: dict[str, list[Any]] = {}
        for a in self._rows("assessments", "WHERE trace_id IN :ids ORDER BY created_timestamp", ids=ids) if ids else []:
            assessments.setdefault(a["trace_id"], []).append(_assessment(a))
        return [
            info_of(row, tags.get(row["request_id"], {}), metadata.get(row["request_id"], {}), assessments.get(row["request_id"], []))
            for row in rows
        ]  # fmt: skip

    def whole(self, trace_ids: list[str]) -> Iterator[list[dict[str, Any]]]:
        """See ``MlflowReader``. Spans are in the database, or in a file among the trace's artifacts (MLflow 2)."""
        for first in range(0, len(trace_ids), WHOLE):
            yield self._whole(trace_ids[first : first + WHOLE])

    def _whole(self, trace_ids: list[str]) -> list[dict[str, Any]]:
        spans: dict[str, list[Any]] = {}
        for row in self._rows("spans", "WHERE trace_id IN :ids ORDER BY start_time_unix_nano", ids=trace_ids):
            spans.setdefault(row["trace_id"], []).append(json_of(row["content"]))
        found: list[dict[str, Any]] = []
        for info in self._infos(
            self._rows("trace_info", "WHERE request_id IN :ids ORDER BY timestamp_ms, request_id", ids=trace_ids)
        ):
            own = spans.get(info["trace_id"])
            if own is None and (place := info["tags"].get("mlflow.artifactLocation")):
                own = spans_in(self._files.read(place, _SPANS))
            found.append({"trace_info": info, "spans": own or []})
        return found

    # --- evaluation datasets, files --------------------------------------------------------------------------------------
    def datasets(self) -> Iterator[dict[str, Any]]:
        """See ``MlflowReader``."""
        rows = self._here(self._rows("evaluation_datasets", "ORDER BY created_time, dataset_id"))
        tags = self._pairs("evaluation_dataset_tags", "dataset_id", [row["dataset_id"] for row in rows])
        for row in rows:
            links = self._rows(
                "entity_associations", "WHERE source_id = :id AND destination_type = 'experiment'", id=row["dataset_id"]
            )  # fmt: skip
            yield row | {
                "tags": tags.get(row["dataset_id"], {}),
                "experiment_ids": [link["destination_id"] for link in links],
            }

    def records(self, dataset_id: str) -> Iterator[list[dict[str, Any]]]:
        """See ``MlflowReader``."""
        pages = self._keyset(
            "evaluation_dataset_records", "created_time", "dataset_record_id", "dataset_id = :d", None, d=dataset_id
        )
        for rows, _ in pages:
            found = [
                row | {k: _plain(row.get(k)) for k in ("inputs", "outputs", "expectations", "tags", "source")}
                for row in rows
            ]
            for row in found:
                if isinstance(row["outputs"], dict) and "mlflow_wrapped" in row["outputs"]:
                    row["outputs"] = row["outputs"]["mlflow_wrapped"]
            yield found

    def files(self, owner: str, owner_id: str, uri: str) -> list[tuple[str, int]]:
        """See ``MlflowReader``."""
        return self._files.files(uri)

    def open(self, owner: str, owner_id: str, uri: str, path: str) -> Iterator[bytes]:
        """See ``MlflowReader``."""
        return self._files.open(uri, path)


def _plain(value: Any) -> Any:
    """A JSON column: SQLite gives its text."""
    return json_of(value) if isinstance(value, str) else value


def info_of(
    row: dict[str, Any], tags: dict[str, str], metadata: dict[str, str], assessments: Iterable[dict[str, Any]]
) -> dict[str, Any]:  # fmt: skip
    """``TraceInfo`` (V3) of a row of ``trace_info``."""
    if row.get("trace_name"):
        tags.setdefault("mlflow.traceName", row["trace_name"])
    if row.get("session_id"):
        metadata.setdefault("mlflow.trace.session", row["session_id"])
    found: dict[str, Any] = {
        "trace_id": row["request_id"], "request_time": iso_ms(row["timestamp_ms"] * _MS), "state": row["status"], "tags": tags,
        "trace_metadata": metadata, "assessments": list(assessments), "client_request_id": row.get("client_request_id"),
        "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": str(row["experiment_id"])}},
    }  # fmt: skip
    if row["execution_time_ms"] is not None:
        found["execution_duration"] = f"{row['execution_time_ms'] / 1000:.3f}s"
    for name, old in (("request_preview", "mlflow.traceInputs"), ("response_preview", "mlflow.traceOutputs")):
        found[name] = row.get(name) or metadata.get(old)
    return found


def _assessment(row: dict[str, Any]) -> dict[str, Any]:
    inner: dict[str, Any] = {"value": _plain(row["value"])}
    if row["error"]:
        inner["error"] = _plain(row["error"])
    return {
        "assessment_id": row["assessment_id"], "assessment_name": row["name"], row["assessment_type"]: inner,
        "source": {"source_type": row["source_type"], "source_id": row["source_id"]}, "rationale": row["rationale"],
        "create_time": row["created_timestamp"], "last_update_time": row["last_updated_timestamp"], "span_id": row["span_id"],
        "overrides": row["overrides"], "valid": bool(row["valid"]), "metadata": _plain(row["assessment_metadata"]),
    }  # fmt: skip


def spans_in(text: bytes | None) -> list[dict[str, Any]]:
    """The spans of a ``traces.json``."""
    return json_of(text)["spans"] if text else []
