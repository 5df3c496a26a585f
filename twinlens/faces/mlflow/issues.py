"""Issues (API 3.0): problems that several traces show."""

from __future__ import annotations

from typing import Any

from twinlens.domain.issue import Issue
from twinlens.faces.mlflow.pages import offset_of, token_behind
from twinlens.faces.mlflow.wire import Call, Reply, RpcTable, present
from twinlens.query.mlflow_filter_issues import issue_conditions

rpcs = RpcTable()

_AT = "/mlflow/issues"


def issue_json(issue: Issue, trace_count: int | None = None) -> dict[str, Any]:
    """An issue on the wire."""
    return present(
        issue_id=issue.issue_id, experiment_id=issue.experiment_id, name=issue.name, description=issue.description,
        status=issue.status, severity=issue.severity, root_causes=issue.root_causes or None,
        source_run_id=issue.source_run_id, created_timestamp=issue.created_ns // 1_000_000,
        last_updated_timestamp=issue.updated_ns // 1_000_000, created_by=issue.created_by,
        categories=issue.categories or None, trace_count=trace_count,
    )  # fmt: skip


@rpcs.rpc("POST", "3.0", _AT)
def create(call: Call) -> Reply:
    """A new issue in an experiment."""
    params = call.params
    experiment_id = params.required("experiment_id")
    call.services.experiments.get(call.project_id, experiment_id)
    issue = Issue(
        issue_id="", experiment_id=experiment_id, name=params.required("name"),
        description=params.text("description") or "", status=params.text("status") or "pending",
        severity=params.text("severity") or None, root_causes=params.texts("root_causes"),
        categories=params.texts("categories"), source_run_id=params.text("source_run_id") or None,
        created_by=call.user or params.text("created_by") or None,
    )  # fmt: skip
    return {"issue": issue_json(call.services.issues.create(call.project_id, issue))}


@rpcs.rpc("GET", "3.0", _AT + "/{issue_id}")
def get(call: Call) -> Reply:
    """One issue."""
    return {"issue": issue_json(call.services.issues.get(call.project_id, call.path["issue_id"]))}


@rpcs.rpc("PATCH", "3.0", _AT + "/{issue_id}")
def update(call: Call) -> Reply:
    """Change what is sent."""
    params = call.params
    changes = {name: params.text(name) for name in ("name", "description", "status", "severity") if params.has(name)}
    return {"issue": issue_json(call.services.issues.update(call.project_id, call.path["issue_id"], **changes))}


@rpcs.rpc("POST", "3.0", _AT + "/search", scope="read")
def search(call: Call) -> Reply:
    """A page of issues, most severe first."""
    params = call.params
    limit, offset = params.max_results(100, 1_000), offset_of(params.text("page_token"))
    found = call.services.issues.search(
        call.project_id, experiment_id=params.text("experiment_id") or None,
        conditions=issue_conditions(params.text("filter_string") or ""),
        counted=params.boolean("include_trace_count") or False,
    )  # fmt: skip
    shown = found[offset : offset + limit]
    return present(
        issues=[issue_json(issue, count) for issue, count in shown] or None,
        next_page_token=token_behind(offset, len(shown), len(found)),
    )
