"""Runs judges over new traces, in the background.

What matches a rule is written down as an evaluation before anything is asked, so that a restart (or ``kill -9``) loses nothing: what
was pending is run afterwards, and a judgement that was under way is made again and has the same score id. New traces are found by
the time of their last change, so a trace that arrives late is judged too.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from twinlens.domain.clock import Clock, now_ns
from twinlens.domain.errors import InvalidState, NotFound, TwinlensError
from twinlens.domain.evaluator import Evaluation, Evaluator, Rule, evaluation_id, sampled
from twinlens.domain.score import Score
from twinlens.domain.trace import Span
from twinlens.features.assessments import value_fields
from twinlens.features.evaluators import Evaluators, items_of
from twinlens.features.judge import Connections, JudgeFailed, JudgeRefused, Verdict, ask
from twinlens.features.judge_values import values_of
from twinlens.ingest.batch import Batch
from twinlens.ingest.writer import Ingest
from twinlens.query import langfuse_filter
from twinlens.query.mlflow_trace_filter import trace_filter
from twinlens.store.catalog.engine import Catalog
from twinlens.store.catalog.evaluators import EvaluatorTable, all_due, all_enabled, next_due
from twinlens.store.telemetry.interface import TelemetryStore
from twinlens.store.telemetry.query import Cmp, Expr, Query, all_of

_log = logging.getLogger(__name__)
_S = 1_000_000_000
#: A change is stamped shortly before it is committed; so far back each look reaches.
OVERLAP_NS = 5 * _S
MAX_ATTEMPTS = 3
RETRY_S = 2.0  #: before the second attempt; four times as long before the third
WORKERS = 4
PAUSE_S = 0.5  #: between two looks, so that a busy writer is not asked after each commit
_PAGE = 500


class Wake:
    """What wakes the worker: a changed rule at any time, a commit only while some rule is enabled."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.watching = False

    def committed(self) -> None:
        """New rows can be read. Called by the writer; returns at once."""
        if self.watching:
            self.event.set()

    def changed(self) -> None:
        """Rules or evaluators have changed."""
        self.event.set()


