"""Judges as MLflow's library serializes them, both ways, so that one judge can be read by every client.

A serialized scorer (MLflow 3.18, ``SerializedScorer``) is JSON. Those of ``make_judge`` hold instructions, a model URI and the JSON Schema
of the answer; they become judges that run here. Built-in and other library scorers are kept as they are: only MLflow's library can
run them. Scorers that are functions are refused, as MLflow's server does: reading one back would execute code.
"""

from __future__ import annotations

import re
from typing import Any, cast

import msgspec

from twinlens.domain.errors import InvalidArgument
from twinlens.domain.evaluator import Definition, Evaluator, Message, Output

_JUDGE = "instructions_judge_pydantic_data"
_KINDS = {"number": "NUMERIC", "integer": "NUMERIC", "boolean": "BOOLEAN", "string": "TEXT"}
_TYPES = {"NUMERIC": "number", "BOOLEAN": "boolean", "TEXT": "string", "CATEGORICAL": "string"}
#: Our sources by the only variables that MLflow's judges know.
_NAMES = {"input": "inputs", "output": "outputs", "expected_output": "expectations"}
_VARIABLE = re.compile(r"\{\{\s*([\w.-]+)\s*\}\}")


def definition_of(serialized: str) -> Definition:
    """What a serialized scorer says.

    Raises:
        InvalidArgument: not a serialized scorer, or one that is a function.
    """
    try:
        values = msgspec.json.decode(serialized, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise InvalidArgument(f"Invalid serialized_scorer: {error}") from None
    if values.get("call_source") is not None:
        raise InvalidArgument(
            "Scorers that are functions (@scorer) cannot be registered: reading one back executes its code. Register a built-in "
            "scorer or one made by make_judge."
        )
    judge = values.get(_JUDGE)
    if not isinstance(judge, dict):
        return Definition(serialized=serialized)
    named = cast("dict[str, Any]", judge)
    instructions = named.get("instructions")
    if not isinstance(instructions, str) or not instructions.strip():
        raise InvalidArgument("Invalid serialized_scorer: the judge has no instructions")
    provider, _, model = str(named.get("model") or "").partition(":/")
    return Definition(
        messages=[Message(content=instructions)], prompt_is_text=True, provider=provider or None, model=model.lstrip("/") or None,
        output=_output(named.get("feedback_value_type")), serialized=serialized,
    )  # fmt: skip


def _output(schema: Any) -> Output:
    if not isinstance(schema, dict):
        return Output(data_type="TEXT")
    values = cast("dict[str, Any]", schema)
    if isinstance(values.get("enum"), list):
        return Output(data_type="CATEGORICAL", categories=values["enum"])
    return Output(data_type=cast("Any", _KINDS.get(str(values.get("type")), "TEXT")))


def serialized_of(evaluator: Evaluator) -> str | None:
    """The form that MLflow's library reads; None for code that it cannot."""
    definition = evaluator.definition
    if definition.serialized is not None:
        return definition.serialized
    if not definition.messages:
        return None
    sources = {each.variable: each.source for each in definition.mapping or ()}

    def renamed(found: re.Match[str]) -> str:
        source = sources.get(found[1]) or found[1]
        return "{{ " + _NAMES.get(source, source if source in _NAMES.values() else "trace") + " }}"

    text = "\n\n".join(message.content for message in definition.messages)
    output: dict[str, Any] = {"type": _TYPES[definition.output.data_type]}
    if definition.output.data_type == "CATEGORICAL":
        output["enum"] = definition.output.labels()
    judge = {
        "instructions": _VARIABLE.sub(renamed, text),
        "model": f"{definition.provider or 'openai'}:/{definition.model}" if definition.model else None,
        "feedback_value_type": output,
    }
    form = {"name": evaluator.name, "description": evaluator.description, "serialization_version": 1, _JUDGE: judge}
    return msgspec.json.encode(form).decode()
