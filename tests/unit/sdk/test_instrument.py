"""Which observer is chosen, one span per call, and whose playbook it is."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from twinlens.sdk.instrument import activate, choose, hook
from twinlens.sdk.instrument.find import find_playbook
from twinlens.sdk.instrument.sampler import OneSpanPerCall
from twinlens.sdk.instrument.table import LIBRARIES, MARKS, Library

TABLE = (
    Library("A", "a", "a", ("best-a", "other-a"), builtin="x"),
    Library("B", "b", "b", ("best-b",)),
    Library("C", "c", "c", native="-"),
)


def here(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Pretend that only these are installed."""
    monkeypatch.setattr(choose, "installed", lambda name: name in names)


@pytest.mark.parametrize(
    ("there", "skip", "said"),
    [
        ((), (), "no library found that can be observed"),
        (("a", "other-a", "best-a"), (), "observing A (best-a)"),
        (("a", "other-a"), (), "observing A (other-a)"),
        (("a", "best-a"), ("best-a",), "observing A (built in)"),
        (("a", "b", "c"), (), "observing A (built in), C (its own telemetry); install best-b (for B)"),
        (("a", "b"), ("A", "B"), "no library found that can be observed"),
    ],
)
def test_one_observer_per_library(there: Any, skip: Any, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    here(monkeypatch, *there)
    assert choose.summary(choose.choose(skip, TABLE)) == said


def test_every_row_of_the_table_can_be_observed_by_something() -> None:
    assert len({library.module for library in LIBRARIES}) == len(LIBRARIES)
    for library in LIBRARIES:
        assert library.packages or library.builtin or library.native
        if library.builtin:
            assert callable(__import__(f"twinlens.sdk.instrument.{library.builtin}", fromlist=["install"]).install)


def test_a_call_inside_an_observed_call_is_not_reported_again() -> None:
    provider = TracerProvider(OneSpanPerCall())
    framework, client = (
        provider.get_tracer("twinlens.dspy"),
        provider.get_tracer("openinference.instrumentation.openai"),
    )
    own = provider.get_tracer("twinlens")
    call = {"gen_ai.operation.name": "chat"}
    with framework.start_as_current_span("chat m", attributes=call) as outer:
        inner = client.start_span("ChatCompletion", attributes={"openinference.span.kind": "LLM"})
        assert not client.start_span("completion").is_recording()  # as LiteLLM's observer starts it
        http = client.start_span("POST")
        assert outer.is_recording() and not inner.is_recording() and http.is_recording()
        with trace.use_span(inner):
            assert not client.start_span("POST").is_recording()  # its parent is not there
    with own.start_as_current_span("answer", attributes=call):  # the program's own span may know no tokens
        assert client.start_span("chat m", attributes=call).is_recording()
    with framework.start_as_current_span("Predict"):
        assert client.start_span("chat m", attributes=call).is_recording()


def test_a_library_is_switched_on_when_it_is_imported_not_when_it_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "watched_library.py").write_text("VALUE = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    switched: list[str] = []
    monkeypatch.setattr(hook, "_switch_on", switched.append)
    monkeypatch.setattr(sys, "meta_path", [hook.Finder({"watched_library"}), *sys.meta_path])
    for _ in range(2):
        assert importlib.util.find_spec("watched_library") is not None
    assert switched == []
    assert importlib.import_module("watched_library").VALUE == 1
    assert switched == ["watched_library"]
    del sys.modules["watched_library"]
    importlib.import_module("watched_library")
    assert switched == ["watched_library"]


def test_clients_inside_langchain_are_silent_only_when_langchain_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    module, (name, _) = next(iter(MARKS.items()))
    marks = SimpleNamespace(install=lambda: made.append(name))
    monkeypatch.setattr(activate, "import_module", lambda _: marks)
    monkeypatch.setattr(activate, "_observed", set[str]())
    assert activate.activate(module) == ""
    assert made == []
    activate._observed.add(name)
    activate.activate(module)
    assert made == [name]


def test_the_playbook_of_the_agent_that_runs(tmp_path: Path) -> None:
    assert find_playbook(["python", "a.py"], tmp_path) is None
    home = tmp_path / "demo" / "agents" / "developer" / "playbook"
    home.mkdir(parents=True)
    book = home / "developer_playbook.yaml"
    command = ["super", "agent", "run", "developer", "--goal", "x"]
    book.write_text("spec: {}\n")
    assert find_playbook(command, tmp_path) is None
    book.write_text("spec:\n  observability: {}\n")
    assert find_playbook(command, tmp_path) == book
    assert find_playbook(["super", "agent", "run", "writer"], tmp_path) is None
    for name in ("one_playbook.yaml", "two_playbook.yaml"):
        (tmp_path / name).write_text("observability: {}\n")
    assert find_playbook(["python", "a.py"], tmp_path) is None  # which of the two?
    (tmp_path / "playbook.yaml").write_text("observability: {}\n")
    assert find_playbook(["python", "a.py"], tmp_path) == tmp_path / "playbook.yaml"
