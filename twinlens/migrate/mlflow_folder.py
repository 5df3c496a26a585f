"""MLflow's file store (``./mlruns``), read without MLflow. Nothing is written.

Layout: that of MLflow 3.17's file store; MLflow 2 has no logged models, and keeps traces in the older form. An experiment is
a folder with ``meta.yaml``, so is a run; parameters, tags and metrics are files named by their keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from twinlens.migrate.errors import MigrationError
from twinlens.migrate.mlflow_artifacts import StoredArtifacts
from twinlens.migrate.mlflow_database import spans_in
from twinlens.migrate.mlflow_reader import IS_PROMPT, WHOLE, Part
from twinlens.migrate.mlflow_wire import pairs_of, time_ns

_PAGE = 100
_STATUS = {1: "RUNNING", 2: "SCHEDULED", 3: "FINISHED", 4: "FAILED", 5: "KILLED"}
_MODEL_STATUS = {1: "PENDING", 2: "READY", 3: "FAILED"}
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TRASH = ".trash"


def is_store(folder: Path) -> bool:
    """Whether a folder looks like a file store of MLflow: an experiment is in it."""
    return any((each / "meta.yaml").is_file() and "experiment_id" in _meta(each) for each in _folders(folder))


class FolderReader:
    """See ``MlflowReader``.

    Raises:
        MigrationError: the folder is no file store.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._files = StoredArtifacts(root.absolute().parent)
        self._traces: dict[str, Path] = {}
        if not is_store(root):
            raise MigrationError(f"{root} is not a folder of MLflow's: no experiment with a meta.yaml is in it")

    # --- experiments and runs --------------------------------------------------------------------------------------------
    @cached_property
    def _experiments(self) -> dict[str, Path]:
        """Folders of experiments by id, deleted ones too."""
        found: dict[str, Path] = {}
        for folder in (*_folders(self._root), *_folders(self._root / _TRASH)):
            if (folder / "meta.yaml").is_file():
                found[str(_meta(folder).get("experiment_id", folder.name))] = folder
        return found

    def experiments(self) -> Iterator[dict[str, Any]]:
        """See ``MlflowReader``."""
        for number, folder in self._experiments.items():
            meta = _meta(folder)
            yield {
                "experiment_id": number, "name": meta["name"], "artifact_location": meta.get("artifact_location") or "",
                "lifecycle_stage": meta.get("lifecycle_stage", "active"), "creation_time": meta.get("creation_time"),
                "last_update_time": meta.get("last_update_time"), "tags": pairs_of(_texts(folder / "tags")),
            }  # fmt: skip

    def runs(self, experiment_id: str, token: str | None) -> Iterator[Part]:
        """See ``MlflowReader``."""
        found: list[tuple[int, str, Path]] = []
        for folder in _folders(self._experiments[experiment_id]):
            if (folder / "meta.yaml").is_file():
                meta = _meta(folder)
                if "run_id" in meta or "run_uuid" in meta:
                    found.append((meta.get("start_time") or 0, folder.name, folder))
        yield from _parts(sorted(found), token, self._run)

    def _run(self, folder: Path) -> dict[str, Any]:
        meta, tags = _meta(folder), _texts(folder / "tags")
        status = meta.get("status", 3)
        inputs: dict[str, Any] = {}
        for link in _folders(folder / "inputs"):
            said = _meta(link)
            if said.get("source_type") == "MODEL":
                inputs.setdefault("model_inputs", []).append({"model_id": said["source_id"]})
                continue
            data = folder.parent / "datasets" / str(said["source_id"])
            if (data / "meta.yaml").is_file():
                item = {"dataset": _meta(data), "tags": pairs_of(said.get("tags") or {})}
                inputs.setdefault("dataset_inputs", []).append(item)
        outputs = [_meta(link) for link in _folders(folder / "outputs")]
        return {
            "info": {
                "run_id": folder.name, "experiment_id": str(meta["experiment_id"]), "status": _STATUS.get(status, str(status)),
                "run_name": meta.get("run_name") or meta.get("name") or tags.get("mlflow.runName", ""),
                "lifecycle_stage": meta.get("lifecycle_stage", "active"), "start_time": meta.get("start_time"),
                "end_time": meta.get("end_time"), "user_id": meta.get("user_id") or "", "artifact_uri": _here(folder, meta),
            },
            "data": {
                "tags": pairs_of(tags), "params": pairs_of(_texts(folder / "params")),
                "metrics": [{"key": key} for key in _keys(folder / "metrics")],
            },
            "inputs": inputs,
            "outputs": {"model_outputs": [{"model_id": o["destination_id"], "step": o.get("step") or 0} for o in outputs]},
        }  # fmt: skip

    def histories(self, run_ids: list[str], key: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        """See ``MlflowReader``. A line is time, value, step, and perhaps name and digest of a dataset."""
        for run_id in run_ids:
            folder = next(place / run_id for place in self._experiments.values() if (place / run_id).is_dir())
            lines = (folder / "metrics" / key).read_text("utf-8").splitlines()
            yield run_id, [_point(key, line) for line in lines if line]

    # --- models and prompts ----------------------------------------------------------------------------------------------
    def models(self, experiment_id: str, token: str | None) -> Iterator[Part]:
        """See ``MlflowReader``."""
        found: list[tuple[int, str, Path]] = []
        for folder in _folders(self._experiments[experiment_id] / "models"):
            meta = _meta(folder)
            if meta.get("lifecycle_stage", "active") == "active":
                found.append((meta.get("creation_timestamp") or 0, folder.name, folder))
        yield from _parts(sorted(found), token, self._model)

    def _model(self, folder: Path) -> dict[str, Any]:
        meta = _meta(folder)
        metrics: list[dict[str, Any]] = []
        for key in _keys(folder / "metrics"):
            for line in (folder / "metrics" / key).read_text("utf-8").splitlines():
                at, value, step, run_id, *data = line.split(" ")
                named = dict(zip(("dataset_name", "dataset_digest"), data, strict=False))
                metrics.append({"key": key, "timestamp": at, "value": value, "step": step, "run_id": run_id, **named})
        return {
            "info": {
                "model_id": folder.name, "name": meta["name"], "model_type": meta.get("model_type"),
                "source_run_id": meta.get("source_run_id"), "artifact_uri": _here(folder, meta),
                "status": _MODEL_STATUS.get(meta.get("status", 2), "READY"), "creation_timestamp_ms": meta.get("creation_timestamp"),
                "last_updated_timestamp_ms": meta.get("last_updated_timestamp"), "tags": pairs_of(_texts(folder / "tags")),
            },
            "data": {"params": pairs_of(_texts(folder / "params")), "metrics": metrics},
        }  # fmt: skip

    def registered(self, token: str | None, *, prompts: bool) -> Iterator[Part]:
        """See ``MlflowReader``; all are one page."""
        found: list[dict[str, Any]] = []
        for folder in _folders(self._root / "models"):
            tags = _texts(folder / "tags")
            if (folder / "meta.yaml").is_file() and (tags.get(IS_PROMPT) == "true") is prompts:
                meta = _meta(folder)
                aliases = [
                    {"alias": alias, "version": version} for alias, version in _texts(folder / "aliases").items()
                ]
                found.append(
                    meta | {"description": meta.get("description") or "", "tags": pairs_of(tags), "aliases": aliases}
                )
        yield found, None

    def versions(self, name: str, *, prompt: bool) -> Iterator[dict[str, Any]]:
        """See ``MlflowReader``."""
        folders = [folder for folder in _folders(self._root / "models" / name) if folder.name.startswith("version-")]
        for folder in sorted(folders, key=lambda folder: int(folder.name.removeprefix("version-"))):
            meta = _meta(folder)
            texts = {key: meta.get(key) or "" for key in ("description", "user_id", "source")}
            yield meta | texts | {"tags": pairs_of(_texts(folder / "tags"))}

    # --- traces ----------------------------------------------------------------------------------------------------------
    def traces(self, experiment_id: str, token: str | None) -> Iterator[Part]:
        """See ``MlflowReader``."""
        found: list[tuple[int, str, Path]] = []
        for folder in _folders(self._experiments[experiment_id] / "traces"):
            if (folder / "trace_info.yaml").is_file():
                self._traces[folder.name] = folder
                found.append((time_ns(_time(_load(folder / "trace_info.yaml"))) or 0, folder.name, folder))
        yield from _parts(sorted(found), token, self._info)

    def _info(self, folder: Path) -> dict[str, Any]:
        said = _load(folder / "trace_info.yaml")
        metadata = _texts(folder / "request_metadata")
        number = said.get("experiment_id") or said["trace_location"]["mlflow_experiment"]["experiment_id"]
        found = {
            "trace_id": said.get("trace_id") or said["request_id"], "request_time": _time(said),
            "state": said.get("state") or said.get("status"), "client_request_id": said.get("client_request_id"),
            "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": str(number)}},
            "request_preview": said.get("request_preview") or metadata.get("mlflow.traceInputs"),
            "response_preview": said.get("response_preview") or metadata.get("mlflow.traceOutputs"),
            "tags": _texts(folder / "tags"), "trace_metadata": metadata,
            "assessments": [_load(file) for file in sorted((folder / "assessments").glob("*.yaml"))],
        }  # fmt: skip
        took = said.get("execution_duration_ms", said.get("execution_time_ms"))
        return found if took is None else found | {"execution_duration": f"{took / 1000:.3f}s"}

    def whole(self, trace_ids: list[str]) -> Iterator[list[dict[str, Any]]]:
        """See ``MlflowReader``."""
        for first in range(0, len(trace_ids), WHOLE):
            yield self._whole(trace_ids[first : first + WHOLE])

    def _whole(self, trace_ids: list[str]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for trace_id in trace_ids:
            folder = self._traces[trace_id]
            info = self._info(folder)
            place = folder / "artifacts"
            uri = str(place.absolute()) if place.is_dir() else info["tags"].get("mlflow.artifactLocation", "")
            found.append({"trace_info": info, "spans": spans_in(self._files.read(uri, "traces.json") if uri else None)})
        return found

    # --- evaluation datasets, files --------------------------------------------------------------------------------------
    def datasets(self) -> Iterator[dict[str, Any]]:
        """See ``MlflowReader``. A file store has none."""
        return iter(())

    def records(self, dataset_id: str) -> Iterator[list[dict[str, Any]]]:
        """See ``MlflowReader``."""
        return iter(())

    def files(self, owner: str, owner_id: str, uri: str) -> list[tuple[str, int]]:
        """See ``MlflowReader``."""
        return self._files.files(uri)

    def open(self, owner: str, owner_id: str, uri: str, path: str) -> Iterator[bytes]:
        """See ``MlflowReader``."""
        return self._files.open(uri, path)


def _folders(place: Path) -> list[Path]:
    return sorted(each for each in place.iterdir() if each.is_dir()) if place.is_dir() else []


def _load(file: Path) -> dict[str, Any]:
    try:
        found: Any = yaml.load(file.read_text("utf-8"), Loader=_LOADER)  # noqa: S506 (a safe loader)
    except (yaml.YAMLError, OSError) as error:
        raise MigrationError(f"{file} cannot be read: {error}") from error
    return found if isinstance(found, dict) else {}


def _meta(folder: Path) -> dict[str, Any]:
    return _load(folder / "meta.yaml")


def _keys(folder: Path) -> list[str]:
    """Names of the files below a folder: keys may have slashes."""
    return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())


