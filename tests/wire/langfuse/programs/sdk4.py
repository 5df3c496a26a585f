"""The common program, spelled for Python SDK 4 and 5: OTLP; scores through ``/ingestion`` (4) or ``/scores`` arrays (5)."""

import json
from importlib.metadata import version

from langfuse import get_client, propagate_attributes

major = int(version("langfuse").split(".")[0])
langfuse = get_client()
auth = langfuse.auth_check()
with (
    propagate_attributes(
        trace_name="answer",
        user_id="alice",
        session_id=f"session-{major}",
        tags=["blue", "amber"],
        metadata={"team": "search"},
        version="v1",
    ),
    langfuse.start_as_current_observation(
        as_type="span", name="outer", input={"step": 1}, metadata={"k": "v"}
    ) as outer,
):
    with langfuse.start_as_current_observation(
        as_type="span", name="inner", level="WARNING", status_message="slow"
    ) as inner:
        with langfuse.start_as_current_observation(
            as_type="generation",
            name="completion",
            model="gpt-4o",
            model_parameters={"temperature": 0.5},
            input=[{"role": "user", "content": "why"}],
        ) as generation:
            generation.update(output="because", usage_details={"input": 100, "output": 50})
            langfuse.score_current_span(name="quality", value=0.9, comment="fine")
        inner.create_event(name="cache-miss", metadata={"key": "x"})
    outer.update(output={"answer": "because"})
    langfuse.score_current_trace(name="verdict", value="good", data_type="CATEGORICAL")
    langfuse.score_current_trace(name="passed", value=1, data_type="BOOLEAN")
    trace_id = langfuse.get_current_trace_id()
    url = langfuse.get_trace_url()
langfuse.flush()

rows = langfuse.api.observations.get_many(
    trace_id=trace_id, fields="core,basic,io,usage,model,trace_context,metadata"
).data
generation_row = next(row for row in rows if row.type == "GENERATION")
scores = langfuse.api.scores_v3 if major == 4 else langfuse.api.scores
read = {
    "name": rows[0].trace_name,
    "observations": sorted(row.name for row in rows),
    "scores": sorted(score.name for score in scores.get_many_v3(trace_id=trace_id).data)
    if hasattr(scores, "get_many_v3")
    else sorted(score.name for score in scores.get_many(trace_id=trace_id).data),
    "cost": sum(row.total_cost or 0 for row in rows),
    "found": sorted({row.trace_id for row in langfuse.api.observations.get_many(user_id="alice").data}),
    "tokens": generation_row.usage_details["total"],
    "observation": generation_row.model,
}
if major == 4:
    read["v1"] = langfuse.api.trace.get(trace_id).name
    read["sessions"] = [s.id for s in langfuse.api.sessions.list().data]
print(json.dumps({"auth": auth, "trace_id": trace_id, "url": url, "read": read}))
