"""The lines of the table, with the targets of the design (2 cores, load generator included)."""

from __future__ import annotations

from bench.book import Book, Row, Target


def book() -> Book:
    """A fresh, empty table."""
    return Book([
        Row("otlp", "OTLP spans, 100 per request, 4 connections: stored and readable", "/s", True,
            Target(at_least=15_000, times=100, text="≥ 15,000/s and ≥ 100× MLflow")),
        Row("otlp_ack", "the same: acknowledged", "/s", True),
        Row("otlp_lag", "the same: part that is readable when the last answer arrives", "%", True,
            Target(at_least=100, text="acknowledged = readable")),
        Row("otlp_one", "OTLP spans, 100 per request, 1 connection: stored and readable", "/s", True),
        Row("log_metric", "log_metric, one synchronous connection", "/s", True,
            Target(at_least=300, times=15, text="≥ 300/s and ≥ 15× MLflow")),
        Row("log_metric_client", "log_metric, the mlflow client itself (MlflowClient, synchronous)", "/s", True),
        Row("log_batch", "log_batch metric points, 1,000 per batch, 1 connection", "/s", True),
        Row("log_batch_4", "log_batch metric points, 1,000 per batch, 4 connections", "/s", True,
            Target(at_least=60_000, text="≥ 60,000/s")),
        Row("runs_300", "runs/search, 100 of 300 runs (20 metrics, 10 params each), p50", "ms", False,
            Target(at_most=10, text="≤ 10 ms")),
        Row("runs_300_filter", "runs/search among 300 with metric and param filter, metric order, p50", "ms", False),
        Row("runs_10k_plain", "runs/search, first 100 of 10,000, p95", "ms", False),
        Row("runs_10k_filter", "runs/search among 10,000 with metric and param filter, metric order, p95", "ms", False),
        Row("runs_100k_filter", "runs/search among 100,000 with metric and param filter, metric order, p95", "ms", False,
            Target(at_most=30, text="≤ 30 ms p95")),
        Row("runs_100k_plain", "runs/search, first 100 of 100,000, p95", "ms", False),
        Row("wide_search", "runs/search by one of 12,000 metric keys of an experiment, filter and order, p50", "ms", False),
        Row("wide_run", "runs/get of a run with 12,000 metrics, p50", "ms", False),
        Row("long_write", "1,000,000 points of one metric, 1,000 per log_batch, 1 connection", "/s", True),
        Row("long_chart", "the chart of those points (320 samples), p50", "ms", False),
        Row("long_page", "the first 25,000 of those points, p50", "ms", False),
        Row("prompt_get", "prompt get (Langfuse API), 4 connections", "/s", True, Target(at_least=2_000, text="≥ 2,000/s")),
        Row("langfuse_events", "Langfuse ingestion, 100 events per request, 4 connections: durable and readable", "/s", True,
            Target(at_least=10_000, text="≥ 10,000/s")),
        Row("list_small", "newest 50 traces of those just sent, p50", "ms", False),
        Row("trace_small", "one trace with its spans, by id, p50", "ms", False),
        Row("disk", "raw JSON of 100-turn agents ÷ bytes on disk", "×", True, Target(at_least=20, text="≥ 20× smaller")),
        Row("cold_start", "cold start, empty folder, to the first answer", "s", False, Target(at_most=1.5, text="≤ 1.5 s")),
        Row("idle_rss", "memory when idle (resident, all processes)", "MB", False, Target(at_most=200, text="≤ 200 MB")),
        Row("idle_pss", "memory when idle (shared pages counted once)", "MB", False),
        Row("processes", "processes", "", False, Target(at_most=1, text="1")),
        Row("sdk_start", "SDK: start-up, CPU time above a bare interpreter", "ms", False, Target(at_most=50, text="≤ 50 ms")),
        Row("sdk_span", "SDK: an empty span, CPU time of the caller's thread", "µs", False, Target(at_most=20, text="≤ 20 µs")),
        Row("sdk_generation", "SDK: a generation with text and tokens, CPU time of the caller's thread", "µs", False),
        Row("trouble_none", "SDK: an agent of 10 s with three healthy backends, time above the same unobserved", "%", False),
        *(
            Row(f"trouble_{key}", f"SDK: the same with backends that {what}, time above healthy ones", "%", False,
                Target(at_most=1, text="≤ 1 %"))
            for key, what in (
                ("dead", "are dead"), ("hanging", "hang"), ("dripping", "drip"), ("500", "answer 500"), ("401", "refuse the keys"),
                ("garbage", "answer 200 and garbage"),
            )
        ),
        *(
            row
            for key, api in (("mlflow", "MLflow's API"), ("langfuse", "Langfuse's API"), ("twinlens", "Twinlens"))
            for row in (
                Row(f"move_{key}", f"migrate 100,000 spans and 1,000 runs from {api}, compared", "s", False,
                    Target(at_most=180, text="≤ 3 min")),
                Row(f"move_{key}_memory", f"the same: memory of `twinlens migrate` from {api}", "MB", False,
                    Target(at_most=300, text="≤ 300 MB")),
            )
        ),
        Row("langfuse_p99", "Langfuse's must-have endpoints among 1,000,000 observations, 4 writers: the slowest p99", "ms", False,
            Target(at_most=100, text="≤ 100 ms")),
        Row("langfuse_within", "the same: endpoints whose p99 is within 100 ms", "%", True),
        Row("langfuse_huge_list", "all of a trace of 30,000 observations through /v2/observations, 1,000 a page", "s", False),
        Row("langfuse_huge_skeleton", "its skeleton, p50", "ms", False, Target(at_most=500, text="≤ 500 ms")),
        Row("langfuse_huge_get", "the whole trace by GET /traces/{id} with input and output, p50", "s", False,
            Target(at_most=5, text="≤ 5 s")),
        Row("big_newest", "newest 50 traces, p95", "ms", False, Target(at_most=25, text="≤ 25 ms")),
        Row("big_user", "newest 50 of one user, p95", "ms", False, Target(at_most=75, text="≤ 75 ms p95")),
        Row("big_model", "newest 50 of one model, p95", "ms", False, Target(at_most=75, text="≤ 75 ms p95")),
        Row("big_cost", "newest 50 above a cost, p95", "ms", False, Target(at_most=75, text="≤ 75 ms p95")),
        Row("big_tag", "newest 50 with a tag, p95", "ms", False, Target(at_most=75, text="≤ 75 ms p95")),
        Row("big_score", "newest 50 by score value, p95", "ms", False, Target(at_most=75, text="≤ 75 ms p95")),
        Row("big_all", "newest 50 by user, model, cost, tag and score together, p95", "ms", False,
            Target(at_most=75, text="≤ 75 ms p95")),
        Row("big_trace", "trace by id, p95", "ms", False, Target(at_most=15, text="≤ 15 ms")),
        Row("big_skeleton", "skeleton of a trace of 30,000 spans, p50", "ms", False, Target(at_most=500, text="≤ 500 ms")),
        Row("big_cost_model_day", "cost by model and day over all spans, p50", "ms", False,
            Target(at_most=150, text="≤ 150 ms")),
        Row("big_p95_name", "p95 latency by span name over all spans, p50", "ms", False, Target(at_most=500, text="≤ 500 ms")),
        Row("big_otlp", "OTLP spans, 100 per request, 4 connections, on top of it: stored and readable", "/s", True),
        Row("big_start", "start on that data to the first answer", "s", False),
        Row("big_memory", "memory after all of it (resident)", "MB", False),
        Row("big_disk", "bytes on disk per span", "B", False),
    ])  # fmt: skip
