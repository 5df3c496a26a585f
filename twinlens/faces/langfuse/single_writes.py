"""Writes of one object each, from before batches: POST ``/traces``, ``/spans``, ``/generations``, ``/events``; PATCH for two.

The body is that of the batch event (``id`` of a PATCH: ``spanId`` or ``generationId``); the answer is the object's id.
"""

from __future__ import annotations

import msgspec

from twinlens.domain.clock import iso_ms, now_ns
from twinlens.faces.http import in_thread
from twinlens.faces.langfuse.errors import BadRequest, issue
from twinlens.faces.langfuse.wire import Call, Handler, Result, RouteTable
from twinlens.ingest.batch import Batch
from twinlens.ingest.langfuse import decode

routes = RouteTable()

_EVENTS = {
    ("POST", "/traces"): "trace-create", ("POST", "/spans"): "span-create", ("PATCH", "/spans"): "span-update",
    ("POST", "/generations"): "generation-create", ("PATCH", "/generations"): "generation-update",
    ("POST", "/events"): "event-create",
}  # fmt: skip


class Named(msgspec.Struct, rename="camel"):
    """The id under any of its names."""

    id: str | None = None
    span_id: str | None = None
    generation_id: str | None = None


def _writer(type: str) -> Handler:
    async def write(call: Call) -> Result:
        """Write one object as an event of a batch would; the answer is its id."""
        body = await call.body()
        named = msgspec.json.decode(body, type=Named)
        values = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        id = named.id or named.span_id or named.generation_id
        if id is not None:
            values["id"] = msgspec.Raw(msgspec.json.encode(id))
        elif type.endswith("update"):
            raise BadRequest(issue("Required", "id", code="invalid_type"))
        event = {"id": "single", "type": type, "timestamp": iso_ms(now_ns()), "body": values}
        decoded = decode(msgspec.json.encode({"batch": [event]}))
        if decoded.errors:
            raise BadRequest(issue(decoded.errors[0].error or "Invalid request data"))
        await in_thread(call.services.prices.enrich, call.project_id, decoded.spans, decoded.patches)
        await call.services.ingest.submit(
            Batch(project_id=call.project_id, spans=decoded.spans, patches=decoded.patches, bytes=len(body))
        )
        made = decoded.spans[0].span_id if decoded.spans else decoded.patches[0].trace_id
        return {"id": made}

    return write


for (_method, _path), _type in _EVENTS.items():
    routes.on(_method, _path, scope="ingest")(_writer(_type))
