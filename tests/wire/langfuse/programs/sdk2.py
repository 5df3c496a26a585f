"""The common program, spelled for Python SDK 2: everything goes through ``/ingestion``."""

from langfuse import Langfuse
from langfuse.media import LangfuseMedia
from reading import CLIENT, DATASET, METADATA, PIXEL, RUN, finish, of_trace, others

langfuse = Langfuse()
auth = langfuse.auth_check()
langfuse.create_prompt(name=f"matrix/{CLIENT} greeting", prompt="Hello {{name}}", labels=["production"])
prompt = langfuse.get_prompt(f"matrix/{CLIENT} greeting")
trace = langfuse.trace(
    name="answer",
    user_id="alice",
    session_id=f"session-{CLIENT}",
    tags=["blue", "amber"],
    metadata={"team": "search", "depth": {"a": 1}},
    input={"question": "why"},
    release="r1",
    version="v1",
)
media = LangfuseMedia(content_bytes=PIXEL, content_type="image/png")
outer = trace.span(name="outer", input={"step": 1}, metadata=METADATA)
inner = outer.span(name="inner", input={"image": media}, level="WARNING", status_message="slow")
generation = inner.generation(
    name="completion",
    version="v1",
    model="gpt-4o",
    model_parameters={"temperature": 0.5},
    input=[{"role": "user", "content": "why"}],
    prompt=prompt,
)
generation.end(output="because", usage={"input": 100, "output": 50, "unit": "TOKENS"})
inner.event(name="cache-miss", metadata={"key": "x"})
inner.end()
outer.end(output={"answer": "because"})
trace.update(output={"answer": "because"}, metadata={"depth": {"b": 2}})
langfuse.score(trace_id=trace.id, observation_id=generation.id, name="quality", value=0.9, comment="fine")
trace.score(name="verdict", value="good", data_type="CATEGORICAL")
trace.score(name="passed", value=1, data_type="BOOLEAN")

langfuse.create_dataset(name=DATASET)
for n in range(2):
    langfuse.create_dataset_item(dataset_name=DATASET, id=f"matrix-{n}", input={"n": n}, expected_output=n * 2)
linked = []
for item in langfuse.get_dataset(DATASET).items:
    task = langfuse.trace(name="task", input=item.input, output=item.input["n"] * 2)
    item.link(task, RUN)
    task.score(name="right", value=1)
    linked.append(task.id)
langfuse.flush()

told = {
    "auth": auth,
    "trace_id": trace.id,
    "url": trace.get_trace_url(),
    "compiled": prompt.compile(name="Ada"),
    "media_id": media._media_id,
    "run_id": langfuse.get_dataset_run(DATASET, RUN).id,
    "run_traces": linked,
}
ids = others(told)
finish(
    told,
    v1={id: of_trace(langfuse.fetch_trace(id).data) for id in ids},
    found=sorted(row.id for row in langfuse.fetch_traces(user_id="alice", tags=["amber", "blue"]).data),
    sessions=sorted(row.id for row in langfuse.fetch_sessions().data),
    model=langfuse.fetch_observation(
        langfuse.fetch_observations(trace_id=trace.id, type="GENERATION").data[0].id
    ).data.model,
)