class EvaluationWorker:
    """See the module's text."""

    def __init__(
        self, catalog: Catalog, evaluators: Evaluators, telemetry: TelemetryStore, ingest: Ingest,
        connections: Connections, wake: Wake, clock: Clock = now_ns,
    ) -> None:  # fmt: skip
        self._catalog = catalog
        self._evaluators = evaluators
        self._telemetry = telemetry
        self._ingest = ingest
        self._connections = connections
        self._clock = clock
        self._wake = wake
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin with what an earlier process left."""
        self._thread = threading.Thread(target=self._run, name="twinlens-evaluations", daemon=True)
        self._thread.start()
        self._wake.changed()

    def close(self) -> None:
        """Finish the judgements under way, leave the rest for the next start."""
        self._closing.set()
        self._wake.event.set()
        if self._thread is not None:
            self._thread.join(timeout=30)

    # --- the thread --------------------------------------------------------------------------------------------
    def _run(self) -> None:
        with ThreadPoolExecutor(WORKERS, thread_name_prefix="twinlens-judge") as pool:
            while not self._closing.is_set():
                try:
                    self._wake.event.wait(self._rest())
                    self._wake.event.clear()
                    if not self._closing.is_set():
                        self.look()
                    while not self._closing.is_set() and self.judge(pool.map):
                        pass
                except Exception:  # this thread must live on; the next change tries again
                    _log.exception("evaluations could not be run")
                self._closing.wait(PAUSE_S)

    def _rest(self) -> float | None:
        with self._catalog.read() as connection:
            due = next_due(connection)
        return None if due is None else max(0.05, (due - self._clock()) / _S)

    def look(self) -> int:
        """Write down what has come to be judged; how many evaluations."""
        with self._catalog.read() as connection:
            enabled = all_enabled(connection)
        self._wake.watching = bool(enabled)
        total = 0
        for project_id, rule in enabled:
            started = self._clock()
            found = self._matching(project_id, rule)
            with self._catalog.write() as connection:
                table = EvaluatorTable(connection, project_id)
                table.schedule(found)
                table.set_seen(rule.rule_id, started)
            total += len(found)
        return total

    def _matching(self, project_id: str, rule: Rule) -> list[Evaluation]:
        since = Cmp("updated_ns", ">=", max(rule.created_ns, rule.seen_ns - OVERLAP_NS))
        ended = Cmp("end_ns", "is not null")
        where: Expr
        if rule.target == "trace":
            where = all_of(
                since, ended, Cmp("root_span_id", "is not null"), trace_filter(rule.filter_text),
                None if rule.experiment_id is None else Cmp("experiment_id", "=", rule.experiment_id),
            )  # fmt: skip
            read = self._telemetry.traces
        else:
            where = all_of(since, ended, langfuse_filter.build(items_of(rule.filter), langfuse_filter.OBSERVATIONS))
            read = self._telemetry.spans
        found: list[Evaluation] = []
        cursor: str | None = None
        now = self._clock()
        while True:
            page = read(Query(project_id=project_id, where=where, limit=_PAGE, cursor=cursor))
            for row in page.rows:
                span_id = row.span_id if isinstance(row, Span) else row.root_span_id
                if sampled(rule, row.trace_id, span_id):
                    found += [
                        Evaluation(
                            evaluation_id=evaluation_id(each.evaluator_id, row.trace_id, span_id),
                            evaluator_id=each.evaluator_id, rule_id=rule.rule_id, trace_id=row.trace_id,
                            span_id=span_id, target=rule.target, due_ns=now, created_ns=now, updated_ns=now,
                        )
                        for each in rule.assignments
                    ]  # fmt: skip
            cursor = page.next_cursor
            if cursor is None:
                return found

    def judge(self, run: Callable[..., Any] = map) -> int:
        """Make the judgements that are due, a page of them; how many there were."""
        with self._catalog.read() as connection:
            due = all_due(connection, self._clock(), WORKERS * 4)
        for _ in run(lambda each: self._one(*each), due):
            pass
        return len(due)

    def _one(self, project_id: str, evaluation: Evaluation) -> None:
        now = self._clock()
        done = msgspec.structs.replace(evaluation, attempts=evaluation.attempts + 1, updated_ns=now)
        try:
            self._ingest.submit_sync(Batch(project_id=project_id, scores=self._scores(project_id, evaluation)))
            done.status, done.error = "done", None
        except (JudgeRefused, InvalidState) as error:
            done.status, done.error = "failed", str(error)
            self._evaluators.pause(project_id, evaluation.evaluator_id, "MODEL_REFUSED", str(error))
        except TwinlensError as error:
            again = isinstance(error, JudgeFailed) and done.attempts < MAX_ATTEMPTS
            done.status, done.error = ("pending" if again else "failed"), str(error)
            done.due_ns = now + int(RETRY_S * 4 ** (done.attempts - 1) * _S)
        except Exception as error:
            _log.exception("evaluation %s failed", evaluation.evaluation_id)
            done.status, done.error = "failed", f"unexpected: {error}"
        with self._catalog.write() as connection:
            EvaluatorTable(connection, project_id).put_evaluation(done)

    def _scores(self, project_id: str, evaluation: Evaluation) -> list[Score]:
        evaluator = self._evaluators.get(project_id, evaluation.evaluator_id)
        if evaluator.paused_ns is not None:
            raise NotFound(f"the evaluator is paused: {evaluator.paused_message or evaluator.paused_reason}")
        definition = evaluator.definition
        span = self._telemetry.span(project_id, evaluation.trace_id, evaluation.span_id)
        if span is None:
            raise NotFound("the trace is no longer there")
        mapping = self._mapping(project_id, evaluation, evaluator)
        values = values_of(self._telemetry, project_id, span, definition.variables, mapping)
        connection = self._connections(project_id, definition.provider, definition.model)
        return _scores_of(evaluator, evaluation, span, ask(connection, definition, values), self._clock())

    def _mapping(self, project_id: str, evaluation: Evaluation, evaluator: Evaluator) -> list[Any] | None:
        """The rule's mapping of the evaluator's variables, else the evaluator's own."""
        try:
            rule = self._evaluators.rule(project_id, evaluation.rule_id)
        except NotFound:
            return evaluator.definition.mapping
        own = (a.mapping for a in rule.assignments if a.evaluator_id == evaluator.evaluator_id)
        return next(own, None) or evaluator.definition.mapping


def _scores_of(
    evaluator: Evaluator, evaluation: Evaluation, span: Span, verdict: Verdict, now: int
) -> list[Score]:  # fmt: skip
    whole = evaluation.target == "trace"
    metadata = {"evaluator_id": evaluator.evaluator_id, "evaluator_version": evaluator.version}
    if verdict.tokens is not None:
        metadata["total_tokens"] = verdict.tokens
    return [
        Score(
            score_id=evaluation.evaluation_id if index == 0 else f"{evaluation.evaluation_id}-{index}",
            name=evaluator.name, trace_id=span.trace_id, span_id=None if whole else span.span_id, source="judge",
            source_id=verdict.model, comment=verdict.reasoning, metadata=metadata,
            environment=span.environment or "default", timestamp_ns=now, created_ns=now, updated_ns=now,
            **value_fields(value),
        )
        for index, value in enumerate(verdict.values)
    ]  # fmt: skip
