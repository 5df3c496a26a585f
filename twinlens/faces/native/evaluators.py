"""Evaluators: what they are, whether they run, and what became of each judgement."""

from __future__ import annotations

from typing import Annotated, Literal

from litestar import get, post
from litestar.params import FromPath, QueryParameter

from twinlens.domain.evaluator import Evaluation, Evaluator, Rule
from twinlens.faces.http import AnyRequest, in_thread, services
from twinlens.faces.native import evaluator_schemas as e
from twinlens.faces.native.reply import Limit, reading, whole_id, writing
from twinlens.faces.native.rows import ms

_BASE = "/projects/{project_id:str}/evaluators"
StatusText = Annotated[
    Literal["pending", "done", "failed"] | None, QueryParameter(name="status", description="pending, done or failed.")
]


def _row(evaluator: Evaluator, rules: list[Rule], counts: dict[str, int]) -> e.EvaluatorRow:
    used = [rule for rule in rules if any(a.evaluator_id == evaluator.evaluator_id for a in rule.assignments)]
    return e.EvaluatorRow(
        id=evaluator.evaluator_id, name=evaluator.name, kind=evaluator.kind, version=evaluator.version,
        description=evaluator.description, model=evaluator.definition.model, experiment_id=evaluator.experiment_id,
        prompt="\n\n".join(message.content for message in evaluator.definition.messages),
        data_type=evaluator.definition.output.data_type, paused=evaluator.paused_ns is not None,
        paused_message=evaluator.paused_message,
        rules=[
            e.EvaluatorRule(
                id=rule.rule_id, name=rule.name, enabled=rule.enabled, sampling=rule.sampling, target=rule.target
            )
            for rule in used
        ],
        pending=counts.get("pending", 0), done=counts.get("done", 0), failed=counts.get("failed", 0),
        updated_ms=ms(evaluator.updated_ns),
    )  # fmt: skip


def _evaluation(row: Evaluation) -> e.EvaluationRow:
    return e.EvaluationRow(
        id=row.evaluation_id, trace_id=row.trace_id, span_id=row.span_id, status=row.status, attempts=row.attempts,
        error=row.error, created_ms=ms(row.created_ns), updated_ms=ms(row.updated_ns),
    )  # fmt: skip


@get(_BASE, summary="List evaluators")
async def list_evaluators(request: AnyRequest, project_id: FromPath[str]) -> e.EvaluatorList:
    """Newest first, with the rules that apply each and how many judgements are done, due and failed."""
    allowed = await reading(request, whole_id(project_id))
    evaluators = services(request).evaluators

    def read() -> e.EvaluatorList:
        rules, counts = evaluators.rules(allowed), evaluators.counts(allowed)
        rows = [_row(each, rules, counts.get(each.evaluator_id, {})) for each in evaluators.list(allowed)]
        return e.EvaluatorList(evaluators=rows)

    return await in_thread(read)


@get(_BASE + "/{evaluator_id:str}/evaluations", summary="Judgements of an evaluator")
async def list_evaluations(
    request: AnyRequest, project_id: FromPath[str], evaluator_id: FromPath[str], status: StatusText = None,
    limit: Limit = 100,
) -> e.EvaluationList:  # fmt: skip
    """Newest first; a failed one says why."""
    allowed = await reading(request, whole_id(project_id))
    evaluators = services(request).evaluators
    found = await in_thread(lambda: evaluators.evaluations(allowed, whole_id(evaluator_id), status=status, limit=limit))
    return e.EvaluationList(evaluations=[_evaluation(row) for row in found])


@post(_BASE + "/{evaluator_id:str}/resume", summary="Let a paused evaluator run again", status_code=200)
async def resume_evaluator(
    request: AnyRequest, project_id: FromPath[str], evaluator_id: FromPath[str]
) -> e.EvaluatorRow:
    """What had failed is tried again. Code stays paused: it is not executed on the server."""
    allowed = await writing(request, whole_id(project_id))
    evaluators = services(request).evaluators

    def write() -> e.EvaluatorRow:
        found = evaluators.resume(allowed, whole_id(evaluator_id))
        return _row(found, evaluators.rules(allowed), evaluators.counts(allowed).get(found.evaluator_id, {}))

    return await in_thread(write)


HANDLERS = [list_evaluators, list_evaluations, resume_evaluator]
