"""The SDK's own spans, and the OpenTelemetry SDK's beside them when a library asks."""

from __future__ import annotations

from pathlib import Path

from tests.unit.sdk.test_runtime import rows, run

#: The caller's thread never loads it; encoding for delivery does, in a thread of its own.
WATCHED = """
import threading
class Watch:
    def find_spec(self, name, path=None, target=None):
        assert name != 'opentelemetry.sdk.trace' or threading.current_thread() is not threading.main_thread()
sys.meta_path.insert(0, Watch())
"""


def test_our_own_spans_do_not_need_opentelemetrys_sdk(tmp_path: Path) -> None:
    run(
        WATCHED + "import random\nrandom.seed(7)\nobserve()\n"
        "with twinlens.propagate(tags=['t'], user_id='u'), twinlens.span('outer') as outer:\n"
        "    try:\n        with twinlens.tool('inner', metadata={'a': 1, 'b': [1], 'c': None}): raise KeyError('k')\n"
        "    except KeyError: pass\n"
        "    with twinlens.generation('answer') as answer: answer.span.add_event('token', {'n': 1})\n"
        "    outer.span.set_attributes({'list': ['a', object], 'map': {'k': (1,)}, 'none': None})\n"
        "outer.update(output='too late')\nouter.end()\n",
        tmp_path / "out",
    )
    found = {row["name"]: row for row in rows(tmp_path / "out")}
    assert list(found) == ["inner", "answer", "outer"]
    outer, inner, answer = found["outer"], found["inner"], found["answer"]
    assert inner["parent_span_id"] == answer["parent_span_id"] == outer["span_id"]
    assert len({row["trace_id"] for row in found.values()}) == 1
    assert outer["attributes"] == {
        "user.id": "u", "langfuse.trace.tags": ["t"], "langfuse.observation.type": "span", "list": ["a", "<class 'object'>"],
        "map": {"k": [1]},
    }  # fmt: skip
    assert inner["attributes"]["user.id"] == "u"
    assert (inner["status"], inner["status_message"]) == ("ERROR", "KeyError: 'k'")
    [event] = inner["events"]
    assert (event["attributes"]["exception.type"], event["attributes"]["exception.message"]) == ("KeyError", "'k'")
    assert "Traceback" in event["attributes"]["exception.stacktrace"]
    assert [e["name"] for e in answer["events"]] == ["token"]
    assert outer["start_time_unix_nano"] <= inner["start_time_unix_nano"] <= inner["end_time_unix_nano"]
    again = tmp_path / "again"
    run("import random\nrandom.seed(7)\nobserve()\nwith twinlens.span('outer'): pass", again)
    assert rows(again)[0]["trace_id"] != outer["trace_id"]  # a seeded program gets new ids in every run


def test_libraries_and_their_processors_see_one_tree(tmp_path: Path) -> None:
    run(
        "observe()\nfrom opentelemetry import trace\n"
        "provider = trace.get_tracer_provider()\nlibrary = trace.get_tracer('openinference.instrumentation.openai')\n"
        "from opentelemetry.sdk.trace import TracerProvider\nassert isinstance(provider, TracerProvider)\n"
        "call = {'gen_ai.operation.name': 'chat'}\n"
        "with twinlens.span('ours'):\n"
        "    with library.start_as_current_span('theirs', attributes=call):\n"
        "        with twinlens.tool('in theirs'): pass\n"
        "        from twinlens.sdk import runtime\n"
        "        with runtime.scoped('x').start_as_current_span('chat again', attributes=call) as twice:\n"
        "            assert not twice.is_recording()\n"
        "            with twinlens.tool('below'): pass\n"
        "class Seen:\n"
        "    names = []\n"
        "    def on_start(self, span, parent_context=None): pass\n"
        "    def on_end(self, span): self.names.append(span.name)\n"
        "    def _on_ending(self, span): pass\n"
        "    def shutdown(self): pass\n"
        "    def force_flush(self, timeout_millis=1): return True\n"
        "provider.add_span_processor(Seen())\n"
        "with twinlens.span('shown'): pass\n"
        "assert Seen.names == ['shown']\n",
        tmp_path / "out",
    )
    found = {row["name"]: row for row in rows(tmp_path / "out")}
    assert set(found) == {"ours", "theirs", "in theirs", "shown"}
    assert found["theirs"]["parent_span_id"] == found["ours"]["span_id"]
    assert found["in theirs"]["parent_span_id"] == found["theirs"]["span_id"]
    assert len({row["trace_id"] for name, row in found.items() if name != "shown"}) == 1
    assert found["ours"]["resource"] == found["theirs"]["resource"]


def test_the_environments_sampler_counts(tmp_path: Path) -> None:
    run(
        "observe()\nwith twinlens.span('x'): pass\ntwinlens.flush()", tmp_path / "out", OTEL_TRACES_SAMPLER="always_off"
    )
    assert not (tmp_path / "out").exists()
