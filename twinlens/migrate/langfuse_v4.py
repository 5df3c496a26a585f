"""Traces, scores and dataset runs of a Langfuse server of version 4, whose lists of version 3 answer 404.

Version 4 knows observations only (reference: Langfuse 4.16): ``GET /v2/observations`` newest first, with the trace's fields on each
row; input and output are text; values of metadata are cut at 200 characters unless their keys are asked for.
"""

from __future__ import annotations

from collections import Counter
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
#: Observations that are asked for at once, except those of one trace.
_GROUP = 200


class V4:
    """Reads with the API of version 4 and answers in the form of version 3."""

    def __init__(self, http: Http) -> None:
        self._http = http
        self._together = True  #: the server has not yet refused to tell of several traces at once

    def _rows(
        self, path: str, after: str | None, params: dict[str, Any], allow: tuple[int, ...] = ()
    ) -> Iterator[tuple[list[Any], str | None]]:  # fmt: skip
        """Pages and the cursor behind each; none where the server answers with one of ``allow``."""
        while True:
            answer = self._http.get(API + path, params=params | ({"cursor": after} if after else {}), allow=allow)
            if answer is None:
                return
            after = (answer.get("meta") or {}).get("cursor")
            yield answer["data"], after
            if not after:
                return

    def traces(self, after: str | None) -> Iterator[tuple[list[dict[str, Any]], str | None]]:
        """Traces with their observations, in pages with the cursor behind each.

        A trace comes where its newest observation stands in the list, so that one list of observations, gone on with
        from any place, gives every trace once.
        """
        return self._http.each(lambda group: (list(self._whole(group[0])), group[1]), self._groups(after))

    def _groups(self, after: str | None) -> Iterator[tuple[dict[str, str], str | None]]:
        """Traces as they first appear in the list, with the observation that stands there."""
        seen: set[str] = set()
        for rows, cursor in self._rows("/v2/observations", after, {"limit": 1000, "fields": "core"}):
            sizes = Counter(row["traceId"] for row in rows)
            group: dict[str, str] = {}
            size = 0
            for row in rows:
                trace_id = row["traceId"]
                if trace_id in seen:
                    continue
                if len(seen) >= _SEEN:
                    seen.clear()
                seen.add(trace_id)
                if group and size + sizes[trace_id] > _GROUP:
                    yield group, None
                    group, size = {}, 0
                group[trace_id] = row["id"]
                size += sizes[trace_id]
            yield group, cursor

    def _whole(self, group: dict[str, str]) -> Iterator[dict[str, Any]]:
        """Those of some traces that the list has come to here: others stood nearer to its beginning."""
        found = self._observations(list(group))
        for trace_id, newest in group.items():
            own = found.get(trace_id)
            if own and own[0]["id"] == newest:
                yield _trace(trace_id, own)

    def _observations(self, trace_ids: list[str]) -> dict[str, list[dict[str, Any]]]:
        """All observations of some traces, newest first, with whole metadata: in one question where the server takes it."""
        found: dict[str, list[dict[str, Any]]] = {}
        if len(trace_ids) > 1 and self._together:
            wanted = {"type": "stringOptions", "column": "traceId", "operator": "any of", "value": trace_ids}
            answer = self._asked(trace_ids, {"filter": msgspec.json.encode([wanted]).decode()})
            self._together = answer is not None
            found = answer or {}
        for each in trace_ids:
            if each not in found:
                found |= self._asked([each], {"traceId": each}) or {}
        return found

    def _asked(self, trace_ids: list[str], which: dict[str, Any]) -> dict[str, list[dict[str, Any]]] | None:
        """Observations by trace; None where the server refuses the filter or does not heed it."""
        params: dict[str, Any] = {"limit": 1000, "fields": _FIELDS, **which}
        found: dict[str, list[dict[str, Any]]] = {}
        cut: set[str] = set()
        allow = (400,) if "filter" in which else ()
        taken = False
        for rows, _ in self._rows("/v2/observations", None, params, allow):
            taken = True
            if any(row["traceId"] not in trace_ids for row in rows):
                return None
            for row in rows:
                found.setdefault(row["traceId"], []).append(row)
                cut |= {key for key, value in (row.get("metadata") or {}).items() if _may_be_cut(value)}
        if cut:
            params |= {"fields": "core,metadata", "expandMetadata": ",".join(sorted(cut))}
            pages = self._rows("/v2/observations", None, params)
            whole = {(row["traceId"], row["id"]): row["metadata"] for rows, _ in pages for row in rows}
            for own in found.values():
                for row in own:
                    row["metadata"] = whole.get((row["traceId"], row["id"]), row.get("metadata"))
        return found if taken else None

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
