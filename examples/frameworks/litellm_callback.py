"""LiteLLM with its Langfuse callback, which speaks through Langfuse's SDK."""

import litellm
from litellm.litellm_core_utils import litellm_logging
from litellm.litellm_core_utils.thread_pool_executor import executor

litellm.success_callback = ["langfuse"]
litellm.completion(
    model="openai/gpt-4o-mini",
    messages=[{"role": "user", "content": "Why?"}],
    metadata={"trace_name": "litellm_callback"},
)
executor.shutdown(wait=True)  # callbacks run on its threads
litellm_logging.langFuseLogger.flush()
