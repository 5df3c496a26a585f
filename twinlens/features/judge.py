"""Asks a language model to judge, over any server that speaks OpenAI's chat completions."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any, cast

import msgspec

from twinlens.domain.errors import InvalidState, TwinlensError
from twinlens.domain.evaluator import Definition, Output

TIMEOUT = 60.0  #: seconds a model may take
_FENCE = re.compile(r"^```(?:json)?\s*|\s*```$")
_HTTP = ("http://", "https://")


#: Sends a chat request (OpenAI's form) and answers the reply, within seconds. Blocks. Raises ``JudgeRefused``, ``JudgeFailed``.
Chat = Callable[[dict[str, Any], float], Any]


class Connection(msgspec.Struct, kw_only=True, frozen=True):
    """Where a model answers: base URL without trailing slash, key, and the model's name there; or ``chat``, which knows."""

    base_url: str
    model: str
    api_key: str | None = None
    chat: Chat | None = None


#: Finds the connection for (project, provider or None, model or None). Raises ``InvalidState`` that says what to set.
Connections = Callable[[str, str | None, str | None], Connection]


class JudgeRefused(TwinlensError):
    """The model's server will refuse every further request of this kind too: the evaluator has to be paused."""


class JudgeFailed(TwinlensError):
    """This time there was no usable answer; another try may help."""


class Verdict(msgspec.Struct, kw_only=True, frozen=True):
    """What a judge answered: one value, or several labels; why; and what it took."""

    values: list[float | bool | str]
    reasoning: str | None
    model: str
    tokens: int | None = None


def settings_connections(base_url: str | None, api_key: str | None, model: str | None) -> Connections:
    """Connections as the server's settings name them; the evaluator chooses the model, else the settings."""

    def find(project_id: str, provider: str | None, wanted: str | None) -> Connection:
        del project_id, provider
        chosen = wanted or model
        if not base_url or not base_url.startswith(_HTTP):
            raise InvalidState(
                "no model server for evaluators: set TWINLENS_JUDGE_BASE_URL (for example https://api.openai.com/v1) "
                "and TWINLENS_JUDGE_API_KEY, then restart"
            )
        if not chosen:
            raise InvalidState("the evaluator names no model: give it a modelConfig, or set TWINLENS_JUDGE_MODEL")
        return Connection(base_url=base_url.rstrip("/"), model=chosen, api_key=api_key)

    return find


def ask(connection: Connection, definition: Definition, values: dict[str, str], timeout: float = TIMEOUT) -> Verdict:
    """Have a model judge. Blocks.

    Args:
        values: text by variable of the prompt.
        timeout: seconds.

    Raises:
        JudgeRefused: key, model or request is wrong.
        JudgeFailed: no answer, or none that fits the output definition.
    """
    output = definition.output
    body = {
        "model": connection.model,
        "messages": [*definition.filled(values), {"role": "user", "content": _instructions(output)}],
        "response_format": {
            "type": "json_schema", "json_schema": {"name": "verdict", "strict": True, "schema": _schema(output)},
        },
    }  # fmt: skip
    reply = connection.chat(body, timeout) if connection.chat else _post(connection, body, timeout)
    return _verdict(reply, output, connection.model)


def _post(connection: Connection, body: dict[str, Any], timeout: float) -> Any:
    headers = {"content-type": "application/json"}
    if connection.api_key:
        headers["authorization"] = f"Bearer {connection.api_key}"
    request = urllib.request.Request(  # noqa: S310 - the address is the operator's, and checked to be HTTP
        f"{connection.base_url}/chat/completions", json.dumps(body).encode(), headers
    )
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:  # noqa: S310
            return json.load(answer)
    except urllib.error.HTTPError as error:
        text = error.read(2_000).decode(errors="replace")
        said = f"the model server answered {error.code}: {text[:500]}"
        raise (JudgeRefused if error.code in (400, 401, 403, 404, 422) else JudgeFailed)(said) from None
    except (OSError, ValueError) as error:
        raise JudgeFailed(f"the model server at {connection.base_url} cannot be reached: {error}") from None


def _schema(output: Output) -> dict[str, Any]:
    kinds: dict[str, dict[str, Any]] = {
        "NUMERIC": {"type": "number"}, "BOOLEAN": {"type": "boolean"}, "TEXT": {"type": "string"},
        "CATEGORICAL": {"type": "string", "enum": output.labels()},
    }  # fmt: skip
    score = kinds[output.data_type]
    if output.data_type == "CATEGORICAL" and output.should_allow_multiple_matches:
        score = {"type": "array", "items": score}
    return {
        "type": "object", "properties": {"reasoning": {"type": "string"}, "score": score},
        "required": ["reasoning", "score"], "additionalProperties": False,
    }  # fmt: skip


def _instructions(output: Output) -> str:
    wanted = output.score_value_instructions or {
        "NUMERIC": "a number", "BOOLEAN": "true or false", "CATEGORICAL": f"one of {output.labels()}", "TEXT": "a text",
    }[output.data_type]  # fmt: skip
    if output.data_type == "NUMERIC" and output.min_value is not None and output.max_value is not None:
        wanted += f" from {output.min_value:g} to {output.max_value:g}"
    why = output.score_reasoning_instructions or "one sentence that says why"
    return f'Answer with one JSON object: {{"reasoning": ..., "score": ...}}. reasoning: {why}. score: {wanted}.'


def _verdict(reply: Any, output: Output, model: str) -> Verdict:
    try:
        text = cast("str", reply["choices"][0]["message"]["content"])
        found = json.loads(_FENCE.sub("", text.strip()))
        value, why = found.get("score", found.get("result")), found.get("reasoning", found.get("rationale"))
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        raise JudgeFailed(
            f"the model did not answer with the JSON object it was asked for: {str(reply)[:300]}"
        ) from None
    values = cast("list[Any]", value) if isinstance(value, list) and output.should_allow_multiple_matches else [value]
    usage = reply.get("usage") or {}
    return Verdict(
        values=[_fitting(each, output) for each in values], reasoning=why if isinstance(why, str) else None,
        model=str(reply.get("model") or model), tokens=usage.get("total_tokens"),
    )  # fmt: skip


def _fitting(value: Any, output: Output) -> float | bool | str:
    match output.data_type:
        case "NUMERIC" if isinstance(value, int | float) and not isinstance(value, bool):
            low, high = output.min_value, output.max_value
            if (low is None or value >= low) and (high is None or value <= high):
                return float(value)
        case "BOOLEAN" if isinstance(value, bool):
            return value
        case "CATEGORICAL" if value in output.labels():
            return cast("str", value)
        case "TEXT" if isinstance(value, str) and value:
            return value
        case _:
            pass
    raise JudgeFailed(
        f"the model's score {value!r} is not {output.data_type} as the evaluator's output definition asks"
    )
