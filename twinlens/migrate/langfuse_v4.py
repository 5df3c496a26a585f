"""Traces, scores and dataset runs of a Langfuse server of version 4, whose lists of version 3 answer 404.

Version 4 knows observations only (reference: Langfuse 4.16): ``GET /v2/observations`` newest first, with the trace's fields on each
row; input and output are text; values of metadata are cut at 200 characters unless their keys are asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from twinlens.migrate.http import Http

API = "/api/public"
#: Everything that was ever recorded.
_SINCE = "1970-01-01T00:00:00.000Z"
_FIELDS = "core,basic,time,io,metadata,model,usage,prompt,trace_context"
_CUT = 200
_PAGE = 100
_SEEN = 50_000


class V4:
    """Reads with the API of version 4 and answers in the form of version 3."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def _rows(self, path: str, after: str | None, params: dict[str, Any]) -> Iterator[tuple[list[Any], str | None]]:
        while True:
            answer = self._http.get(API + path, params=params | ({"cursor": after} if after else {}))
            after = (answer.get("meta") or {}).get("cursor")
            yield answer["data"], after
            if not after:
                return

    def traces(self, after: str | None) -> Iterator[tuple[list[dict[str, Any]], str | None]]:
        """Traces with their observations, in pages with the cursor behind each.

        A trace comes where its newest observation stands in the list, so that one list of observations, gone on with
        from any place, gives every trace once.
        """
        seen: set[str] = set()
        for rows, cursor in self._rows("/v2/observations", after, {"limit": 1000, "fields": "core"}):
            found: list[dict[str, Any]] = []
            for row in rows:
                trace_id = row["traceId"]
                if trace_id in seen:
                    continue
                if len(seen) >= _SEEN:
                    seen.clear()
                seen.add(trace_id)
                observations = self._observations(trace_id)
                if observations and observations[0]["id"] == row["id"]:
                    found.append(_trace(trace_id, observations))
                if len(found) >= 20:
                    yield found, None
                    found = []
            yield found, cursor

    def _observations(self, trace_id: str) -> list[dict[str, Any]]:
        """All observations of a trace, newest first, with whole metadata."""
        params = {"traceId": trace_id, "limit": 1000, "fields": _FIELDS}
        found = [row for rows, _ in self._rows("/v2/observations", None, params) for row in rows]
        cut = {key for row in found for key, value in (row.get("metadata") or {}).items() if _may_be_cut(value)}
        if not cut:
            return found
        params |= {"fields": "core,metadata", "expandMetadata": ",".join(sorted(cut))}
        whole = {row["id"]: row["metadata"] for rows, _ in self._rows("/v2/observations", None, params) for row in rows}
        return [row | {"metadata": whole.get(row["id"], row.get("metadata"))} for row in found]

    def scores(self, after: str | None) -> Iterator[tuple[list[dict[str, Any]], str | None]]:
        """Scores."""
        params = {"limit": _PAGE, "fields": "details,subject,annotation"}
        for rows, cursor in self._rows("/v3/scores", after, params):
            yield [_score(row) for row in rows], cursor

    def runs(self, dataset: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Runs over a dataset: experiments, as version 4 calls them."""
        params = {"fromStartTime": _SINCE, "datasetId": dataset["id"], "limit": _PAGE, "fields": "core,metadata"}
        for rows, _ in self._rows("/experiments", None, params):
            for row in rows:
                yield row | {"createdAt": row["startTime"], "updatedAt": row["endTime"]}

    def run_items(self, run: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """What a run made of each item."""
        params = {"fromStartTime": _SINCE, "experimentId": run["id"], "limit": _PAGE}
        for rows, _ in self._rows("/experiment-items", None, params):
            for row in rows:
                yield {
                    "id": f"{run['id']}-{row['experimentItemId']}-{row['traceId']}", "datasetItemId": row["experimentItemId"],
                    "traceId": row["traceId"], "observationId": row["id"], "createdAt": row["startTime"], "updatedAt": row["startTime"],
                }  # fmt: skip


def _may_be_cut(value: Any) -> bool:
    return isinstance(value, str) and len(value) >= _CUT


def _trace(trace_id: str, observations: list[dict[str, Any]]) -> dict[str, Any]:
    """As ``GET /traces/{id}`` of version 3 has it. Input and output are those of the root, so they are not said."""
    first = min(observations, key=lambda row: row["startTime"])
    root = next((row for row in reversed(observations) if not row.get("parentObservationId")), first)
    return {
        "id": trace_id, "timestamp": first["startTime"], "name": root.get("traceName"), "userId": root.get("userId"),
        "sessionId": root.get("sessionId"), "release": root.get("release"), "version": root.get("version"),
        "environment": root.get("environment"), "public": root.get("public"), "tags": root.get("tags"),
        "observations": [_observation(row) for row in observations],
    }  # fmt: skip


def _observation(row: dict[str, Any]) -> dict[str, Any]:
    model = row.get("model") or row.get("providedModelName")
    return row | {"model": model, "input": _parsed(row.get("input")), "output": _parsed(row.get("output"))}


def _parsed(text: Any) -> Any:
    """Input or output: text that is no JSON is a string."""
    if not isinstance(text, str):
        return text
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return text


def _score(row: dict[str, Any]) -> dict[str, Any]:
    subject = row.get("subject") or {}
    kind, value = subject.get("kind"), row.get("value")
    found = row | {
        "traceId": subject.get("traceId") or (subject.get("id") if kind == "trace" else None),
        "observationId": subject.get("id") if kind == "observation" else None,
        "sessionId": subject.get("id") if kind == "session" else None,
        "datasetRunId": subject.get("id") if kind == "experiment" else None,
    }  # fmt: skip
    if isinstance(value, bool):
        return found | {"value": float(value), "stringValue": str(value)}
    if isinstance(value, str):
        return found | {"value": None, "stringValue": value}
    return found
