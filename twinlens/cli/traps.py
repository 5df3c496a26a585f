"""Traps that agent builders fall into, each as a check of what is installed, set and written in the playbook."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from twinlens.cli.doctor import Finding
from twinlens.sdk.block import Block


@dataclass(frozen=True, slots=True)
class Scene:
    """What a check may look at. ``spec`` is the playbook's ``spec:`` (or the whole file)."""

    block: Block
    spec: dict[str, Any]

    def version(self, name: str) -> tuple[int, ...] | None:
        """Major and minor of an installed distribution; None when it is not there."""
        try:
            return tuple(int(n) for n in re.findall(r"\d+", version(name))[:2])
        except PackageNotFoundError:
            return None

    def between(self, name: str, low: tuple[int, int], high: tuple[int, int] = (999, 0)) -> bool:
        """Whether it is installed in a version from ``low`` to below ``high``."""
        found = self.version(name)
        return found is not None and low <= found < high

    @property
    def model(self) -> dict[str, Any]:
        """``language_model:`` of the playbook."""
        found = self.spec.get("language_model")
        return found if isinstance(found, dict) else {}

    def on(self, key: str) -> bool:
        """Whether ``spec.KEY.enabled`` is true."""
        found = self.spec.get(key)
        return bool(found.get("enabled")) if isinstance(found, dict) else found is True


Check = Callable[[Scene], Finding | None]


def _skops(scene: Scene) -> Finding | None:
    if scene.between("mlflow", (3, 14)) and scene.between("skops", (0, 15)):
        return Finding(
            "warn", "this MLflow saves scikit-learn models with skops, and this skops refuses tree models: log_model of a "
            "random forest fails in the client, whatever the server",
            "log_model(model, \"model\", serialization_format=\"cloudpickle\"), or pip install 'skops<0.15'",
        )  # fmt: skip
    return None


def _langfuse_major(scene: Scene) -> Finding | None:
    if scene.version("langfuse") and not scene.between("langfuse", (3, 0), (4, 0)):
        return Finding(
            "warn", "start_as_current_span and start_as_current_generation exist in Langfuse SDK 3 only, not in the installed one",
            "from twinlens import Langfuse, langfuse (any version), or start_as_current_observation(as_type=…)",
        )  # fmt: skip
    return None


def _dspy_ollama(scene: Scene) -> Finding | None:
    if str(scene.model.get("provider", "")).lower() == "ollama" and scene.between("dspy", (3, 4)):
        return Finding(
            "bad", "DSPy 3.4 refuses the empty key that SuperOptiX passes for Ollama models", "pip install dspy==3.3.1"
        )
    return None


def _api_base(scene: Scene) -> Finding | None:
    base = scene.model.get("api_base")
    if base and str(scene.model.get("provider", "")).lower() == "openai" and not os.environ.get("OPENAI_BASE_URL"):
        return Finding(
            "warn", "language_model.api_base is not passed on for the provider openai; calls go to OpenAI itself",
            f"export OPENAI_BASE_URL={base} OPENAI_API_BASE={base}",
        )  # fmt: skip
    return None


def _phoenix(scene: Scene) -> Finding | None:
    if scene.on("phoenix"):
        return Finding(
            "warn", "spec.phoenix makes SuperOptiX lose the agent's answer with current arize-phoenix-otel, and reports calls twice",
            "phoenix: {enabled: false}; the otlp backend sends to Phoenix as well: otlp: {endpoint: http://localhost:6006}",
        )  # fmt: skip
    return None


def _logfire(scene: Scene) -> Finding | None:
    if scene.on("logfire") and scene.version("logfire"):
        return Finding(
            "warn", "spec.logfire observes the same calls as twinlens run; each appears twice where both arrive",
            "logfire: {enabled: false}, or twinlens run --skip 'Pydantic AI'",
        )  # fmt: skip
    return None


def _two_families(_: Scene) -> Finding | None:
    from twinlens.sdk.instrument.choose import choose

    double = [c for c in choose() if len(c.packages) > 1]
    if double:
        said = "; ".join(f"{c.library.name}: {' and '.join(c.packages)}" for c in double)
        return Finding(
            "warn", f"two instrumentors for one library ({said}); opentelemetry-instrument starts both and counts twice",
            "twinlens run starts the first only; do not use both commands",
        )  # fmt: skip
    return None


