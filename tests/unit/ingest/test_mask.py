"""Server-side masking replaces matches everywhere a text can hide, and nothing else."""

from __future__ import annotations

import pytest

from twinlens.domain.errors import InvalidArgument
from twinlens.domain.otlp import RawLog
from twinlens.domain.trace import Scope, Span, SpanEvent, TracePatch
from twinlens.ingest.mask import Masker

EMAIL = r"[\w.]+@[\w.]+\w"
masker = Masker([EMAIL, r"sk-[a-z0-9]+"], "[GONE]")


def test_every_text_of_a_span_is_masked() -> None:
    span = Span(
        trace_id="t", span_id="s", name="call a@b.de", input='{"to": "a@b.de", "n": 1}', output='"key sk-123"',
        status_message="a@b.de failed", metadata={"deep": [{"who": "a@b.de"}], "n": 1}, user_id="a@b.de",
        attributes={"input.value": '{"to": "a@b.de"}', "list": ["a@b.de"], "n": 3},
        events=[SpanEvent(name="e", time_ns=1, attributes={"m": "a@b.de"})], model_parameters={"api_key": "sk-1"},
    )  # fmt: skip
    masker.spans([span])
    assert span.input == '{"to":"[GONE]","n":1}'
    assert span.output == '"key [GONE]"'
    assert span.name == "call [GONE]"
    assert span.status_message == "[GONE] failed"
    assert span.metadata == {"deep": [{"who": "[GONE]"}], "n": 1}
    assert span.attributes == {"input.value": '{"to":"[GONE]"}', "list": ["[GONE]"], "n": 3}
    assert span.events[0].attributes == {"m": "[GONE]"}
    assert span.user_id == "[GONE]"
    assert span.model_parameters == {"api_key": "[GONE]"}


def test_what_does_not_match_stays_the_same_object() -> None:
    span = Span(trace_id="t", span_id="s", input='{"a": 1}', attributes={"a": {"b": ["c"]}})
    before = (span.input, span.attributes, span.metadata)
    masker.spans([span])
    assert (span.input is before[0], span.attributes is before[1], span.metadata is before[2]) == (True, True, True)


def test_json_escapes_do_not_hide_a_match() -> None:
    span = Span(trace_id="t", span_id="s", input='"a\\u0040b.de"')
    masker.spans([span])
    assert span.input == '"[GONE]"'


def test_patches_and_logs() -> None:
    patch = TracePatch(
        trace_id="t",
        name="for a@b.de",
        input='"a@b.de"',
        tags=["a@b.de"],
        tag_values={"k": "sk-1"},
        metadata={"m": "a@b.de"},
    )
    masker.patches([patch])
    assert (patch.name, patch.input, patch.tags, patch.tag_values, patch.metadata) == (
        "for [GONE]", '"[GONE]"', ["[GONE]"], {"k": "[GONE]"}, {"m": "[GONE]"},
    )  # fmt: skip
    log = RawLog(trace_id="t", span_id="s", time_ns=1, event_name="gen_ai.choice", body={"content": "a@b.de"},
                 attributes={"x": "sk-1"}, severity=9, resource={}, scope=Scope())  # fmt: skip
    masker.logs([log])
    assert (log.body, log.attributes) == ({"content": "[GONE]"}, {"x": "[GONE]"})


def test_off_without_patterns() -> None:
    span = Span(trace_id="t", span_id="s", input='"a@b.de"')
    off = Masker([])
    off.spans([span])
    assert (off.active, span.input) == (False, '"a@b.de"')


@pytest.mark.parametrize("pattern", ["(", "a*", ""])
def test_unusable_patterns_are_refused(pattern: str) -> None:
    with pytest.raises(InvalidArgument):
        Masker([pattern])


def test_the_replacement_is_plain_text() -> None:
    assert Masker(["(a)"], r"\1\g<1>").text("a") == r"\1\g<1>"
