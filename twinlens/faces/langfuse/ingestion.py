"""``POST /ingestion``: batches of events of SDK 2, JS 3 and the many clients outside OpenTelemetry."""

from __future__ import annotations

import msgspec

from twinlens.domain.errors import InvalidArgument, PermissionDenied
from twinlens.domain.score import Score
from twinlens.faces.http import in_thread
from twinlens.faces.langfuse.wire import Call, Reply, Result, RouteTable
from twinlens.features.scores import ScoreDraft
from twinlens.ingest.batch import Batch
from twinlens.ingest.langfuse import Decoded, EventError, adopt, decode

routes = RouteTable()
#: Bodies over this many bytes are decoded off the event loop.
LARGE = 100_000


@routes.on("POST", "/ingestion", scope="score")
async def ingest(call: Call) -> Result:
    """207 with an entry for every event. What is in ``successes`` is durable and readable."""
    body = await call.body()
    decoded = await in_thread(decode, body) if len(body) > LARGE else decode(body)
    if (decoded.spans or decoded.patches) and "ingest" not in call.principal.scopes:
        raise PermissionDenied(
            "Access denied - need to use basic auth with secret key to ingest traces and observations"
        )
    if decoded.orphans:
        await in_thread(adopt, decoded.orphans, lambda span_id: _trace_of(call, span_id))
    if decoded.spans or decoded.patches:
        await in_thread(call.services.prices.enrich, call.project_id, decoded.spans, decoded.patches)
    scores = await accept_scores(call, decoded.scores, decoded)
    batch = Batch(
        project_id=call.project_id, spans=decoded.spans, patches=decoded.patches, scores=scores, bytes=len(body)
    )
    if batch.rows:
        await call.services.ingest.submit(batch)
    errors = [{k: v for k, v in msgspec.structs.asdict(e).items() if v is not None} for e in decoded.errors]
    return Reply({"successes": [{"id": id, "status": 201} for id in decoded.accepted], "errors": errors}, 207)


def _trace_of(call: Call, span_id: str) -> str | None:
    found = call.services.telemetry.span(call.project_id, None, span_id)
    return None if found is None else found.trace_id


async def accept_scores(call: Call, drafts: list[tuple[str, ScoreDraft]], decoded: Decoded) -> list[Score]:
    """Check scores; refused ones move from ``decoded.accepted`` to ``decoded.errors``."""

    def check() -> list[Score]:
        good: list[Score] = []
        for event_id, draft in drafts:
            try:
                good.append(call.services.scores.accept(call.project_id, draft))
            except InvalidArgument as error:
                decoded.accepted.remove(event_id)
                decoded.errors.append(EventError(event_id, 400, "Invalid request data", error.message))
        return good

    return await in_thread(check) if any(draft.config_id for _, draft in drafts) else check()
