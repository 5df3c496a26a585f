"""What the versions of a prompt did in production: calls, cost, latency and scores of the spans that name them."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from twinlens.store.telemetry.interface import TelemetryStore
from twinlens.store.telemetry.query import Aggregate, Cmp, Dimension, Measure, Order, Query, all_of

DAY_NS = 86_400_000_000_000
#: Scores are averaged over this many of the newest calls.
SCORED_CALLS = 2_000


class ScoreMean(msgspec.Struct, kw_only=True):
    """One score's mean over the calls of a version. Booleans count as 0 and 1."""

    name: str
    mean: float
    count: int


class VersionUsage(msgspec.Struct, kw_only=True):
    """Calls of one version. Money is USD, latencies are nanoseconds (None: no call has ended)."""

    version: int
    calls: int
    errors: int
    input_tokens: int
    output_tokens: int
    cost: float
    p50_ns: float | None = None
    p95_ns: float | None = None
    scores: list[ScoreMean] = []


class DayUsage(msgspec.Struct, kw_only=True):
    """Calls of one version on one day (UTC)."""

    day_ns: int
    version: int
    calls: int
    cost: float


class PromptUsage:
    """Reads on any thread. Counts and money come from the rollup, so they outlive the payloads' retention."""

    def __init__(self, telemetry: TelemetryStore) -> None:
        self._telemetry = telemetry

    def calls(self, project_id: str, since_ns: int, until_ns: int) -> dict[str, int]:
        """Calls by prompt, for lists."""
        found = self._telemetry.rollup(project_id, since_ns=since_ns, until_ns=until_ns, by=["prompt_name"])
        return {str(keys["prompt_name"]): sums.spans for keys, sums in found if keys["prompt_name"]}

    def by_day(self, project_id: str, name: str, since_ns: int, until_ns: int) -> list[DayUsage]:
        """Calls by day and version, oldest first; days without calls are left out."""
        found = self._telemetry.rollup(
            project_id,
            since_ns=since_ns,
            until_ns=until_ns,
            by=["day_ns", "prompt_version"],
            where={"prompt_name": name},
        )
        return [
            DayUsage(
                day_ns=int(keys["day_ns"]), version=int(keys["prompt_version"]), calls=sums.spans, cost=sums.total_cost
            )
            for keys, sums in found
            if keys["prompt_version"] is not None
        ]

    def by_version(self, project_id: str, name: str, since_ns: int, until_ns: int) -> list[VersionUsage]:
        """Totals of each version that was called, newest version first."""
        found = self._telemetry.rollup(
            project_id, since_ns=since_ns, until_ns=until_ns, by=["prompt_version"], where={"prompt_name": name}
        )
        latency = self._latency(project_id, name, since_ns, until_ns)
        scores = self._scores(project_id, name, since_ns, until_ns)
        usage: list[VersionUsage] = []
        for keys, sums in found:
            if keys["prompt_version"] is None:
                continue
            version = int(keys["prompt_version"])
            p50, p95 = latency.get(version, (None, None))
            usage.append(
                VersionUsage(
                    version=version, calls=sums.spans, errors=sums.errors, input_tokens=sums.input_tokens,
                    output_tokens=sums.output_tokens, cost=sums.total_cost, p50_ns=p50, p95_ns=p95,
                    scores=scores.get(version, []),
                )
            )  # fmt: skip
        return sorted(usage, key=lambda one: -one.version)

    def _latency(
        self, project_id: str, name: str, since_ns: int, until_ns: int
    ) -> Mapping[int, tuple[float | None, float | None]]:
        rows = self._telemetry.aggregate(
            Aggregate(
                project_id=project_id, view="spans", dimensions=(Dimension("version", "prompt_version"),),
                measures=(Measure("p50", "p50", "latency_ns"), Measure("p95", "p95", "latency_ns")),
                where=all_of(
                    Cmp("prompt_name", "=", name), Cmp("start_ns", ">=", since_ns), Cmp("start_ns", "<", until_ns)
                ),
            )
        )  # fmt: skip
        return {int(row["version"]): (row["p50"], row["p95"]) for row in rows if row["version"] is not None}

    def _scores(self, project_id: str, name: str, since_ns: int, until_ns: int) -> dict[int, list[ScoreMean]]:
        """Scores of the calls themselves, and of their trace when only one version was called in it."""
        spans = self._telemetry.spans(
            Query(
                project_id=project_id, order=(Order("start_ns"),), limit=SCORED_CALLS,
                where=all_of(
                    Cmp("prompt_name", "=", name), Cmp("start_ns", ">=", since_ns), Cmp("start_ns", "<", until_ns)
                ),
            )
        ).rows  # fmt: skip
        of_span = {(s.trace_id, s.span_id): s.prompt_version for s in spans if s.prompt_version is not None}
        of_trace: dict[str, set[int]] = {}
        for (trace_id, _), version in of_span.items():
            of_trace.setdefault(trace_id, set()).add(version)
        values: dict[tuple[int, str], list[float]] = {}
        for trace_id, scores in self._telemetry.scores_for(project_id, list(of_trace)).items() if of_trace else ():
            for score in scores:
                if not score.valid or score.value is None or score.data_type not in ("NUMERIC", "BOOLEAN"):
                    continue
                if score.span_id is not None:
                    version = of_span.get((trace_id, score.span_id))
                else:
                    version = next(iter(of_trace[trace_id])) if len(of_trace[trace_id]) == 1 else None
                if version is not None:
                    values.setdefault((version, score.name), []).append(score.value)
        found: dict[int, list[ScoreMean]] = {}
        for (version, score_name), numbers in sorted(values.items()):
            mean = ScoreMean(name=score_name, mean=sum(numbers) / len(numbers), count=len(numbers))
            found.setdefault(version, []).append(mean)
        return found
