"""The libraries that ``twinlens run`` and the start-up hook observe, and by what. Data only; read from top to bottom.

Of a library's packages the first one that is installed is used. They are named by distribution: the class comes from the
distribution's own ``opentelemetry_instrumentor`` entry point. Packages of other families report the same calls, so that two of
them would count each call twice. A library without an installed package falls back on ``builtin``, a module of this package.
``native`` libraries report by themselves once asked; nothing needs to be installed for them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Library:
    """One library.

    Args:
        name: how people call it.
        distribution: what is installed when it is there.
        module: importing it switches the observer on.
        packages: instrumentor distributions, best first: those that report tokens and text.
        builtin: module below ``twinlens.sdk.instrument`` with ``install()``, or empty.
        native: ``module:attribute`` to call, ``-`` when nothing needs to be called, or empty.
    """

    name: str
    distribution: str
    module: str
    packages: tuple[str, ...] = ()
    builtin: str = ""
    native: str = ""


def _both(name: str) -> tuple[str, ...]:
    return f"opentelemetry-instrumentation-genai-{name}", f"openinference-instrumentation-{name}"


LIBRARIES = (
    Library("SuperOptiX", "superoptix", "superoptix.observability.tracer", builtin="superoptix_runs"),
    # OpenInference's package for DSPy reports no tokens, OpenTelemetry's no modules and tools; our own does both.
    Library("DSPy", "dspy", "dspy", builtin="dspy_calls"),
    Library("OpenAI", "openai", "openai", (*_both("openai"), "opentelemetry-instrumentation-openai"), builtin="openai_calls"),
    # The genai package for the Agents SDK reports agents only; its model calls come from the OpenAI row.
    Library("OpenAI Agents", "openai-agents", "agents",
            ("openinference-instrumentation-openai-agents", "opentelemetry-instrumentation-genai-openai-agents")),
    Library("Pydantic AI", "pydantic-ai-slim", "pydantic_ai", native="pydantic_ai:Agent.instrument_all"),
    Library("LangChain/LangGraph", "langchain-core", "langchain_core",
            ("openinference-instrumentation-langchain", "opentelemetry-instrumentation-genai-langchain",
             "opentelemetry-instrumentation-langchain")),
    Library("CrewAI", "crewai", "crewai",
            ("openinference-instrumentation-crewai", "opentelemetry-instrumentation-crewai")),
    Library("Google ADK", "google-adk", "google.adk", native="-"),
    Library("LlamaIndex", "llama-index-core", "llama_index.core",
            ("openinference-instrumentation-llama-index", "opentelemetry-instrumentation-genai-llama-index",
             "opentelemetry-instrumentation-llamaindex")),
    Library("LiteLLM", "litellm", "litellm",
            ("openinference-instrumentation-litellm", "opentelemetry-instrumentation-litellm"), builtin="litellm_calls"),
    Library("Anthropic", "anthropic", "anthropic", (*_both("anthropic"), "opentelemetry-instrumentation-anthropic")),
    Library("Google GenAI", "google-genai", "google.genai",
            ("opentelemetry-instrumentation-google-genai", "openinference-instrumentation-google-genai")),
    Library("MCP", "mcp", "mcp", ("openinference-instrumentation-mcp", "opentelemetry-instrumentation-mcp")),
    Library("Claude Agent SDK", "claude-agent-sdk", "claude_agent_sdk",
            ("openinference-instrumentation-claude-agent-sdk",)),
    Library("smolagents", "smolagents", "smolagents", _both("smolagents")),
    Library("Agno", "agno", "agno", _both("agno")),
    Library("Groq", "groq", "groq", ("openinference-instrumentation-groq",)),
    Library("Mistral", "mistralai", "mistralai", ("openinference-instrumentation-mistralai",)),
    Library("Haystack", "haystack-ai", "haystack", ("openinference-instrumentation-haystack",)),
)  # fmt: skip

#: Modules that need a mark when their library is observed: the library's name, and the module below ``twinlens.sdk.instrument`` that
#: makes the mark.
MARKS = {"langchain_core.language_models.chat_models": ("LangChain/LangGraph", "langchain_marks")}
