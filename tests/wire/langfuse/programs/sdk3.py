"""The common program, spelled for Python SDK 3: OTLP, scores through ``/ingestion``."""

from langfuse import Evaluation, get_client
from langfuse.media import LangfuseMedia
from reading import CLIENT, DATASET, METADATA, PIXEL, RUN, finish, of_trace, others

langfuse = get_client()
auth = langfuse.auth_check()
langfuse.create_prompt(name=f"matrix/{CLIENT} greeting", prompt="Hello {{name}}", labels=["production"])
prompt = langfuse.get_prompt(f"matrix/{CLIENT} greeting")
media = LangfuseMedia(content_bytes=PIXEL, content_type="image/png")
with langfuse.start_as_current_span(name="outer", input={"step": 1}, metadata=METADATA) as outer:
    langfuse.update_current_trace(
        name="answer",
        user_id="alice",
        session_id=f"session-{CLIENT}",
        tags=["blue", "amber"],
        metadata={"team": "search", "depth": {"a": 1, "b": 2}},
        input={"question": "why"},
        output={"answer": "because"},
        version="v1",
    )
    with langfuse.start_as_current_span(
        name="inner", input={"image": media}, level="WARNING", status_message="slow"
    ) as inner:
        with langfuse.start_as_current_generation(
            name="completion",
            version="v1",
            model="gpt-4o",
            model_parameters={"temperature": 0.5},
            input=[{"role": "user", "content": "why"}],
            prompt=prompt,
        ) as generation:
            generation.update(output="because", usage_details={"input": 100, "output": 50})
            langfuse.score_current_span(name="quality", value=0.9, comment="fine")
        inner.create_event(name="cache-miss", metadata={"key": "x"})
    outer.update(output={"answer": "because"})
    langfuse.score_current_trace(name="verdict", value="good", data_type="CATEGORICAL")
    langfuse.score_current_trace(name="passed", value=1, data_type="BOOLEAN")
    trace_id = langfuse.get_current_trace_id()
    url = langfuse.get_trace_url()

langfuse.create_dataset(name=DATASET)
for n in range(2):
    langfuse.create_dataset_item(dataset_name=DATASET, id=f"matrix-{n}", input={"n": n}, expected_output=n * 2)


def right(*, output, expected_output, **_):
    return Evaluation(name="right", value=float(output == expected_output))


def average(*, item_results, **_):
    values = [e.value for result in item_results for e in result.evaluations]
    return Evaluation(name="average", value=sum(values) / len(values))


result = langfuse.get_dataset(DATASET).run_experiment(
    name="exp",
    run_name=RUN,
    task=lambda *, item, **_: item.input["n"] * 2,
    evaluators=[right],
    run_evaluators=[average],
    metadata={"model": "m"},
)
langfuse.flush()

told = {
    "auth": auth,
    "trace_id": trace_id,
    "url": url,
    "compiled": prompt.compile(name="Ada"),
    "media_id": media._media_id,
    "run_id": result.dataset_run_id,
    "run_traces": [item.trace_id for item in result.item_results],
}
ids = others(told)
finish(
    told,
    v1={id: of_trace(langfuse.api.trace.get(id)) for id in ids},
    found=sorted(row.id for row in langfuse.api.trace.list(user_id="alice", tags=["amber", "blue"]).data),
    sessions=sorted(row.id for row in langfuse.api.sessions.list().data),
    model=langfuse.api.observations.get(
        langfuse.api.observations.get_many(trace_id=trace_id, type="GENERATION").data[0].id
    ).model,
    scores=sorted(row.name for row in langfuse.api.score_v_2.get(trace_id=trace_id).data),
)
