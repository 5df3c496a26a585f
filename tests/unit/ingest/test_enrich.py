"""The order of trust: what clients send, then what is computed or counted, and "unknown" rather than 0."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from twinlens.domain.trace import Span
from twinlens.ingest.enrich import Enricher
from twinlens.ingest.mask import Masker
from twinlens.ingest.pricing import Pricer
from twinlens.ingest.tools import CALLED, OFFERED

QUESTION = '[{"role":"user","content":"What is the weather in Paris?"}]'
enricher = Enricher(Pricer(lambda _: []))


def generation(**fields: Any) -> Span:
    base: dict[str, Any] = {"trace_id": "t", "span_id": "s", "kind": "generation", "model": "gpt-4o-mini",
                            "start_ns": 1_790_000_000_000_000_000, "end_ns": 1_790_000_001_000_000_000}  # fmt: skip
    span = Span(**{**base, **fields})
    enricher.enrich([span], "p")
    return span


def test_client_cost_is_never_replaced() -> None:
    span = generation(
        usage={"input": 10, "total": 10}, usage_source="client", cost={"total": 7.0}, cost_source="client"
    )
    assert (span.cost, span.cost_source, span.price_id) == ({"total": 7.0}, "client", None)


def test_cost_is_computed_from_reported_usage() -> None:
    span = generation(usage={"input": 1_000_000, "output": 0, "total": 1_000_000}, usage_source="client")
    assert (span.cost["total"], span.cost_source, span.price_id) == (
        pytest.approx(0.15),
        "computed",
        "genai-prices:openai/gpt-4o-mini",
    )
    assert span.usage_source == "client"


def test_unknown_models_cost_nothing_and_say_so() -> None:
    span = generation(model="my-own", usage={"input": 10, "total": 10}, usage_source="client")
    assert (span.cost, span.cost_source) == ({}, "none")


def test_missing_tokens_are_counted_and_marked() -> None:
    span = generation(input=QUESTION, output='"It is sunny."')
    assert span.usage_source == "estimated"
    assert 10 <= span.usage["input"] <= 20
    assert 3 <= span.usage["output"] <= 6
    assert span.usage["total"] == span.usage["input"] + span.usage["output"]
    assert span.cost_source == "computed"


def test_estimates_follow_the_text_when_it_changes() -> None:
    span = generation(input=QUESTION, output='"It is sunny."')
    before = span.usage["output"]
    span.output = '"' + "It is sunny. " * 20 + '"'
    enricher.enrich([span], "p")
    assert span.usage["output"] > 5 * before
    assert span.cost["output"] > 0


def test_enriching_twice_changes_nothing() -> None:
    for span in (
        generation(input=QUESTION),
        generation(usage={"input": 5, "total": 5}, usage_source="client"),
        generation(),
    ):
        again = msgspec.structs.replace(span)
        enricher.enrich([again], "p")
        assert again == span


@pytest.mark.parametrize(
    "fields",
    [
        {"input": '"<REDACTED>"', "output": '"__REDACTED__"'},
        {"input": '[{"role":"user","content":"[MASKED]"}]', "output": '"***"'},
        {"input": "\"[Scrubbed due to 'password']\""},
        {"input": None, "output": None},
        {"input": '""', "output": "null"},
        {"input": '[{"role":"user","parts":[]}]'},
    ],
)
def test_withheld_text_is_unknown_not_zero(fields: dict[str, Any]) -> None:
    span = generation(**fields)
    assert (span.usage, span.usage_source, span.cost, span.cost_source) == ({}, "masked", {}, "none")


def test_failed_and_running_calls_are_not_called_masked() -> None:
    assert generation(level="ERROR").usage_source == "none"
    assert generation(level="ERROR", input=QUESTION).usage_source == "none"
    assert generation(end_ns=None).usage_source == "none"


def test_masked_output_still_counts_the_question() -> None:
    span = generation(input=QUESTION, output='"<REDACTED>"')
    assert span.usage_source == "estimated"
    assert "output" not in span.usage


def test_embeddings_have_no_output_tokens() -> None:
    span = generation(kind="embedding", model="text-embedding-3-small", input='"hello"', output="[[0.1, 0.2]]")
    assert "output" not in span.usage


def test_other_kinds_and_waiting_updates_are_left_alone() -> None:
    for fields in (
        {"kind": "span", "input": QUESTION},
        {"kind": "agent", "usage": {"input": 5, "total": 5}},
        {"partial": True, "input": QUESTION},
    ):
        span = generation(**fields)
        assert (span.cost, span.cost_source) == ({}, "none")
        assert span.usage == fields.get("usage", {})


def test_computed_cost_goes_when_its_price_goes() -> None:
    span = generation(model="my-own", cost={"total": 1.0}, cost_source="computed", price_id="gone", usage={"input": 1, "total": 1}, usage_source="client")  # fmt: skip
    assert (span.cost, span.cost_source, span.price_id) == ({}, "none", None)


def test_masking_comes_first() -> None:
    masking = Enricher(Pricer(lambda _: []), Masker([r"\d{4}-\d{4}"]))
    span = Span(trace_id="t", span_id="s", kind="generation", model="gpt-4o-mini", end_ns=1, input='"card 1234-5678"')
    masking.enrich([span], "p")
    assert span.input == '"card <REDACTED>"'
    assert span.usage_source == "estimated"


def test_tokens_above_the_span_that_names_the_model_are_priced() -> None:
    def spans(*models: str) -> list[Span]:
        used: dict[str, Any] = {
            "usage": {"input": 1_000_000, "output": 0, "total": 1_000_000},
            "usage_source": "client",
        }
        told = [
            Span(trace_id="t", span_id=f"lm{n}", parent_id="step", kind="generation", model=model)
            for n, model in enumerate(models)
        ]
        found = [
            *told,
            Span(trace_id="t", span_id="step", parent_id="s", kind="chain"),
            Span(trace_id="t", span_id="s", kind="generation", **used),
        ]
        found.append(Span(trace_id="other", span_id="s", kind="generation", **used))
        enricher.enrich(found, "p")
        return found

    *_, told, other = spans("gpt-4o-mini", "gpt-4o-mini")
    assert (told.model, told.cost["total"], told.cost_source) == ("gpt-4o-mini", pytest.approx(0.15), "computed")
    assert (other.model, other.cost) == (None, {})
    *_, told, _ = spans("gpt-4o-mini", "gpt-4o")
    assert (told.model, told.cost) == (None, {})  # which of the two?


@pytest.mark.parametrize(
    ("said", "offered"),
    [
        ({"input": '{"messages":[],"tools":[{"a":1},{"b":[2]}]}'}, 2), ({"input": '{"functions":[{}]}'}, 1),
        ({"attributes": {"gen_ai.tool.definitions": '[{"name":"a"},{"name":"b"},{"name":"c"}]'}}, 3),
        ({"attributes": {"llm.tools.0.tool.json_schema": "{}", "llm.tools.1.tool.json_schema": "{}"}}, 2),
        ({"attributes": {"llm.request.functions.0.name": "a", "llm.request.functions.0.description": "b"}}, 1),
        ({"attributes": {"ai.prompt.tools": ['{"type":"function"}']}}, 1), ({"model_parameters": {"tools": [{}]}}, 1),
        ({"input": '{"tools": 5}'}, None), ({"input": '[{"content":"\\"tools\\""}]'}, None), ({}, None),
    ],
)  # fmt: skip
def test_offered_tools_are_counted(said: dict[str, Any], offered: int | None) -> None:
    span = generation(**said)
    assert span.attributes.get(OFFERED) == offered


@pytest.mark.parametrize(
    ("output", "called"),
    [
        ('{"role":"assistant","tool_calls":[{"id":"1","type":"function","function":{"name":"a","arguments":"{}"}},{"function":{"name":"b"}}]}', ["a", "b"]),
        ('{"choices":[{"message":{"tool_calls":[{"id":"1","function":{"name":"a"}}],"function_call":null}}]}', ["a"]),
        ('[{"type":"reasoning"},{"type":"function_call","name":"a","call_id":"1"},{"type":"function_call","name":"a","call_id":"2"}]', ["a", "a"]),
        ('[{"role":"assistant","content":[{"type":"text","text":"tool_use"},{"type":"tool_use","id":"1","name":"a","input":{}}]}]', ["a"]),
        ('[{"role":"assistant","parts":[{"type":"tool_call","id":"1","name":"a","arguments":{}}]}]', ["a"]),
        ('{"candidates":[{"content":{"parts":[{"functionCall":{"name":"a","args":{}}}]}}]}', ["a"]),
        ('{"message":{"content":[{"toolUse":{"toolUseId":"1","name":"a"}}]}}', ["a"]),
        ('{"message":{"role":"model","content":[{"toolRequest":{"name":"a","input":{}}}]}}', ["a"]),
        ('{"role":"assistant","tool_calls":[{"type":"tool-call","toolCallId":"1","toolName":"a"}]}', ["a"]),
        ('{"tool_calls":[{"name":"a","id":"1"}],"additional_kwargs":{"tool_calls":[{"id":"1","function":{"name":"a"}}]}}', ["a"]),
        ('"tool_calls"', None), ('{"tool_calls": 5, "function_call": "x", "type": ["tool_use"]}', None), ('{"tool_calls":[1, {}]}', None), (None, None),
    ],
)  # fmt: skip
def test_called_tools_are_named(output: str | None, called: list[str] | None) -> None:
    span = generation(output=output)
    assert span.attributes.get(CALLED) == called
