"""Datasets and experiment runs: every item of a dataset through a task, each in a trace of its own that the run refers to."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from opentelemetry import context as otel_context

from twinlens.sdk import runtime
from twinlens.sdk.observation import Observation
from twinlens.sdk.remote import server

Evaluator = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Item:
    """One item. ``with item.run("name") as span: …`` traces what is done with it as part of a run."""

    id: str
    dataset: str
    input: Any = None
    expected_output: Any = None
    metadata: Any = None

    @contextmanager
    def run(
        self, run_name: str, *, run_metadata: Mapping[str, Any] | None = None, run_description: str | None = None
    ) -> Generator[Observation]:
        """A trace for this item, linked to the run when it ends.

        Raises:
            ServerError: the link cannot be made.
        """
        token = otel_context.attach(otel_context.Context())  # a trace of its own
        try:
            with Observation(run_name, "span", input=self.input, metadata={"dataset": self.dataset}) as span:
                yield span
        finally:
            otel_context.detach(token)
        link = {
            "runName": run_name, "datasetItemId": self.id, "traceId": span.trace_id, "metadata": run_metadata,
            "runDescription": run_description,
        }  # fmt: skip
        server.call("POST", "/dataset-run-items", {k: v for k, v in link.items() if v is not None})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one item. ``error`` is the task's exception, if it raised."""

    item: Item
    output: Any
    scores: dict[str, Any]
    trace_id: str
    error: BaseException | None = None


@dataclass(frozen=True, slots=True)
class Experiment:
    """A finished run."""

    name: str
    outcomes: list[Outcome] = field(default_factory=list[Outcome])

    def mean(self, score: str) -> float | None:
        """The mean of a numeric score; None when no item has it."""
        values = [float(o.scores[score]) for o in self.outcomes if isinstance(o.scores.get(score), (int, float))]
        return sum(values) / len(values) if values else None


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset with its items."""

    name: str
    items: list[Item]

    def run_experiment(
        self, name: str, task: Callable[[Item], Any], *, evaluators: Sequence[Evaluator] = (), max_concurrency: int = 1,
        metadata: Mapping[str, Any] | None = None,
    ) -> Experiment:  # fmt: skip
        """Put every item through ``task`` and score what comes out.

        Args:
            name: of the run; a second run of the same name continues it.
            task: called with an ``Item``; an exception fails that item only.
            evaluators: called with ``input=, output=, expected_output=, metadata=``; each answers a number, truth value or text
                (scored under the function's name), or a dict of several.
            max_concurrency: threads.
            metadata: of the run.

        Raises:
            ServerError: an item cannot be linked to the run.
        """

        def one(item: Item) -> Outcome:
            output, error, scores = None, None, dict[str, Any]()
            with item.run(name, run_metadata=metadata) as span:
                try:
                    output = task(item)
                except Exception as raised:
                    error = raised
                    span.fail(raised)
                else:
                    span.update(output=output)
                    for evaluator in evaluators:
                        scores |= _judged(evaluator, item, output)
                for score, value in scores.items():
                    span.score(score, value, whole_trace=True)
            return Outcome(item, output, scores, span.trace_id, error)

        if max_concurrency <= 1:
            outcomes = [one(item) for item in self.items]
        else:
            with ThreadPoolExecutor(max_concurrency, "twinlens-experiment") as pool:
                outcomes = list(pool.map(one, self.items))
        runtime.current().flush()
        return Experiment(name, outcomes)


def _judged(evaluator: Evaluator, item: Item, output: Any) -> dict[str, Any]:
    found = evaluator(input=item.input, output=output, expected_output=item.expected_output, metadata=item.metadata)
    if isinstance(found, Mapping):
        return {str(k): v for k, v in found.items()}
    return {} if found is None else {getattr(evaluator, "__name__", "score"): found}


def get_dataset(name: str) -> Dataset:
    """A dataset and all of its items.

    Raises:
        ServerError: it is not there, or the server cannot be asked.
    """
    server.call("GET", f"/v2/datasets/{quote(name, safe='')}")
    items: list[Item] = []
    page, pages = 1, 1
    while page <= pages:
        found = server.call("GET", "/dataset-items?" + urlencode({"datasetName": name, "page": page, "limit": 50}))
        items += [_item(row) for row in found["data"]]
        page, pages = page + 1, int(found["meta"]["totalPages"])
    return Dataset(name, items)


def create_dataset(name: str, *, description: str | None = None, metadata: Any = None) -> Dataset:
    """Make a dataset, or update what is said of it.

    Raises:
        ServerError: the server cannot be asked, or refuses.
    """
    body = {"name": name, "description": description, "metadata": metadata}
    server.call("POST", "/v2/datasets", {k: v for k, v in body.items() if v is not None})
    return Dataset(name, [])


def add_item(
    dataset: str, input: Any, expected_output: Any = None, *, metadata: Any = None, item_id: str | None = None,
    trace_id: str | None = None,
) -> Item:  # fmt: skip
    """Add an item, or replace the one with that id.

    Raises:
        ServerError: the server cannot be asked, or refuses.
    """
    body = {
        "datasetName": dataset, "input": input, "expectedOutput": expected_output, "metadata": metadata, "id": item_id,
        "sourceTraceId": trace_id,
    }  # fmt: skip
    return _item(server.call("POST", "/dataset-items", {k: v for k, v in body.items() if v is not None}))


def _item(row: Mapping[str, Any]) -> Item:
    return Item(row["id"], row["datasetName"], row.get("input"), row.get("expectedOutput"), row.get("metadata"))
