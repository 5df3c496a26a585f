"""Which grants speak about a thing: a run is also its experiment's, a model's name may be a prompt's."""

from __future__ import annotations

from typing import Literal, Protocol

from twinlens.domain.ids import possible_trace_ids
from twinlens.domain.logged_model import LoggedModel
from twinlens.domain.run import Run
from twinlens.store.telemetry.interface import TelemetryStore

#: One thing as grants may name it: ``[("experiment", "3"), ("run", "*")]``.
Target = list[tuple[str, str]]
Kind = Literal["experiment", "run", "logged_model", "trace", "model", "mcp_server", "mcp_server_version", "skill"]


class _Runs(Protocol):
    def get(self, project_id: str, run_id: str) -> Run: ...


class _LoggedModels(Protocol):
    def get(self, project_id: str, model_id: str) -> LoggedModel: ...


class Resources:
    """Looks up what a thing belongs to. All methods block."""

    def __init__(self, runs: _Runs, logged_models: _LoggedModels, telemetry: TelemetryStore) -> None:
        self._runs = runs
        self._logged = logged_models
        self._telemetry = telemetry

    def target(self, project_id: str, kind: Kind, id: str) -> Target:
        """One thing as grants may name it. ``model`` is the name of a registered model or prompt, which share their names;
        of an MCP server's version the server's.

        Raises:
            NotFound: a run or logged model that is not there.
        """
        match kind:
            case "experiment":
                return [("experiment", id)]
            case "run":
                return [("experiment", self._runs.get(project_id, id).experiment_id), ("run", "*")]
            case "logged_model":
                return [("experiment", self._logged.get(project_id, id).experiment_id), ("logged_model", "*")]
            case "model":
                return [("registered_model", id), ("prompt", id)]
            case "mcp_server" | "skill":
                return [(kind, id)]
            case "mcp_server_version":
                return [("mcp_server", id), ("mcp_server_version", "*")]
            case "trace":
                found = (self._telemetry.trace(project_id, each, with_io=False) for each in possible_trace_ids(id))
                trace = next((each for each in found if each is not None), None)
                return [("experiment", trace.experiment_id if trace else ""), ("trace", "*")]
