"""The dialect tables, and which of them goes first when a span speaks several.

``docs/conventions.md`` shows all tables; ``tests/unit/ingest/test_conventions_doc.py`` keeps it equal to the code.
"""

from __future__ import annotations

from twinlens.ingest.dialects import (
    adk,
    claude_code,
    generic,
    genkit,
    haystack,
    laminar,
    langfuse,
    livekit,
    logfire,
    mastra,
    mlflow,
    openinference,
    openlit,
    strands,
    traceloop,
    vercel,
)  # fmt: skip
from twinlens.ingest.dialects.genai import GENAI_01, GENAI_136, GENAI_137
from twinlens.ingest.dialects.rule import Dialect

#: Order of recognition and, unless ``PRECEDENCE`` says otherwise, of authority over a field.
DIALECTS: tuple[Dialect, ...] = (
    langfuse.DIALECT,
    mlflow.DIALECT,
    openinference.DIALECT,
    genkit.DIALECT,
    vercel.DIALECT,
    adk.DIALECT,
    logfire.DIALECT,
    livekit.DIALECT,
    mastra.DIALECT,
    haystack.DIALECT,
    claude_code.DIALECT,
    laminar.DIALECT,
    strands.DIALECT,
    traceloop.DIALECT,
    openlit.DIALECT,
    GENAI_01,
    GENAI_137,
    GENAI_136,
    generic.DIALECT,
)

#: Fields whose order is finer than that: names of rules, or of dialects for all their other rules. Dialects that are not
#: named follow in their usual order. Input and output follow Langfuse's own receiver, so that a span shows the same
#: content here and there; ``events`` stands for GenAI messages in span events and log records.
_IO = (
    "langfuse",
    "genkit",
    "vercel",
    "events",
    "adk",
    "logfire:prompt",
    "logfire:all_messages_events",
    "logfire:request_data",
    "logfire:response_data",
    "logfire:events",
    "livekit",
    "mlflow",
    "mastra",
    "haystack",
    "claude-code",
    "laminar",
    "traceloop",
    "openinference:input.value",
    "openinference:output.value",
    "generic",
    "logfire",
    "genai-1.36",
    "openlit",
    "openinference",
    "genai-1.37",
    "genai-0.1",
)
PRECEDENCE: dict[str, tuple[str, ...]] = {
    "input": _IO,
    "output": _IO,
    "kind": (
        "langfuse",
        "mlflow",
        "openinference:openinference.span.kind",
        "genkit",
        "mastra",
        "claude-code",
        "traceloop:traceloop.span.kind",
        "genai-1.37:gen_ai.operation.name",
        "vercel",
        "traceloop",
        "logfire",
    ),
    "user_id": ("langfuse", "mlflow", "generic:user.id"),
    "session_id": ("langfuse", "mlflow", "generic:session.id"),
    "model": (
        "langfuse",
        "mlflow",
        "genai-1.37:gen_ai.response.model",
        "openinference:llm.response.model_name",
        "vercel",
        "genai-1.37:gen_ai.request.model",
    ),
}
