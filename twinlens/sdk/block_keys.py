"""Every key of the ``observability:`` block, with its type, its default and one sentence for ``twinlens doctor``.

Sources: the guide's own block (mlflow and langfuse keys), the sibling guides and playbooks found in the wild. A key whose
``state`` is ``used`` changes what the SDK does; ``kept`` keys are legal, travel as resource attributes and do nothing else.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal["bool", "str", "int", "float", "list", "map", "any"]


class Key(NamedTuple):
    """One legal key. ``doc`` completes the sentence "This key …"."""

    name: str
    kind: Kind
    doc: str
    state: Literal["used", "kept"] = "used"
    secret: bool = False


def _keys(*keys: Key) -> dict[str, Key]:
    return {key.name: key for key in keys}


_LOGGING = (
    Key("log_params", "bool", "records one run per agent run with its parameters (default true)"),
    Key("log_metrics", "bool", "adds tokens, cost, latency and scores to that run as metrics (default true)"),
    Key("log_artifacts", "bool", "stores the trace and the playbook as artifacts of that run (default true)"),
)

BACKENDS: dict[str, dict[str, Key]] = {
    "mlflow": _keys(
        Key("tracking_uri", "str", "is the MLflow server's address (default: MLFLOW_TRACKING_URI)"),
        Key("experiment_name", "str", "names the experiment that receives traces and runs (created when absent)"),
        *_LOGGING,
        Key("tags", "map", "are set on every run and trace"),
        Key("metadata", "map", "is set on every run as tags"),
        Key("username", "str", "logs in with a password (default: MLFLOW_TRACKING_USERNAME)"),
        Key("password", "str", "is that user's password (default: MLFLOW_TRACKING_PASSWORD)", secret=True),
        Key("token", "str", "logs in with a token (default: MLFLOW_TRACKING_TOKEN)", secret=True),
        Key("batch_processing", "map", "tunes batching of older adapters", "kept"),
        Key("custom_metrics", "list", "describes metrics of older adapters", "kept"),
        Key("debug", "bool", "asks older adapters for more output", "kept"),
        Key("log_level", "str", "sets the level of older adapters", "kept"),
    ),
    "langfuse": _keys(
        Key("host", "str", "is the Langfuse server's address (default: LANGFUSE_BASE_URL or LANGFUSE_HOST)"),
        Key("base_url", "str", "is another spelling of host"),
        Key("public_key", "str", "is the project's public key (default: LANGFUSE_PUBLIC_KEY)"),
        Key("secret_key", "str", "is its secret key (default: LANGFUSE_SECRET_KEY)", secret=True),
        Key("project", "str", "is written on every trace; the key pair decides the project"),
        Key("environment", "str", "sets the environment of every trace"),
        Key("release", "str", "sets the release of every trace"),
        Key("tags", "any", "are set on every trace (a list, or a map that becomes key:value)"),
        Key("custom_attributes", "list", "describes attributes of older adapters", "kept"),
        Key("feedback", "map", "describes a feedback form: {score_range, categories}", "kept"),
        Key("ab_testing", "map", "lists the variants that twinlens.assign chooses from: {variants: [{name, config}]}"),
        Key("cost_optimization", "map", "describes cost alerts", "kept"),
        Key("load_balancing", "map", "tunes batching of older adapters", "kept"),
        Key("flush_interval", "float", "is the longest wait in seconds before spans leave (default 1)"),
        Key("debug", "bool", "asks older adapters for more output", "kept"),
        Key("verbose", "bool", "asks older adapters for more output", "kept"),
        Key("test_mode", "bool", "is a switch of older adapters", "kept"),
        Key("log_level", "str", "sets the level of older adapters", "kept"),
    ),
    "twinlens": _keys(
        Key("url", "str", "is the Twinlens server's address (default: TWINLENS_URL or http://127.0.0.1:5001)"),
        Key("public_key", "str", "is the project's public key (default: TWINLENS_PUBLIC_KEY)"),
        Key("secret_key", "str", "is its secret key (default: TWINLENS_SECRET_KEY)", secret=True),
        Key("experiment_name", "str", "names the experiment that receives traces and runs (created when absent)"),
        *_LOGGING,
        Key("tags", "any", "are set on every trace and run"),
    ),
    "otlp": _keys(
        Key("endpoint", "str", "is where OTLP goes (default: OTEL_EXPORTER_OTLP_ENDPOINT)"),
        Key("headers", "map", "are sent with every request (default: OTEL_EXPORTER_OTLP_HEADERS)", secret=True),
    ),
    "jsonl": _keys(Key("path", "str", "is the file that spans are appended to (default: twinlens-traces.jsonl)")),
    "console": _keys(Key("stream", "str", "is stderr (default) or stdout")),
}

BLOCK: dict[str, Key] = _keys(
    Key("enabled", "bool", "switches everything off when false (default true)"),
    Key("backends", "list", "lists where telemetry goes: mlflow, langfuse, twinlens, otlp, jsonl, console"),
    Key("backend", "str", "is the single-backend spelling of backends"),
    Key("service_name", "str", "names the agent (default: the playbook's metadata.name)"),
    Key("capture_content", "bool", "false keeps prompts and answers out of all telemetry (default true)"),
    Key("sampling", "any", "is the share of traces to keep: a number, or {enabled, rate}"),
    Key("mask", "list", "lists regular expressions and detectors (email, phone, card, key) to blank out"),
    Key("tags", "any", "are set on every trace"),
    Key("ab_testing", "map", "lists the variants that twinlens.assign chooses from: {variants: [{name, config}]}"),
    Key("spool", "map", "limits the disk spool: {path, max_mb, max_age_hours}"),
    Key("tracing", "any", "is a switch or a map of switches; false turns spans off"),
    Key("metrics", "any", "is a switch or a map of switches", "kept"),
    Key("logging", "any", "is a switch or a map of switches", "kept"),
    Key("monitoring", "any", "describes alerts", "kept"),
    Key("alerts", "any", "describes alerts", "kept"),
    Key("debugging", "any", "is a switch of older adapters", "kept"),
    Key("dashboard", "any", "describes the older local dashboard", "kept"),
    Key("performance", "any", "describes the older local dashboard", "kept"),
    Key("export", "any", "describes the older local export", "kept"),
    Key("trace_export", "any", "describes the older local export", "kept"),
    Key("config", "map", "holds the options of a single backend"),
    Key("debug", "any", "is a switch of older adapters", "kept"),
    *(
        Key(name, "bool", "is a switch of older adapters", "kept")
        for name in ("debug_mode", "step_mode", "enable_breakpoints", "break_on_error", "break_on_memory")
    ),
    Key("trace_memory", "bool", "is always on", "kept"),
    Key("enable_mlflow", "bool", "adds mlflow to backends (older spelling)"),
    Key("enable_langfuse", "bool", "adds langfuse to backends (older spelling)"),
    Key("track_tool_latency", "bool", "is always on", "kept"),
    Key("track_protocol_usage", "bool", "is always on", "kept"),
    *(Key(name, "any", f"holds the options of the {name} backend") for name in BACKENDS),
)
