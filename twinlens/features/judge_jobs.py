"""Judges that somebody asks for on chosen traces, as jobs: one judge on some traces, or several as an evaluation run.

A job is a row of the catalog and keeps what it has found after each trace, so a restart goes on behind the last one; a judgement that is
made again has the same id. MLflow's page starts such jobs and asks how they fare.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from twinlens.domain.clock import Clock, now_ns
from twinlens.domain.errors import InvalidArgument, InvalidState, NotFound, TwinlensError
from twinlens.domain.evaluator import Definition, evaluation_id
from twinlens.domain.ids import new_uuid, possible_trace_ids
from twinlens.domain.job import Job
from twinlens.domain.run import LatestMetric
from twinlens.domain.score import Score
from twinlens.domain.trace import Span
from twinlens.features.assessments import value_fields
from twinlens.features.evaluation_runs import EVALUATION, RUN_TYPE
from twinlens.features.judge import Connections, ask
from twinlens.features.judge_values import values_of
from twinlens.features.runs import Runs
from twinlens.features.scorer_form import definition_of
from twinlens.features.traces import Traces
from twinlens.ingest.batch import Batch
from twinlens.ingest.writer import Ingest
from twinlens.store.catalog.engine import Catalog
from twinlens.store.catalog.jobs import JobTable, all_unfinished
from twinlens.store.telemetry.interface import TelemetryStore

_log = logging.getLogger(__name__)
JUDGE, EVALUATE = "invoke_scorer", "invoke_genai_evaluate"  #: names of the kinds, which are MLflow's
MAX_TRACES = 1_000
WORKERS = 2
_JOB_TAG = "mlflow.genaiEvaluate.jobId"
_RUN_KEY = "mlflow.assessment.sourceRunId"


class Failure(msgspec.Struct, kw_only=True):
    """Why a judge gave no score."""

    name: str
    message: str


class Found(msgspec.Struct, kw_only=True):
    """What judges said of one trace."""

    scores: list[Score] = []
    failures: list[Failure] = []


class JudgeJobs:
    """See the module's text. All methods block."""

    def __init__(
        self, catalog: Catalog, traces: Traces, telemetry: TelemetryStore, ingest: Ingest, runs: Runs,
        connections: Connections, clock: Clock = now_ns,
    ) -> None:  # fmt: skip
        self._catalog = catalog
        self._traces = traces
        self._telemetry = telemetry
        self._ingest = ingest
        self._runs = runs
        self._connections = connections
        self._clock = clock
        self._closing = threading.Event()
        self._pool = ThreadPoolExecutor(
            WORKERS, thread_name_prefix="twinlens-jobs"
        )  # its threads start with the first job

    def start(self) -> None:
        """Go on with what an earlier process left."""
        with self._catalog.read() as connection:
            unfinished = all_unfinished(connection)
        for project_id, job_id in unfinished:
            self._pool.submit(self._run, project_id, job_id)

    def close(self) -> None:
        """Finish the judgements under way, leave the rest for the next start."""
        self._closing.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    # --- asking -----------------------------------------------------------------------------------------------------
    def judge(
        self, project_id: str, experiment_id: str, scorer: str, trace_ids: Sequence[str], *, keep: bool,
        creator: str | None,
    ) -> Job:  # fmt: skip
        """Have one judge look at traces.

        Args:
            scorer: serialized as MLflow's library does.
            keep: store the scores on the traces, instead of only in the job's result.

        Raises:
            InvalidArgument: no judge that can run here, no traces, or traces of other experiments.
        """
        ids = self._checked(project_id, experiment_id, trace_ids, [scorer])
        params = {
            "experiment_id": experiment_id, "serialized_scorers": [scorer], "trace_ids": ids, "log_assessments": keep,
        }  # fmt: skip
        return self._add(project_id, JUDGE, params, len(ids), creator)

    def evaluate(
        self, project_id: str, experiment_id: str, scorers: Sequence[str], trace_ids: Sequence[str], creator: str | None
    ) -> tuple[Job, str]:
        """Have judges look at traces as an evaluation run; the job and the run's id.

        Raises:
            InvalidArgument: as ``judge``.
        """
        if not scorers:
            raise InvalidArgument("Please select at least one judge.")
        ids = self._checked(project_id, experiment_id, trace_ids, scorers)
        run = self._runs.create(project_id, experiment_id, user_id=creator, tags=[(RUN_TYPE, EVALUATION)])
        params = {
            "experiment_id": experiment_id, "serialized_scorers": list(scorers), "trace_ids": ids, "log_assessments": True,
            "run_id": run.run_id,
        }  # fmt: skip
        job = self._add(project_id, EVALUATE, params, len(ids), creator)
        self._runs.set_tag(project_id, run.run_id, _JOB_TAG, job.job_id)
        return job, run.run_id

    def get(self, project_id: str, job_id: str) -> Job:
        """One job.

        Raises:
            NotFound: no such job.
        """
        with self._catalog.read() as connection:
            found = JobTable(connection, project_id).get(job_id)
        if found is None:
            raise NotFound(f"Job with ID {job_id} not found")
        return found

    def search(
        self, project_id: str, name: str | None, statuses: Sequence[str] | None, limit: int = 1_000
    ) -> list[Job]:  # fmt: skip
        """Jobs of a name and in some states, newest first."""
        with self._catalog.read() as connection:
            return JobTable(connection, project_id).all(name, statuses, limit)

    def cancel(self, project_id: str, job_id: str) -> Job:
        """Stop a job after the trace at hand; what it has found stays.

        Raises:
            NotFound: no such job.
            InvalidState: it has ended.
        """
        job = self.get(project_id, job_id)
        job.status, job.updated_ns = "CANCELED", self._clock()
        with self._catalog.write() as connection:
            if not JobTable(connection, project_id).put(job):
                raise InvalidState(f"Job {job_id} has ended already")
        self._end_run(project_id, job, "KILLED")
        return job

    @staticmethod
    def name_of(scorer: str) -> str:
        """The name in a serialized scorer.

        Raises:
            InvalidArgument: no scorer that can run here.
        """
        return _judge(scorer)[0]

    @staticmethod
    def found(job: Job) -> dict[str, Found]:
        """What a job has found so far, by trace."""
        return msgspec.convert(job.result or {}, dict[str, Found])

    # --- the work ---------------------------------------------------------------------------------------------------
    def _run(self, project_id: str, job_id: str) -> None:
        try:
            job = self.get(project_id, job_id)
            found = self.found(job)
            job.status = "RUNNING"
            judges = [_judge(text) for text in job.params["serialized_scorers"]]
            for trace_id in job.params["trace_ids"]:
                if trace_id not in found:
                    if self._closing.is_set() or not self._put(project_id, job):
                        return
                    found[trace_id] = self._look(project_id, job, trace_id, judges)
                    job.result, job.completed = msgspec.to_builtins(found), len(found)
            failures = [failure.message for each in found.values() for failure in each.failures]
            failed = bool(failures) and not any(each.scores for each in found.values())
            self._log_means(project_id, job, found)
            # Whoever sees the job ended finds the run ended too.
            self._end_run(project_id, job, "FAILED" if failed else "FINISHED")
            job.status, job.error = ("FAILED", failures[0]) if failed else ("SUCCEEDED", None)
            if not self._put(project_id, job):  # cancelled meanwhile
                self._end_run(project_id, job, "KILLED")
        except Exception:
            _log.exception("job %s failed", job_id)

    def _look(self, project_id: str, job: Job, trace_id: str, judges: Sequence[tuple[str, Definition]]) -> Found:
        """Have all judges of a job look at one trace."""
        made = Found()
        span = self._root(project_id, trace_id)
        for name, definition in judges:
            try:
                if span is None:
                    raise NotFound("the trace is no longer there, or has no root span")
                values = values_of(self._telemetry, project_id, span, definition.variables, definition.mapping)
                verdict = ask(self._connections(project_id, definition.provider, definition.model), definition, values)
            except TwinlensError as error:
                made.failures.append(Failure(name=name, message=error.message))
                continue
            now = self._clock()
            metadata: dict[str, Any] = {"total_tokens": verdict.tokens} if verdict.tokens is not None else {}
            if run_id := job.params.get("run_id"):
                metadata[_RUN_KEY] = run_id
            made.scores += [
                Score(
                    score_id=evaluation_id(f"{job.job_id}/{name}/{index}", trace_id, span.span_id), name=name,
                    trace_id=span.trace_id, source="judge", source_id=verdict.model, comment=verdict.reasoning,
                    metadata=metadata, environment=span.environment or "default", timestamp_ns=now, created_ns=now,
                    updated_ns=now, **value_fields(value),
                )
                for index, value in enumerate(verdict.values)
            ]  # fmt: skip
        if job.params["log_assessments"] and made.scores:
            self._ingest.submit_sync(Batch(project_id=project_id, scores=made.scores))
        if span is not None and (run_id := job.params.get("run_id")):
            self._traces.link_run(project_id, [span.trace_id], run_id)
        return made

    def _root(self, project_id: str, trace_id: str) -> Span | None:
        found = self._telemetry.trace(project_id, trace_id, with_io=False)
        if found is None or found.root_span_id is None:
            return None
        return self._telemetry.span(project_id, found.trace_id, found.root_span_id)

    def _log_means(self, project_id: str, job: Job, found: dict[str, Found]) -> None:
        """The mean of each judge's numbers becomes a metric of the run, as ``mlflow.genai.evaluate`` does."""
        run_id = job.params.get("run_id")
        if run_id is None:
            return
        numbers: dict[str, list[float]] = {}
        for score in (score for each in found.values() for score in each.scores):
            if score.value is not None:
                numbers.setdefault(score.name, []).append(score.value)
        now = self._clock() // 1_000_000
        means = [
            LatestMetric(key=f"{name}/mean", value=sum(given) / len(given), timestamp_ms=now, step=0)
            for name, given in numbers.items()
        ]
        if means:
            self._runs.log_batch(project_id, run_id, metrics=means)

    def _end_run(self, project_id: str, job: Job, status: str) -> None:
        run_id = job.params.get("run_id")
        if run_id is not None:
            self._runs.update(project_id, run_id, status=status, end_ms=self._clock() // 1_000_000)

    # ----------------------------------------------------------------------------------------------------------------
    def _checked(
        self, project_id: str, experiment_id: str, trace_ids: Sequence[str], scorers: Sequence[str]
    ) -> list[str]:  # fmt: skip
        """Canonical ids of the traces, each once."""
        if not trace_ids:
            raise InvalidArgument("Please select at least one trace to evaluate.")
        if len(trace_ids) > MAX_TRACES:
            raise InvalidArgument(f"A job judges at most {MAX_TRACES} traces, not {len(trace_ids)}")
        for scorer in scorers:
            _judge(scorer)
        found: list[str] = []
        for given in dict.fromkeys(trace_ids):
            candidates = (self._telemetry.trace(project_id, each, with_io=False) for each in possible_trace_ids(given))
            trace = next((each for each in candidates if each is not None), None)
            if trace is None or trace.experiment_id != experiment_id:
                raise InvalidArgument(f"Trace '{given}' does not belong to experiment '{experiment_id}'.")
            found.append(trace.trace_id)
        return list(dict.fromkeys(found))

    def _add(self, project_id: str, name: str, params: dict[str, Any], total: int, creator: str | None) -> Job:
        now = self._clock()
        job = Job(
            job_id=new_uuid(), name=name, params=params, total=total, creator=creator, created_ns=now, updated_ns=now
        )
        with self._catalog.write() as connection:
            JobTable(connection, project_id).add(job)
        self._pool.submit(self._run, project_id, job.job_id)
        return job

    def _put(self, project_id: str, job: Job) -> bool:
        """Store how far a job is; False when it was cancelled or its project removed."""
        job.updated_ns = self._clock()
        with self._catalog.write() as connection:
            return JobTable(connection, project_id).put(job)


def _judge(serialized: str) -> tuple[str, Definition]:
    """Name and content of a judge that can run here.

    Raises:
        InvalidArgument: it cannot.
    """
    definition = definition_of(serialized)
    name = msgspec.json.decode(serialized).get("name")
    if not isinstance(name, str) or not name:
        raise InvalidArgument("A registered scorer must contain a valid name")
    if not definition.messages:
        raise InvalidArgument(
            f"'{name}' runs only in MLflow's library (mlflow.genai.evaluate); judges made by make_judge run on the server."
        )
    return name, definition
