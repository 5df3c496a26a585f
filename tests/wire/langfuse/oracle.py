"""A corpus of traces, observations and scores, and what filters and metrics must find in it, worked out in plain Python."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

Row = dict[str, Any]
Event = tuple[str, dict[str, Any]]

DAY = datetime(2026, 3, 2, tzinfo=UTC)  #: a Monday
LEVELS = ("DEBUG", "DEFAULT", "WARNING", "ERROR")


def iso(at: datetime) -> str:
    """As the API writes times."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


class Corpus:
    """Events to send, and the same facts as rows keyed by Langfuse's column names. Money is in 1/1024 USD, so sums are exact."""

    def __init__(self, seed: int = 4, traces: int = 26) -> None:
        self._pick = random.Random(seed)
        self.events: list[Event] = []
        self.traces: list[Row] = []
        self.observations: list[Row] = []
        self.scores: list[Row] = []
        for n in range(traces):
            self._trace(n)

    def _maybe(self, *values: Any) -> Any:
        return self._pick.choice((*values, None))

    def _trace(self, n: int) -> None:
        pick = self._pick
        at = DAY + timedelta(
            hours=pick.randrange(0, 24 * 20), minutes=pick.randrange(60), milliseconds=pick.randrange(1000)
        )
        row: Row = {
            "id": f"t{n}", "name": pick.choice(("ask", "Ask again", "plan%_")), "timestamp": at,
            "userId": self._maybe("ann", "bob"), "sessionId": self._maybe("s1", "s2"),
            "environment": pick.choice(("production", "staging")), "version": self._maybe("1", "2"),
            "release": self._maybe("r1", "r2"), "tags": sorted(pick.sample(("a", "b", "c, d"), pick.randrange(4))),
            "metadata": {"plan": pick.choice(("free", "pro team")), **({"n": n % 5} if n % 3 else {}), "ok": bool(n % 2)},
            "bookmarked": False,
        }  # fmt: skip
        self.events.append(("trace-create", {**row, "timestamp": iso(at)}))
        own = [self._observation(row, k) for k in range(pick.randrange(1, 4))]
        row["latency"] = max((o["endTime"] - at).total_seconds() for o in own)
        for name in ("inputTokens", "outputTokens", "totalTokens", "inputCost", "outputCost", "totalCost"):
            row[name] = sum(o[name] or 0 for o in own)
        row["level"] = max((o["level"] for o in own), key=LEVELS.index)
        for level in LEVELS:
            row[f"{level.lower()}Count"] = sum(o["level"] == level for o in own)
        row["observationsCount"] = len(own)
        self._score(row, None, f"t{n}")
        if n % 2:
            self._score(row, own[0], f"o{n}")
        row["scores"] = [s for s in self.scores if s["traceId"] == row["id"]]
        row["scoresCount"] = len(row["scores"])
        self.traces.append(row)

    def _observation(self, trace: Row, k: int) -> Row:
        pick, id = self._pick, f"{trace['id']}-{k}"
        start = trace["timestamp"] + timedelta(milliseconds=100 * k)
        end = start + timedelta(milliseconds=pick.randrange(500, 4000))
        first = start + timedelta(milliseconds=pick.randrange(1, 400)) if pick.random() < 0.7 else None
        kind = pick.choice(("GENERATION", "SPAN", "TOOL"))
        usage: dict[str, int] = {}
        cost: dict[str, float] = {}
        if kind == "GENERATION":
            usage = {"input": pick.randrange(1, 2000), "output": pick.randrange(1, 300)}
            if pick.random() < 0.5:
                usage["input_cached_tokens"] = pick.randrange(1, 50)
            cost = {key: pick.randrange(1, 100) / 1024 for key in usage}
        row: Row = {
            "id": id, "traceId": trace["id"], "type": kind, "name": pick.choice(("call", "Call tool", "x")),
            "startTime": start, "endTime": end, "completionStartTime": first, "level": pick.choice(LEVELS),
            "statusMessage": self._maybe("slow", "it broke"), "environment": trace["environment"],
            "version": self._maybe("7", "8"), "model": pick.choice(("gpt-4o", "o3")) if kind == "GENERATION" else None,
            "input": self._maybe("hello world", "what?"), "output": self._maybe("fine"),
            "metadata": {"step": pick.choice(("one", "two")), **({"k": k} if k else {})},
            "parentObservationId": f"{trace['id']}-0" if k else None,
        }  # fmt: skip
        if kind == "GENERATION" and pick.random() < 0.5:
            row |= {"promptName": pick.choice(("p", "q")), "promptVersion": pick.randrange(1, 4)}
        sent = {key: iso(value) if isinstance(value, datetime) else value for key, value in row.items()}
        offered = int(trace["id"][1:]) % 3 if kind == "GENERATION" else 0
        called = [f"tool {n}" for n in range(int(trace["id"][1:]) % 4)] if kind == "GENERATION" else []
        if called:
            calls = [{"id": f"c{n}", "type": "function", "function": {"name": name}} for n, name in enumerate(called)]
            sent["output"] = {"role": "assistant", "tool_calls": calls}
            row["output"] = json.dumps(sent["output"], separators=(",", ":"))
        sent |= {"usageDetails": usage, "costDetails": cost, "modelParameters": {"tools": [{"name": "t"}] * offered}}
        self.events.append((f"{kind.lower()}-create", sent))
        took, stream = (end - start).total_seconds(), (end - first).total_seconds() if first else None
        row |= {"promptName": row.get("promptName"), "promptVersion": row.get("promptVersion")}
        row |= {
            "latency": took, "timeToFirstToken": (first - start).total_seconds() if first else None,
            "streamingLatency": stream, "usage": usage, "cost": cost, "userId": trace["userId"],
            "sessionId": trace["sessionId"], "release": trace["release"], "traceRelease": trace["release"],
            "traceVersion": trace["version"], "traceName": trace["name"], "tags": trace["tags"], "traceTags": trace["tags"],
            "traceEnvironment": trace["environment"], "providedModelName": row["model"],
            "isRootObservation": not k, "toolCalls": len(called), "calledToolNames": called, "toolDefinitions": offered,
        }  # fmt: skip
        for name, amounts in (("Tokens", usage), ("Cost", cost)):
            for side in ("input", "output"):
                row[side + name] = sum(v for key, v in amounts.items() if key.startswith(side)) if amounts else None
            row["total" + name] = sum(amounts.values()) if amounts else None
        out, total = row["outputTokens"], row["totalTokens"]
        row["outputRate"] = None if out is None else out / took
        row["tokensPerSecond"] = None if total is None else total / took
        row["outputTokensPerSecond"] = None if out is None or stream is None else out / stream
        row["scores"] = []
        self.observations.append(row)
        return row

    def _score(self, trace: Row, observation: Row | None, id: str) -> None:
        pick = self._pick
        drafts: list[tuple[str, str, Any]] = [("quality", "NUMERIC", pick.randrange(0, 9) / 8)]
        if pick.random() < 0.7:
            drafts.append(("kind", "CATEGORICAL", pick.choice(("good", "bad"))))
        if pick.random() < 0.7:
            drafts.append(("ok", "BOOLEAN", pick.randrange(2)))
        for name, data_type, value in drafts:
            at = trace["timestamp"] + timedelta(seconds=len(self.scores))
            row: Row = {
                "id": f"{id}-{name}", "traceId": trace["id"], "observationId": observation and observation["id"],
                "name": name, "dataType": data_type, "value": value, "comment": self._maybe("well done", "no"),
                "environment": trace["environment"], "metadata": {"who": pick.choice(("me", "you"))},
            }  # fmt: skip
            self.events.append(("score-create", {**row, "timestamp": iso(at)}))
            row |= {
                "timestamp": at, "source": "API", "userId": trace["userId"], "traceName": trace["name"],
                "traceTags": trace["tags"], "tags": trace["tags"], "sessionOfTrace": trace["sessionId"],
                "stringValue": str(bool(value)) if data_type == "BOOLEAN" else value if data_type == "CATEGORICAL" else None,
                "value": None if data_type == "CATEGORICAL" else value,
            }  # fmt: skip
            for name_, field in (("Name", "name"), ("ModelName", "model"), ("PromptName", "promptName"),
                                 ("PromptVersion", "promptVersion")):  # fmt: skip
                row[f"observation{name_}"] = observation and observation[field]
            self.scores.append(row)
            if observation is not None:
                observation["scores"].append(row)