def _openai_v2(scene: Scene) -> Finding | None:
    if scene.version("opentelemetry-instrumentation-openai-v2") and scene.version("opentelemetry-util-genai"):
        return Finding(
            "warn", "opentelemetry-instrumentation-openai-v2 does not import with the current opentelemetry-util-genai",
            "pip uninstall opentelemetry-instrumentation-openai-v2; pip install opentelemetry-instrumentation-genai-openai",
        )  # fmt: skip
    return None


def _no_tokens(scene: Scene) -> Finding | None:
    if scene.version("openinference-instrumentation-dspy"):
        return Finding(
            "warn", "openinference-instrumentation-dspy records no tokens; super agent run --observe langfuse uses it",
            "twinlens run without --observe; it observes DSPy itself, with tokens and cost",
        )  # fmt: skip
    return None


def _masked(scene: Scene) -> Finding | None:
    if (
        scene.version("superoptix")
        and scene.version("langfuse")
        and not os.environ.get("SUPEROPTIX_LANGFUSE_CAPTURE_CONTENT")
    ):
        return Finding(
            "ok", "super agent run --observe langfuse removes all prompts and answers from what it sends itself",
            "not needed with twinlens run; else SUPEROPTIX_LANGFUSE_CAPTURE_CONTENT=1",
        )  # fmt: skip
    return None


def _observe_mlflow(scene: Scene) -> Finding | None:
    if scene.version("superoptix") and scene.block.backend("mlflow"):
        return Finding(
            "ok", "leave super agent run --observe mlflow out: it ignores tracking_uri, makes two unrelated runs, and stops the agent for "
            "four minutes when the server is away",
        )  # fmt: skip
    return None


def _price_map(scene: Scene) -> Finding | None:
    if scene.version("litellm") and scene.version("mlflow") and not os.environ.get("LITELLM_LOCAL_MODEL_COST_MAP"):
        return Finding(
            "warn", "LiteLLM downloads a price list when imported; without internet an MLflow server in this environment hangs at its start",
            "export LITELLM_LOCAL_MODEL_COST_MAP=True",
        )  # fmt: skip
    return None


def _usage_posts(scene: Scene) -> Finding | None:
    if scene.version("superoptix") and os.environ.get("SUPEROPTIX_TELEMETRY", "").lower() != "false":
        return Finding(
            "ok", "the super command posts usage statistics to its maker", "export SUPEROPTIX_TELEMETRY=false"
        )
    return None


def _cache(scene: Scene) -> Finding | None:
    if scene.version("dspy"):
        return Finding(
            "ok", "DSPy answers repeated questions from its disk cache; such calls have no tokens and no cost"
        )
    return None


def _elsewhere(scene: Scene) -> Finding | None:
    wanted = scene.block.backend("mlflow")
    named = os.environ.get("MLFLOW_TRACKING_URI")
    uri = wanted.options.get("tracking_uri") if wanted else None
    if uri and named and str(uri).rstrip("/") != named.rstrip("/"):
        return Finding(
            "warn", f"MLFLOW_TRACKING_URI is {named}, the playbook says {uri}: mlflow calls in your own code go to the first",
            "unset MLFLOW_TRACKING_URI, or make them agree",
        )  # fmt: skip
    return None


CHECKS: tuple[Check, ...] = (
    _skops, _langfuse_major, _dspy_ollama, _api_base, _phoenix, _logfire, _two_families, _openai_v2, _no_tokens, _masked,
    _observe_mlflow, _price_map, _usage_posts, _cache, _elsewhere,
)  # fmt: skip


def traps(block: Block) -> Iterator[Finding]:
    """Every trap that this playbook, environment and set of packages would fall into."""
    spec = block.document.get("spec")
    scene = Scene(block, spec if isinstance(spec, dict) else block.document)
    for check in CHECKS:
        found = check(scene)
        if found is not None:
            yield found
