"""The common program, spelled for Python SDK 4 and 5: OTLP; scores through ``/ingestion`` (4) or ``/scores`` arrays (5)."""

from importlib.metadata import version

from langfuse import Evaluation, get_client, propagate_attributes
from langfuse.media import LangfuseMedia
from reading import CLIENT, DATASET, METADATA, PIXEL, RUN, finish, of_rows, of_trace, others

FIELDS = "core,basic,io,usage,model,prompt,trace_context,metadata"
major = int(version("langfuse").split(".")[0])
langfuse = get_client()
auth = langfuse.auth_check()
langfuse.create_prompt(name=f"matrix/{CLIENT} greeting", prompt="Hello {{name}}", labels=["production"])
prompt = langfuse.get_prompt(f"matrix/{CLIENT} greeting")
media = LangfuseMedia(content_bytes=PIXEL, content_type="image/png")
with (
    propagate_attributes(
        trace_name="answer",
        user_id="alice",
        session_id=f"session-{CLIENT}",
        tags=["blue", "amber"],
        metadata={"team": "search"},
        version="v1",
    ),
    langfuse.start_as_current_observation(as_type="span", name="outer", input={"step": 1}, metadata=METADATA) as outer,
):
    with langfuse.start_as_current_observation(
        as_type="span", name="inner", input={"image": media}, level="WARNING", status_message="slow"
    ) as inner:
        with langfuse.start_as_current_observation(
            as_type="generation",
            name="completion",
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
    "run_id": getattr(result, "experiment_id", None) or result.dataset_run_id,
    "run_traces": [item.trace_id for item in result.item_results],
}
ids = others(told)
api = langfuse.api
readings = {}
if major == 4:
    readings["v1"] = {id: of_trace(api.trace.get(id)) for id in ids}
    readings["sessions"] = sorted(row.id for row in api.sessions.list().data)
    list_scores = api.scores_v3.get_many_v3
else:
    list_scores = api.scores.get_many
readings["v2"] = {
    id: of_rows(
        api.observations.get_many(trace_id=id, fields=FIELDS, expand_metadata="k,int,float,flag,none,list,object").data,
        list_scores(trace_id=id).data,
    )
    for id in ids
}
readings["found"] = sorted({row.trace_id for row in api.observations.get_many(user_id="alice").data})
finish(told, **readings)
