"""Message content and scores that arrive as log records."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from twinlens.domain.otlp import RawLog
from twinlens.domain.trace import Scope, Span
from twinlens.ingest.logs import DETAILS, EVALUATION, apply_logs, evaluation_scores


def log(event: str, body: Any = None, time_ns: int = 1, **attributes: Any) -> RawLog:
    return RawLog(
        trace_id="t", span_id="s", time_ns=time_ns, event_name=event, body=body,
        attributes={k.replace("__", "."): v for k, v in attributes.items()}, severity=9, resource={}, scope=Scope(name="judge"),
    )  # fmt: skip


def span(**fields: Any) -> Span:
    return Span(trace_id="t", span_id="s", **fields)


MESSAGES = [
    log("gen_ai.user.message", {"content": "Weather?"}, 2),
    log("gen_ai.system.message", {"content": "Be brief."}, 1),
    log(
        "gen_ai.choice", {"index": 0, "finish_reason": "stop", "message": {"content": "Sunny", "role": "assistant"}}, 3
    ),
]


def test_messages_join_in_time_order() -> None:
    joined = apply_logs(span(), MESSAGES)
    assert json.loads(joined.input or "") == [
        {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Weather?"},
    ]  # fmt: skip
    assert json.loads(joined.output or "") == [{"role": "assistant", "content": "Sunny", "finish_reason": "stop"}]
    assert joined.rules == {"input": "events", "output": "events"}


def test_joining_is_pure_and_repeatable() -> None:
    before = span()
    joined = apply_logs(before, MESSAGES)
    assert before == span()
    assert apply_logs(joined, MESSAGES) is joined


def test_messages_may_come_one_by_one() -> None:
    """Simple processors send every record in a request of its own, before or after the span."""
    joined = span()
    for record in (MESSAGES[0], MESSAGES[1], MESSAGES[2], MESSAGES[0]):
        joined = apply_logs(joined, [record])
    assert joined == apply_logs(span(), MESSAGES)


def test_details_event_carries_the_whole_exchange() -> None:
    details = log(
        DETAILS,
        gen_ai__system_instructions=[{"type": "text", "content": "Be brief."}],
        gen_ai__input__messages='[{"role":"user","parts":[]}]',
        gen_ai__output__messages=[{"role": "assistant"}],
    )
    joined = apply_logs(span(), [details])
    assert json.loads(joined.input or "") == [
        {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]}, {"role": "user", "parts": []},
    ]  # fmt: skip
    assert joined.output == '[{"role":"assistant"}]'


@pytest.mark.parametrize(
    ("body", "content"), [('{"content": "hi"}', "hi"), ("hi", "hi"), ({"content": "hi", "id": None}, "hi")]
)
def test_bodies_in_every_shape(body: Any, content: str) -> None:
    joined = apply_logs(span(), [log("gen_ai.user.message", body)])
    assert json.loads(joined.input or "") == [{"role": "user", "content": content}]


def test_empty_bodies_do_not_fail() -> None:
    joined = apply_logs(span(), [log("gen_ai.user.message"), log("gen_ai.choice", {"message": None}), log(DETAILS)])
    assert json.loads(joined.input or "") == [{"role": "user"}]


def test_content_the_client_wrote_for_us_stays() -> None:
    mine = span(input='"mine"', rules={"input": "langfuse:langfuse.observation.input"})
    assert apply_logs(mine, MESSAGES).input == '"mine"'
    other = span(input='"other"', rules={"input": "genai-1.37:gen_ai.input.messages"})
    assert apply_logs(other, MESSAGES).input != '"other"'


def test_records_of_other_spans_are_ignored() -> None:
    mine = span()
    foreign = msgspec.structs.replace(MESSAGES[0], span_id="x")
    assert apply_logs(mine, [foreign]) is mine


def evaluation(**fields: Any) -> RawLog:
    return log(EVALUATION, **{f"gen_ai__evaluation__{k}": v for k, v in fields.items()})


def test_evaluation_results_become_scores() -> None:
    result = evaluation(name="relevance", score__value=0.9, score__label="good", explanation="on topic")
    (score,) = evaluation_scores([result])
    assert (score.name, score.value, score.string_value, score.data_type) == ("relevance", 0.9, "good", "NUMERIC")
    assert (score.trace_id, score.span_id, score.comment, score.source) == ("t", "s", "on topic", "judge")
    assert evaluation_scores([result]) == [score], "the same record is the same score"


def test_evaluation_by_label_and_with_an_error() -> None:
    label, error = evaluation_scores(
        [
            evaluation(name="tone", score__label="rude"),
            log(EVALUATION, gen_ai__evaluation__name="x", error__type="timeout"),
        ]
    )
    assert (label.value, label.string_value, label.data_type) == (None, "rude", "CATEGORICAL")
    assert error.error == {"error_code": "timeout"}


def test_evaluations_without_name_or_trace_are_left_out() -> None:
    nameless = evaluation(score__value=1)
    lost = msgspec.structs.replace(evaluation(name="x", score__value=1), trace_id=None)
    assert evaluation_scores([nameless, lost]) == []
