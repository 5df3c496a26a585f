"""The common program, spelled for Python SDK 3: OTLP, scores through ``/ingestion``."""

import json

from langfuse import get_client

langfuse = get_client()
auth = langfuse.auth_check()
with langfuse.start_as_current_span(name="outer", input={"step": 1}, metadata={"k": "v"}) as outer:
    langfuse.update_current_trace(
        name="answer",
        user_id="alice",
        session_id="session-3",
        tags=["blue", "amber"],
        metadata={"team": "search", "depth": {"a": 1, "b": 2}},
        input={"question": "why"},
        output={"answer": "because"},
        version="v1",
    )
    with langfuse.start_as_current_span(name="inner", level="WARNING", status_message="slow") as inner:
        with langfuse.start_as_current_generation(
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

fetched = langfuse.api.trace.get(trace_id)
found = langfuse.api.trace.list(user_id="alice", tags=["amber", "blue"]).data
generations = langfuse.api.observations.get_many(trace_id=trace_id, type="GENERATION").data
print(
    json.dumps(
        {
            "auth": auth,
            "trace_id": trace_id,
            "url": url,
            "read": {
                "name": fetched.name,
                "observations": sorted(o.name for o in fetched.observations),
                "scores": sorted(s.name for s in fetched.scores),
                "cost": fetched.total_cost,
                "found": [t.id for t in found],
                "tokens": generations[0].usage.total,
                "sessions": [s.id for s in langfuse.api.sessions.list().data],
                "observation": langfuse.api.observations.get(generations[0].id).model,
                "scores_v2": sorted(s.name for s in langfuse.api.score_v_2.get(trace_id=trace_id).data),
            },
        }
    )
)
