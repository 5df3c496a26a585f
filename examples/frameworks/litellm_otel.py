"""LiteLLM with its OpenTelemetry callback for Langfuse."""

import litellm
from litellm.litellm_core_utils.thread_pool_executor import executor

litellm.callbacks = ["langfuse_otel"]
litellm.completion(
    model="openai/gpt-4o-mini",
    messages=[{"role": "user", "content": "Why?"}],
    metadata={"trace_name": "litellm_otel"},
)
executor.shutdown(wait=True)  # callbacks run on its threads; the exporter is flushed at exit
