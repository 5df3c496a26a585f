"""Traces of a Langfuse server of version 3 (and 2), whose list of traces names their observations without showing them.

So the observations of neighbouring traces are asked for together: by the traces' ids where the server knows the parameter
``filter`` (late in version 3), else as a window of time in the list of observations. What is not shown whole that way is asked
for by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import msgspec

from twinlens.domain.clock import iso_ms, parse_iso
from twinlens.migrate.http import Http

API = "/api/public"
_PAGE = 100
#: Observations that are asked for together; more are listed at most this many times over in a window of time, for traces that
#: run side by side.
_WINDOW, _OTHERS = 200, 2
#: Around the times of the traces. With their ids it only spares the server a search through all it has.
_SLACK_NS, _WIDE_NS = 10_000_000, 3_600_000_000_000
#: Of a trace in the list: all but the scores, which have a list of their own.
_FIELDS = "core,io,observations,metrics"
Said = dict[str, Any]


class V3:
    """Reads traces in their order, several groups at once."""

    def __init__(self, http: Http) -> None:
        self._http = http
        self._filters = True  #: the server has not yet refused or ignored a filter
        self._windows = True

    def pages(self, path: str, first: int = 1, **params: Any) -> Iterator[tuple[list[Any], int]]:
        """Pages of a list: items and the number of the next page."""
        page = first
        while True:
            answer = self._http.get(API + path, params={"page": page, "limit": _PAGE, **params})
            yield answer["data"], page + 1
            if page >= answer["meta"]["totalPages"]:
                return
            page += 1

    def traces(self, after: int | None) -> Iterator[tuple[list[Said], int | None]]:
        """Traces with their observations, oldest first, with the number of the page behind them (None inside a page)."""
        return self._http.each(lambda group: (self._whole(group[0]), group[1]), self._groups(after or 1))

    def _groups(self, first: int) -> Iterator[tuple[list[Said], int | None]]:
        for items, number in self.pages("/traces", first, orderBy="timestamp.asc", fields=_FIELDS):
            group: list[Said] = []
            size = 0
            for item in items:
                own = len(item.get("observations") or ())
                if group and size + own > _WINDOW:
                    yield group, None
                    group, size = [], 0
                group.append(item)
                size += own
            yield group, number

    def trace(self, trace_id: str) -> Said:
        """One trace with all its observations."""
        return self._http.get(f"{API}/traces/{quote(trace_id, safe='')}")

    def _whole(self, group: list[Said]) -> list[Said]:
        """Traces of the list with their observations in place of the ids."""
        found = self._together(group) if len(group) > 1 else None
        if found is None:
            return [self.trace(item["id"]) for item in group]
        whole = [item | {"observations": found[item["id"]]} if _complete(item, found) else None for item in group]
        if not self._filters and sum(each is None for each in whole) > len(group) / 2:
            self._windows = False  # traces are not where their times say, or too many run at the same time
        return [each or self.trace(item["id"]) for item, each in zip(group, whole, strict=True)]

    def _together(self, group: list[Said]) -> dict[str, list[Said]] | None:
        """Observations of some traces, by trace; None where the server does not tell of several at once."""
        starts = [parse_iso(item["timestamp"]) for item in group]
        ends = [start + int((item.get("latency") or 0) * 1e9) for start, item in zip(starts, group, strict=True)]
        first, last = min(starts), max(ends)
        if self._filters:
            wanted = [
                {"type": "stringOptions", "column": "traceId", "operator": "any of", "value": [t["id"] for t in group]},
                {
                    "type": "datetime",
                    "column": "startTime",
                    "operator": ">=",
                    "value": iso_ms(max(0, first - _WIDE_NS)),
                },
                {"type": "datetime", "column": "startTime", "operator": "<", "value": iso_ms(last + _WIDE_NS)},
            ]
            found = self._listed(group, {"filter": msgspec.json.encode(wanted).decode()}, alone=True)
            if found is not None:
                return found
            self._filters = False
        if self._windows:
            return self._listed(group, {"fromStartTime": iso_ms(first), "toStartTime": iso_ms(last + _SLACK_NS)})
        return None

    def _listed(self, group: list[Said], which: Said, *, alone: bool = False) -> dict[str, list[Said]] | None:
        """What a list of observations has of some traces, by trace; nothing if they are too few in it.

        Args:
            alone: no other traces are expected there; None if some are, or if the server refuses.
        """
        few = sum(len(item.get("observations") or ()) for item in group)
        found: dict[str, dict[str, Said]] = {item["id"]: {} for item in group}
        page = 1
        while few:
            params = {"page": page, "limit": _PAGE, **which}
            answer = self._http.get(f"{API}/observations", params=params, allow=(400, 422) if alone else ())
            if answer is None:
                return None
            for said in answer["data"]:
                if said.get("traceId") in found:
                    found[said["traceId"]][said["id"]] = said
                elif alone:
                    return None
            if answer["meta"]["totalItems"] > _OTHERS * few + _PAGE:
                return {trace_id: [] for trace_id in found}
            if page >= answer["meta"]["totalPages"]:
                break
            page += 1
        return {
            trace_id: sorted(own.values(), key=lambda said: (said["startTime"], said["id"]))
            for trace_id, own in found.items()
        }


def _complete(item: Said, found: dict[str, list[Said]]) -> bool:
    """Whether a window has shown just the observations that the list names."""
    named: list[str] | None = item.get("observations")
    if named is None or (not named and (item.get("latency") or item.get("totalCost"))):
        return False  # the server has not said
    return set(named) == {said["id"] for said in found[item["id"]]}
