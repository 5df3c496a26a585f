"""Issues: problems that several traces show; list, add, change, and say which traces show one."""

from __future__ import annotations

from typing import Annotated, cast

from litestar import get, patch, post
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import UNSET, Struct, UnsetType, structs

from twinlens.domain.issue import Issue, Severity, Status
from twinlens.faces.http import AnyRequest, in_thread, services
from twinlens.faces.native.reply import reading, whole_id, writer
from twinlens.faces.native.rows import ms

_ALL = "/projects/{project_id:str}/issues"
_ONE = _ALL + "/{issue_id:str}"


class IssueRow(Struct, kw_only=True):
    """One issue. The traces that show it are those with a score of its id: filter ``score.ISSUE_ID:1``."""

    issue_id: str
    experiment_id: str
    name: str
    description: str
    status: Status
    severity: Severity | None
    root_causes: list[str]
    categories: list[str]
    source_run_id: str | None
    created_by: str | None
    trace_count: int
    created_ms: float
    updated_ms: float


class IssueList(Struct, kw_only=True):
    """Most severe first, then by traces, then newest first."""

    issues: list[IssueRow]


class NewIssue(Struct, kw_only=True):
    """``POST /issues``."""

    name: str
    description: str = ""
    experiment_id: str = "0"
    severity: Severity | None = None
    root_causes: list[str] = []
    categories: list[str] = []


class IssueChange(Struct, kw_only=True):
    """``PATCH /issues/{issue_id}``: what is given."""

    name: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    status: Status | UnsetType = UNSET
    severity: Severity | UnsetType | None = UNSET
    root_causes: list[str] | UnsetType = UNSET
    categories: list[str] | UnsetType = UNSET


class IssueTraces(Struct, kw_only=True):
    """``POST /issues/{issue_id}/traces``: traces that show it, and what there is to see."""

    trace_ids: list[str]
    comment: str | None = None


def _row(issue: Issue, traces: int | None) -> IssueRow:
    return IssueRow(
        issue_id=issue.issue_id, experiment_id=issue.experiment_id, name=issue.name, description=issue.description,
        status=cast("Status", issue.status), severity=cast("Severity | None", issue.severity),
        root_causes=issue.root_causes, categories=issue.categories, source_run_id=issue.source_run_id, created_by=issue.created_by,
        trace_count=traces or 0, created_ms=ms(issue.created_ns), updated_ms=ms(issue.updated_ns),
    )  # fmt: skip


@get(_ALL, summary="List issues")
async def list_issues(
    request: AnyRequest,
    project_id: FromPath[str],
    experiment_id: Annotated[str | None, QueryParameter(description="Only of this experiment.")] = None,
) -> IssueList:
    """All of them, with the number of traces that show each."""
    allowed = await reading(request, whole_id(project_id))
    search = services(request).issues.search
    found = await in_thread(search, allowed, experiment_id=experiment_id, conditions=(), counted=True)
    return IssueList(issues=[_row(issue, traces) for issue, traces in found])


@post(_ALL, summary="Add an issue")
async def create_issue(request: AnyRequest, project_id: FromPath[str], data: JSONBody[NewIssue]) -> IssueRow:
    """It begins as pending."""
    who = await writer(request, whole_id(project_id))
    known = services(request)
    issue = Issue(issue_id="", created_by=who.user_name, **structs.asdict(data))

    def create() -> Issue:
        known.experiments.get(who.project_id, data.experiment_id)
        return known.issues.create(who.project_id, issue)

    return _row(await in_thread(create), 0)


@get(_ONE, summary="One issue")
async def get_issue(request: AnyRequest, project_id: FromPath[str], issue_id: FromPath[str]) -> IssueRow:
    """With the number of traces that show it."""
    allowed = await reading(request, whole_id(project_id))
    return _row(*await in_thread(services(request).issues.counted, allowed, whole_id(issue_id)))


@patch(_ONE, summary="Change an issue")
async def edit_issue(
    request: AnyRequest, project_id: FromPath[str], issue_id: FromPath[str], data: JSONBody[IssueChange]
) -> IssueRow:
    """Its status says whether somebody still has to look."""
    who = await writer(request, whole_id(project_id))
    issues, wanted = services(request).issues, whole_id(issue_id)
    changes = {name: value for name, value in structs.asdict(data).items() if value is not UNSET}

    def change() -> IssueRow:
        issues.update(who.project_id, wanted, **changes)
        return _row(*issues.counted(who.project_id, wanted))

    return await in_thread(change)


@post(_ONE + "/traces", summary="Say that traces show an issue", status_code=200)
async def link_traces(
    request: AnyRequest, project_id: FromPath[str], issue_id: FromPath[str], data: JSONBody[IssueTraces]
) -> IssueRow:
    """A trace that is linked already stays as it is."""
    who = await writer(request, whole_id(project_id))
    issues, wanted = services(request).issues, whole_id(issue_id)

    def link() -> IssueRow:
        issues.link(who.project_id, wanted, data.trace_ids, by=who.user_name, comment=data.comment or None)
        return _row(*issues.counted(who.project_id, wanted))

    return await in_thread(link)


HANDLERS = [list_issues, create_issue, get_issue, edit_issue, link_traces]
