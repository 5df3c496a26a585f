"""The built-in observer of DSPy (2.6 and later): modules, model calls with tokens and cost, tools, evaluations."""

from __future__ import annotations

import contextlib
from importlib import import_module
from typing import Any

from twinlens.sdk import runtime
from twinlens.sdk.instrument.calls import usage_of
from twinlens.sdk.observation import Observation


def install() -> None:
    """Add the callback to whatever the program configures. ``dspy.configure`` itself belongs to the program's thread."""
    dspy: Any = import_module("dspy")
    callback = _callback()
    settings = type(dspy.settings)
    ask, remember = settings.get, dspy.BaseLM.update_history

    def get(self: Any, key: str, default: Any = None) -> Any:
        value = ask(self, key, default)
        return [*(value or []), callback] if key == "callbacks" else value

    def update_history(self: Any, entry: Any) -> Any:
        callback.remember(entry)
        return remember(self, entry)

    settings.get = get
    dspy.BaseLM.update_history = update_history


def _callback() -> Any:
    base: Any = import_module("dspy.utils.callback").BaseCallback

    class Callback(base):
        """Opens a span at every start and ends it at the end. DSPy calls both in the same context."""

        def __init__(self) -> None:
            self._open: dict[str, Observation] = {}

        def start(self, call_id: str, name: str, kind: str, **fields: Any) -> None:
            observed = Observation(name, kind, tracer=runtime.scoped("dspy"), **fields)
            observed.attach()
            self._open[call_id] = observed

        def stop(self, call_id: str, outputs: Any, exception: BaseException | None) -> None:
            observed = self._open.pop(call_id, None)
            if observed is None:
                return
            with contextlib.suppress(ValueError):  # an abandoned coroutine ends elsewhere
                observed.detach()
            if exception is not None:
                observed.fail(exception)
            observed.update(output=_plain(outputs))
            observed.end()

        def remember(self, entry: Any) -> None:
            """DSPy's own record of a call, made while its span is the innermost one that is open here."""
            current = next((o for o in reversed(list(self._open.values())) if o.is_current()), None)
            if current is None or current.kind != "generation" or not isinstance(entry, dict):
                return
            cost = entry.get("cost")
            current.update(
                model=_model(entry.get("response_model") or entry.get("model")), usage=usage_of(entry.get("usage")),
                cost=cost if isinstance(cost, (int, float)) and cost > 0 else None,
            )  # fmt: skip

        def on_module_start(self, call_id: str, instance: Any, inputs: Any) -> None:
            self.start(call_id, type(instance).__name__, "chain", input=_arguments(inputs))

        def on_lm_start(self, call_id: str, instance: Any, inputs: Any) -> None:
            model = _model(getattr(instance, "model", None))
            parameters = {
                k: v
                for k, v in getattr(instance, "kwargs", {}).items()
                if isinstance(v, (str, int, float)) and "key" not in k and not k.startswith("api_")
            }
            asked = inputs.get("messages") or inputs.get("prompt")
            self.start(
                call_id, f"chat {model}" if model else "chat", "generation", model=model, input=_plain(asked),
                model_parameters=parameters,
            )  # fmt: skip

        def on_tool_start(self, call_id: str, instance: Any, inputs: Any) -> None:
            self.start(call_id, getattr(instance, "name", None) or "tool", "tool", input=_arguments(inputs))

        def on_evaluate_start(self, call_id: str, instance: Any, inputs: Any) -> None:
            self.start(call_id, "Evaluate", "evaluator")

        def on_module_end(self, call_id: str, outputs: Any, exception: Any = None) -> None:
            self.stop(call_id, outputs, exception)

        on_lm_end = on_tool_end = on_evaluate_end = on_module_end

    return Callback()


def _model(name: Any) -> str | None:
    """A model's name without LiteLLM's provider prefix."""
    return str(name).partition("/")[2] or str(name) if name else None


def _arguments(inputs: Any) -> Any:
    """A call's arguments; DSPy wraps keyword arguments once more."""
    if isinstance(inputs, dict):
        inner = inputs.get("kwargs")
        inputs = {
            **{k: v for k, v in inputs.items() if k not in ("args", "kwargs")},
            **(inner if isinstance(inner, dict) else {}),
        }
    return _plain(inputs)


def _plain(value: Any) -> Any:
    if hasattr(value, "toDict"):
        return value.toDict()
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value
