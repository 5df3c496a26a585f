"""What every example of this folder checks: one trace, its tokens counted once, its cost computed from them."""

import mlflow

INPUT, OUTPUT = 123, 45  # what the stand-in for the provider reports of every call
COST = INPUT * 0.15e-6 + OUTPUT * 0.6e-6  # gpt-4o-mini


def check(experiment: str, *, calls: int = 1, kinds: set[str]) -> None:
    """The newest trace of an experiment holds ``calls`` model calls and spans of these kinds."""
    mlflow.flush_trace_async_logging()
    found = mlflow.search_traces(
        locations=[mlflow.get_experiment_by_name(experiment).experiment_id], return_type="list", max_results=5
    )
    assert len(found) == 1, [trace.info.trace_id for trace in found]
    info, spans = found[0].info, found[0].data.spans
    assert str(info.state) == "OK", info.state
    assert {span.span_type for span in spans} >= kinds, {(span.name, span.span_type) for span in spans}
    usage = info.token_usage
    assert usage["input_tokens"] == INPUT * calls, usage
    assert usage["output_tokens"] == OUTPUT * calls, usage
    cost = info.cost["total_cost"] if info.cost else None
    assert cost is not None, "no cost"
    assert abs(cost - COST * calls) < 1e-9, info.cost
    print(f"{len(spans)} spans, {usage['total_tokens']} tokens, {cost} USD")
