"""What came from what, in both directions."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from litestar import get
from litestar.params import FromPath, QueryParameter
from msgspec import Struct

from twinlens.faces.http import AnyRequest, in_thread, services
from twinlens.faces.native.reply import Cursor, reading, whole_id

NodeType = Literal[
    "dataset", "run", "logged_model", "model", "prompt", "agent", "deployment", "traces", "trace", "scores"
]  # fmt: skip


class LineageNode(Struct, kw_only=True):
    """One thing, named `type:key`. ``details`` holds what is known of it, by name."""

    id: str
    type: NodeType
    label: str
    details: dict[str, Any]


class LineageEdge(Struct, kw_only=True):
    """``source`` came before ``target``."""

    source: str
    target: str
    type: str  #: read by, input, made, registered as, serves in, called in, judged by


class LineageMore(Struct, kw_only=True):
    """A node has further neighbours: ask for it with this direction and cursor."""

    node: str
    direction: Literal["up", "down"]
    cursor: str


class LineageGraph(Struct, kw_only=True):
    """``GET /projects/{project_id}/lineage``. The root comes first."""

    root: str
    nodes: list[LineageNode]
    edges: list[LineageEdge]
    more: list[LineageMore]


@get("/projects/{project_id:str}/lineage", summary="Lineage of anything")
async def get_lineage(
    request: AnyRequest,
    project_id: FromPath[str],
    node: Annotated[
        str,
        QueryParameter(
            description="`run:ID`, `dataset:NAME@DIGEST`, `model:NAME/VERSION`, `logged_model:ID`, `prompt:NAME/VERSION`, "
            "`agent:NAME/VERSION`, `deployment:ID` or `trace:ID`."
        ),
    ],
    direction: Annotated[
        Literal["both", "up", "down"], QueryParameter(description="What it came from, what came from it, or both.")
    ] = "both",
    depth: Annotated[int, QueryParameter(ge=1, le=8, description="Steps to either side.")] = 6,
    limit: Annotated[int, QueryParameter(ge=1, le=100, description="Neighbours per node, side and kind.")] = 20,
    cursor: Cursor = None,
) -> LineageGraph:
    """Data sets, runs, models, versions, deployments, traces and scores, as a graph."""
    allowed = await reading(request, whole_id(project_id))
    found = await in_thread(
        services(request).lineage.graph, allowed, node,
        directions=("up", "down") if direction == "both" else (direction,), depth=depth, limit=limit, cursor=cursor,
    )  # fmt: skip
    return LineageGraph(
        root=found.root,
        nodes=[LineageNode(id=n.id, type=n.type, label=n.label, details=n.details) for n in found.nodes],
        edges=[LineageEdge(source=e.source, target=e.target, type=e.type) for e in found.edges],
        more=[LineageMore(node=m.node, direction=m.direction, cursor=m.cursor) for m in found.more],
    )


HANDLERS = [get_lineage]
