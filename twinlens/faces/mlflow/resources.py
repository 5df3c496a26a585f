"""Which resources a request names, for grants on single ones (see ``features.permissions``)."""

from __future__ import annotations

from functools import partial
from typing import Any

from twinlens.faces.mlflow.params import Params
from twinlens.faces.mlflow.wire import Call, Rpc
from twinlens.features.resources import Target
from twinlens.features.skill_files import skill_of

_MODEL_PATHS = ("/mlflow/registered-models", "/mlflow/model-versions", "/model-versions")
_MCP_SERVERS = "/mlflow/mcp-servers"
_SKILLS = "/mlflow/skills"
#: Searches that leave out what the caller may not read (``Call.visible``).
SEARCHES = frozenset(
    {
        "/mlflow/experiments/search", "/mlflow/runs/search", "/mlflow/logged-models/search",
        "/mlflow/registered-models/search", "/mlflow/model-versions/search", _SKILLS,
    }
)  # fmt: skip
#: Listings that name nothing: what the caller may not read is cut out of the answer.
LISTINGS = {
    _MCP_SERVERS: ("mcp_servers", "name", ("mcp_server",)),
    _MCP_SERVERS + "/endpoints": ("mcp_access_endpoints", "server_name", ("mcp_server",)),
}


def targets(call: Call, path: str, params: Params) -> list[Target]:
    """Every resource that the request names, each with all that a grant may call it. May read the catalog.

    Raises:
        NotFound: a run or model that is named does not exist.
    """
    target = partial(call.services.resources.target, call.project_id)
    if path.startswith(_MODEL_PATHS):
        name = _text(call, params, "name")
        return [target("model", name)] if name else []
    if path.startswith(_MCP_SERVERS):
        name = _text(call, params, "name")
        return [target("mcp_server_version" if "/versions" in path else "mcp_server", name)] if name else []
    if path.startswith(_SKILLS):
        return [target("skill", name) for name in _skills(call, params)]
    skill = skill_of(_text(call, params, "path") or "")
    if skill is not None:
        return [target("skill", skill)]
    found: list[Target] = []
    experiments = [*params.texts("experiment_ids"), *filter(None, [_text(call, params, "experiment_id")])]
    found += [target("experiment", id) for id in dict.fromkeys(experiments)]
    run_ids = [
        *params.texts("run_ids"),
        *filter(None, [_text(call, params, "run_id") or _text(call, params, "run_uuid")]),
    ]
    found += [target("run", run_id) for run_id in dict.fromkeys(run_ids)]
    model_id = _text(call, params, "model_id")
    if model_id:
        found.append(target("logged_model", model_id))
    if call.path.get("path"):  # <project>/<experiment>/<run>/…
        parts = call.path["path"].split("/")
        found.append(_experiment(parts[1]) if len(parts) > 1 else [])
    places = params.objects("locations") if params.has("locations") else []
    started = _inner(params, "trace", "trace_info", "trace_location")
    for place in [*places, *([started] if started else [])]:
        inner = place.object("mlflow_experiment")
        found.append([*_experiment(inner.text("experiment_id") or "" if inner else ""), ("trace", "*")])
    trace_ids = [*params.texts("trace_ids"), *params.texts("request_ids")]
    trace_ids += filter(None, [_text(call, params, "trace_id") or _text(call, params, "request_id")])
    return found + [target("trace", trace_id) for trace_id in dict.fromkeys(trace_ids)]


def readable(call: Call, rpc: Rpc, reply: Any) -> Any:
    """A listing without what the caller may not read."""
    field, id, kinds = LISTINGS[rpc.path]
    permissions, who = call.services.permissions, call.caller
    kept = [row for row in reply.get(field, []) if permissions.may_read(who, [(kind, row[id]) for kind in kinds])]
    return reply | {field: kept}


def _skills(call: Call, params: Params) -> list[str]:
    """What the skills are called that a request names."""
    if "name" in call.path:
        names, organization = [call.path["name"]], call.path.get("organization")
    else:
        several = params.objects("skills") if params.has("skills") else [params]
        names, organization = [each.text("name") for each in several], params.text("organization")
    return [f"@{organization}/{name}" if organization else name for name in names if name]


def _experiment(id: str) -> Target:
    return [("experiment", id)]


def _inner(params: Params | None, *names: str) -> Params | None:
    """An object inside objects."""
    for name in names:
        params = params.object(name) if params is not None else None
    return params


def _text(call: Call, params: Params, name: str) -> str | None:
    value = call.path.get(name) or params.raw(name)
    return value if isinstance(value, str) else None
