"""The guide's Langfuse snippet, run by the client it was written for and, in today's spelling, by later majors.

The snippet is the guide's text; only the line that makes the client and an ``llm`` are added, because the guide leaves both
out. Nobody reports tokens: the server counts and prices them.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.servers import LiveServer
from tests.wire.langfuse.clients import api, run

pytestmark = pytest.mark.peer

IMPORT = "from langfuse import Langfuse\n"
SNIPPET = """
# Track LLM interaction
with langfuse.start_as_current_span(name="llm_call") as span:
    with langfuse.start_as_current_generation(
        name="response_generation",
        model="gpt-4",
        input={"prompt": "Hello world"}
    ) as generation:
        response = llm.generate("Hello world")
        generation.update(output=response)
        langfuse.score_current_span(name="quality", value=0.9)
"""
MODERN = (
    SNIPPET.replace('start_as_current_span(name', 'start_as_current_observation(as_type="span", name')
    .replace("start_as_current_generation(", "start_as_current_observation(\n        as_type=\"generation\",")
)  # fmt: skip
ADDED = """
class llm:
    generate = staticmethod(lambda prompt: f"{prompt}! It is a fine day to be counted.")

langfuse = Langfuse()
"""
END = "\nprint(langfuse.get_trace_url(trace_id=span.trace_id))\nlangfuse.flush()\n"
SPELLINGS = {"langfuse3": SNIPPET, "langfuse4": MODERN, "langfuse5": MODERN}


@pytest.mark.parametrize("client", SPELLINGS)
def test_the_snippet_leaves_a_scored_trace_with_tokens_and_cost(client: str, live_server: LiveServer) -> None:
    url = run(client, IMPORT + ADDED + SPELLINGS[client] + END, live_server.url).strip()
    assert url.startswith(f"{live_server.url}/project/default/traces/")
    with api(live_server.url) as http:
        trace: dict[str, Any] = http.get(f"/traces/{url.rsplit('/', 1)[1]}").json()
    assert trace["name"] == "llm_call"
    spans = {row["name"]: row for row in trace["observations"]}
    assert set(spans) == {"llm_call", "response_generation"}
    generation = spans["response_generation"]
    assert generation["type"] == "GENERATION"
    assert generation["parentObservationId"] == spans["llm_call"]["id"]
    assert generation["model"] == "gpt-4"
    assert generation["input"] == {"prompt": "Hello world"}
    assert generation["output"] == "Hello world! It is a fine day to be counted."
    assert generation["usageDetails"]["input"] > 0
    assert generation["usageDetails"]["output"] > 0
    assert generation["usage"]["total"] == generation["usageDetails"]["total"]
    assert trace["totalCost"] == pytest.approx(generation["costDetails"]["total"])
    assert trace["totalCost"] > 0
    [score] = trace["scores"]
    assert (score["name"], score["value"], score["dataType"]) == ("quality", 0.9, "NUMERIC")
    assert (score["traceId"], score["observationId"]) == (trace["id"], generation["id"])


@pytest.mark.parametrize("client", SPELLINGS)
def test_placeholder_keys_of_the_guide_just_work(client: str, live_server: LiveServer) -> None:
    program = "from langfuse import Langfuse\nprint(Langfuse().auth_check())"
    keys = ("your-public-key", "your-secret-key")
    assert run(client, program, live_server.url, keys=keys).strip() == "True"
