"""``/feedback``: what agents and people say about skills, MCP tools, the command line, the documentation or the API itself."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from twinlens.domain.ids import new_uuid
from twinlens.faces.http import in_thread
from twinlens.faces.langfuse.wire import Call, Reply, Result, RouteTable

routes = RouteTable()


class Feedback(msgspec.Struct, rename="camel", kw_only=True):
    """Body of the call. Lengths are those of SDK 5's reference."""

    target_type: Literal["skill", "mcp-tool", "cli", "docs", "public-api", "other"]
    target: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    feedback: Annotated[str, msgspec.Meta(min_length=1, max_length=3_000)]
    goal: Annotated[str, msgspec.Meta(min_length=1, max_length=1_500)] | None = None
    reference_url: Annotated[str, msgspec.Meta(pattern=r"^https?://\S+$", max_length=2_000)] | None = None


@routes.on("POST", "/feedback", scope="write")
async def submit(call: Call) -> Result:
    """Keep it in the project's audit log, where its administrators read it; it goes nowhere else. The address is not fetched."""
    body = await call.json(Feedback)
    id = new_uuid()
    await in_thread(
        call.services.audit.note, "create", "feedback", id, project_id=call.project_id, target_type=body.target_type,
        target=body.target, feedback=body.feedback, goal=body.goal, reference_url=body.reference_url,
    )  # fmt: skip
    return Reply({"id": id}, 201)
