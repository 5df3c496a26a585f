"""What real Langfuse clients write before a migration."""

#: SDK 3.15: prompts, a dataset with history, a run over it, a trace with everything on it.
SDK3 = """
import json
from langfuse import Langfuse, get_client
langfuse = get_client()
langfuse.create_prompt(name="lf/chat", type="chat", prompt=[{"role": "system", "content": "be {{mood}}"}], labels=["production"],
                       tags=["t1"], config={"temperature": 0.2}, commit_message="one")
langfuse.create_prompt(name="lf/chat", type="chat", prompt=[{"role": "system", "content": "stay {{mood}}"}], labels=["staging"])
langfuse.create_dataset(name="questions", description="what people ask", metadata={"origin": "chat"})
langfuse.create_dataset_item(dataset_name="questions", id="item-1", input={"q": 1}, expected_output={"a": 2}, metadata={"hard": True})
langfuse.create_dataset_item(dataset_name="questions", id="item-1", input={"q": 1}, expected_output={"a": 3})
langfuse.create_dataset_item(dataset_name="questions", id="item-2", input="plain", expected_output=None)
prompt = langfuse.get_prompt("lf/chat", type="chat")
dataset = langfuse.get_dataset("questions")
for item in dataset.items:
    with item.run(run_name="first try", run_description="a try", run_metadata={"k": 1}) as root:
        with root.start_as_current_generation(name="answer", model="gpt-4o", input=item.input, prompt=prompt) as generation:
            generation.update(output="o", usage_details={"input": 100, "output": 50}, cost_details={"input": 0.01, "output": 0.02})
        root.score_trace(name="correct", value=1.0, comment="yes")
with langfuse.start_as_current_span(name="outer", input={"step": 1}, metadata={"k": "v"}) as outer:
    langfuse.update_current_trace(name="answer", user_id="alice", session_id="session-3", tags=["blue", "amber"],
        metadata={"team": "search", "depth": {"a": 1}}, input={"question": "why"}, output={"answer": "because"}, version="v1")
    with langfuse.start_as_current_span(name="inner", level="WARNING", status_message="slow") as inner:
        inner.create_event(name="cache-miss", metadata={"key": "x"})
        langfuse.score_current_span(name="quality", value=0.9, comment="fine")
    outer.update(output={"answer": "because"})
    langfuse.score_current_trace(name="verdict", value="good", data_type="CATEGORICAL")
    langfuse.score_current_trace(name="passed", value=1, data_type="BOOLEAN")
    trace_id = langfuse.get_current_trace_id()
langfuse.flush()
print(json.dumps({"trace": trace_id}))
"""
#: SDK 2.60: events through ``/ingestion``, ids of its own making.
SDK2 = """
import datetime, json
from langfuse import Langfuse
langfuse = Langfuse()
trace = langfuse.trace(id="my own trace/1", name="two", user_id="bob", session_id="s2", tags=["old"], metadata={"m": 1}, input="in", output="out")
generation = trace.generation(id="gen-1", name="g", model="gpt-4o", input=[{"role": "user", "content": "hi"}], output="ho",
    usage={"input": 10, "output": 5}, model_parameters={"temperature": 0.1}, start_time=datetime.datetime(2025, 1, 1, 10, 0, 0, 5000, tzinfo=datetime.timezone.utc),
    end_time=datetime.datetime(2025, 1, 1, 10, 0, 1, tzinfo=datetime.timezone.utc))
generation.score(id="score-1", name="s", value=0.5, comment="half")
trace.event(name="e", level="ERROR", status_message="bad")
langfuse.flush()
print(json.dumps({"trace": trace.id}))
"""
#: SDK 5: an agent's trace.
SDK5 = """
import json
from langfuse import get_client
langfuse = get_client()
with langfuse.start_as_current_observation(as_type="agent", name="agent", input="go") as agent:
    with langfuse.start_as_current_observation(as_type="tool", name="search", input={"q": "x"}) as tool:
        tool.update(output=["r"])
    agent.update(output="done")
    langfuse.score_current_trace(name="quality", value=0.25)
    trace_id = langfuse.get_current_trace_id()
langfuse.flush()
print(json.dumps({"trace": trace_id}))
"""


def small_things(http, trace_id: str) -> None:
    """What the SDKs have no call for: a score config, a comment, a model with prices, a media file."""
    import base64
    import hashlib

    config = {
        "name": "grade",
        "dataType": "CATEGORICAL",
        "categories": [{"label": "a", "value": 1}, {"label": "b", "value": 0}],
    }
    assert http.post("/score-configs", json=config).status_code == 200
    project = http.get("/projects").json()["data"][0]["id"]
    comment = {"projectId": project, "objectType": "TRACE", "objectId": trace_id, "content": "look at this"}
    for _ in range(2):  # said twice
        assert http.post("/comments", json=comment).status_code == 200
    for name, text in (("zoo", "the animals"), ("ark", "with @@@langfusePrompt:name=zoo|label=production@@@")):
        prompt = {"name": name, "type": "text", "prompt": text, "labels": ["production"]}
        assert http.post("/v2/prompts", json=prompt).status_code == 201
    model = {
        "modelName": "house",
        "matchPattern": "(?i)^house$",
        "unit": "TOKENS",
        "inputPrice": 1e-6,
        "outputPrice": 2e-6,
    }
    for more in ({}, {"matchPattern": "(?i)^home$", "startDate": "2025-01-01T00:00:00Z"}):
        assert http.post("/models", json=model | more).status_code == 200
    data = b"\x89PNG not really" * 20
    said = {
        "traceId": trace_id, "contentType": "image/png", "contentLength": len(data), "field": "input",
        "sha256Hash": base64.b64encode(hashlib.sha256(data).digest()).decode(),
    }  # fmt: skip
    upload = http.post("/media", json=said).json()["uploadUrl"]
    headers = {"Content-Type": "image/png", "x-amz-checksum-sha256": said["sha256Hash"]}
    assert http.put(upload, content=data, headers=headers, auth=None).status_code in (200, 201, 204)