# --- filters ---------------------------------------------------------------------------------------------------
_TEXT: dict[str, Callable[[str, str], bool]] = {
    "=": lambda a, b: a == b,
    "contains": lambda a, b: b.lower() in a.lower(),
    "does not contain": lambda a, b: b.lower() not in a.lower(),
    "starts with": str.startswith,
    "ends with": str.endswith,
    "matches": lambda a, b: b.lower() in a.lower(),
}
_ORDERED: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b, "<>": lambda a, b: a != b, ">": lambda a, b: a > b, "<": lambda a, b: a < b,
    ">=": lambda a, b: a >= b, "<=": lambda a, b: a <= b,
}  # fmt: skip
_LISTS: dict[str, Callable[[set[str], set[str]], bool]] = {
    "any of": lambda a, b: bool(a & b), "none of": lambda a, b: not a & b, "all of": lambda a, b: a >= b,
}  # fmt: skip


def holds(actual: Any, type: str, operator: str, value: Any) -> bool:
    """Whether a condition holds for a row's value. A comparison with what is absent does not, negative ones included."""
    absent = actual is None or actual == []
    if operator in ("is null", "is not set"):
        return absent
    if operator in ("is not null", "is set"):
        return not absent
    if isinstance(actual, list):
        return _LISTS[operator](set(actual), set(value))
    if actual is None:
        return False
    if type in ("stringOptions", "categoryOptions"):
        return (str(actual) in value) == (operator == "any of")
    if type.startswith("string"):
        return _TEXT[operator](actual if isinstance(actual, str) else str(actual).lower(), value)
    return _ORDERED[operator](actual, value)


def scored(row: Row, type: str, operator: str, value: Any, key: str) -> bool:
    """The same for columns of scores: the average of numbers, any of the others, and no category of these at all."""
    own = [s for s in row["scores"] if s["name"] == key]
    if type == "numberObject":
        numbers = [s["value"] for s in own if s["value"] is not None]
        return bool(numbers) and _ORDERED[operator](sum(numbers) / len(numbers), value)
    if type == "booleanObject":
        return any(_ORDERED[operator](bool(s["value"]), value) for s in own)
    return any(s["stringValue"] in value for s in own) == (operator == "any of")


# --- metrics ---------------------------------------------------------------------------------------------------
def _percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    at = share * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


def aggregated(values: list[Any], aggregation: str) -> Any:
    """An aggregation over the values that are there."""
    there = [v for v in values if v is not None]
    if aggregation == "count":
        return len(there)
    if aggregation == "uniq":
        return len(set(there))
    if aggregation == "sum":
        return sum(there)
    if not there:
        return [] if aggregation == "histogram" else None
    if aggregation == "histogram":
        return len(there)
    if aggregation[0] == "p":
        return _percentile(there, int(aggregation[1:]) / 100)
    return {"avg": sum(there) / len(there), "min": min(there), "max": max(there)}[aggregation]