def _texts(folder: Path) -> dict[str, str]:
    return {key: (folder / key).read_text("utf-8") for key in _keys(folder)}


def _here(folder: Path, meta: dict[str, Any]) -> str:
    """Where artifacts are: beside the other files, also when the store was moved, else where it says."""
    beside = folder / "artifacts"
    return (
        str(beside.absolute()) if beside.is_dir() else meta.get("artifact_uri") or meta.get("artifact_location") or ""
    )


def _point(key: str, line: str) -> dict[str, Any]:
    at, value, *rest = line.split(" ")
    named = dict(zip(("dataset_name", "dataset_digest"), rest[1:], strict=False))
    return {"key": key, "timestamp": int(at), "value": float(value), "step": int(rest[0]) if rest else 0, **named}


def _time(said: dict[str, Any]) -> Any:
    """When a trace began: text, or milliseconds (MLflow 2)."""
    return said["request_time"] if "request_time" in said else said["timestamp_ms"]


def _parts(found: list[tuple[Any, str, Path]], token: str | None, read: Any) -> Iterator[Part]:
    """Pages of folders; the token is the number of those before."""
    first = int(token or 0)
    while True:
        part = found[first : first + _PAGE]
        first += len(part)
        more = str(first) if first < len(found) else None
        yield [read(folder) for *_, folder in part], more
        if more is None:
            return
