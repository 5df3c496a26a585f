"""The common program, spelled for Python SDK 2: everything goes through ``/ingestion``."""

import json

from langfuse import Langfuse

langfuse = Langfuse()
auth = langfuse.auth_check()
trace = langfuse.trace(
    name="answer",
    user_id="alice",
    session_id="session-2",
    tags=["blue", "amber"],
    metadata={"team": "search", "depth": {"a": 1}},
    input={"question": "why"},
    release="r1",
    version="v1",
)
outer = trace.span(name="outer", input={"step": 1}, metadata={"k": "v"})
inner = outer.span(name="inner", level="WARNING", status_message="slow")
generation = inner.generation(
    name="completion",
    model="gpt-4o",
    model_parameters={"temperature": 0.5},
    input=[{"role": "user", "content": "why"}],
)
generation.end(output="because", usage={"input": 100, "output": 50, "unit": "TOKENS"})
inner.event(name="cache-miss", metadata={"key": "x"})
inner.end()
outer.end(output={"answer": "because"})
trace.update(output={"answer": "because"}, metadata={"depth": {"b": 2}})
langfuse.score(trace_id=trace.id, observation_id=generation.id, name="quality", value=0.9, comment="fine")
trace.score(name="verdict", value="good", data_type="CATEGORICAL")
trace.score(name="passed", value=1, data_type="BOOLEAN")
langfuse.flush()

fetched = langfuse.fetch_trace(trace.id).data
found = langfuse.fetch_traces(user_id="alice", tags=["amber", "blue"]).data
generations = langfuse.fetch_observations(trace_id=trace.id, type="GENERATION").data
session = langfuse.fetch_sessions().data
print(
    json.dumps(
        {
            "auth": auth,
            "trace_id": trace.id,
            "url": trace.get_trace_url(),
            "read": {
                "name": fetched.name,
                "observations": sorted(o.name for o in fetched.observations),
                "scores": sorted(s.name for s in fetched.scores),
                "cost": fetched.total_cost,
                "found": [t.id for t in found],
                "tokens": generations[0].usage.total,
                "sessions": [s.id for s in session],
                "observation": langfuse.fetch_observation(generations[0].id).data.model,
            },
        }
    )
)
