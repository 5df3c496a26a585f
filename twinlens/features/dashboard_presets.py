"""Dashboards that every project has: read-only, without a row in the catalog. A copy of one may be changed.

Ids start with ``twinlens-`` and never change: tiles of own dashboards may show these widgets.
"""

from __future__ import annotations

from twinlens.domain.dashboard import ChartConfig, ChartType, Dashboard, Tile, View, Widget, WidgetFilter, WidgetMetric

PREFIX = "twinlens-"
_CALLS = [WidgetFilter(type="stringOptions", column="type", operator="any of", value=["GENERATION", "EMBEDDING"])]
_ROOTS = [WidgetFilter(type="boolean", column="isRootObservation", operator="=", value=True)]
_ERRORS = [WidgetFilter(type="stringOptions", column="level", operator="any of", value=["ERROR"])]


def _prompts() -> list[WidgetFilter]:
    return [WidgetFilter(type="null", column="promptName", operator="is not null", value="")]


def _widget(
    id: str, name: str, chart: ChartType, *metrics: str, by: tuple[str, ...] = (), view: View = "observations",
    filters: list[WidgetFilter] | None = None, rows: int | None = None, description: str = "",
) -> Widget:  # fmt: skip
    return Widget(
        widget_id=PREFIX + id, name=name, description=description, view=view, dimensions=list(by),
        metrics=[WidgetMetric(measure, agg) for agg, _, measure in (m.partition(" ") for m in metrics)],
        filters=filters or [], chart_type=chart, chart_config=ChartConfig(row_limit=rows),
    )  # fmt: skip


_LINE, _AREA, _BARS = "LINE_TIME_SERIES", "AREA_TIME_SERIES", "BAR_TIME_SERIES"
_ACROSS: ChartType = "HORIZONTAL_BAR"

#: Dashboard -> rows of (width, height, widget).
_GRIDS: dict[tuple[str, str, str], list[list[tuple[int, int, Widget]]]] = {
    ("cost", "Cost", "What calls cost: over time, and which models, users, prompts and environments it goes to."): [
        [(3, 3, _widget("cost-total", "Total cost", "NUMBER", "sum totalCost")),
         (3, 3, _widget("cost-call", "Cost of a call, mean", "NUMBER", "avg totalCost", filters=_CALLS)),
         (3, 3, _widget("cost-call-p95", "Cost of a call, p95", "NUMBER", "p95 totalCost", filters=_CALLS)),
         (3, 3, _widget("cost-calls", "Calls", "NUMBER", "count count", filters=_CALLS))],
        [(8, 6, _widget("cost-model-time", "Cost by model over time", _BARS, "sum totalCost", by=("model",), filters=_CALLS)),
         (4, 6, _widget("cost-model", "Cost by model", "PIE", "sum totalCost", by=("model",), filters=_CALLS))],
        [(6, 6, _widget("cost-user", "Most expensive users", _ACROSS, "sum totalCost", by=("userId",), rows=10)),
         (6, 6, _widget("cost-prompt", "Most expensive prompts", _ACROSS, "sum totalCost", by=("promptName",),
                        filters=_prompts(), rows=10))],
        [(6, 6, _widget("cost-trace-name", "Most expensive traces by name", _ACROSS, "sum totalCost", by=("traceName",), rows=10)),
         (6, 6, _widget("cost-environment", "Cost by environment", _ACROSS, "sum totalCost", by=("environment",), rows=10))],
    ],
    ("latency", "Latency", "How long answers take: percentiles over time, by model and by step."): [
        [(6, 6, _widget("latency-time", "Latency of traces", _LINE, "p50 latency", "p95 latency", "p99 latency", filters=_ROOTS)),
         (6, 6, _widget("latency-ttft", "Time to first token", _LINE, "p50 timeToFirstToken", "p95 timeToFirstToken", filters=_CALLS))],
        [(6, 6, _widget("latency-model", "p95 latency of calls by model over time", _LINE, "p95 latency", by=("model",), filters=_CALLS)),
         (6, 6, _widget("latency-histogram", "Latency of calls", "HISTOGRAM", "histogram latency", filters=_CALLS))],
        [(6, 6, _widget("latency-name", "Slowest steps (p95)", _ACROSS, "p95 latency", by=("name",), rows=10)),
         (6, 6, _widget("latency-table", "Latency by model", "PIVOT_TABLE", "count count", "p50 latency", "p95 latency",
                        by=("model",), filters=_CALLS))],
    ],
    ("usage", "Usage", "Who uses what, and how much: traces, tokens, users, models, errors."): [
        [(3, 3, _widget("usage-traces", "Traces", "NUMBER", "count count", filters=_ROOTS)),
         (3, 3, _widget("usage-tokens", "Tokens", "NUMBER", "sum totalTokens")),
         (3, 3, _widget("usage-users", "Users", "NUMBER", "uniq uniqueUserIds")),
         (3, 3, _widget("usage-sessions", "Sessions", "NUMBER", "uniq uniqueSessionIds"))],
        [(6, 6, _widget("usage-name-time", "Traces by name over time", _BARS, "count count", by=("name",), filters=_ROOTS)),
         (6, 6, _widget("usage-model-time", "Tokens by model over time", _AREA, "sum totalTokens", by=("model",), filters=_CALLS))],
        [(6, 6, _widget("usage-user", "Most active users", _ACROSS, "count count", by=("userId",), filters=_ROOTS, rows=10)),
         (6, 6, _widget("usage-error-time", "Errors by step over time", _BARS, "count count", by=("name",), filters=_ERRORS))],
        [(6, 6, _widget("usage-type", "Steps by type", "PIE", "count count", by=("type",))),
         (6, 6, _widget("usage-tool", "Most used tools", _ACROSS, "count count", by=("toolNames",), rows=10,
                        filters=[WidgetFilter(type="stringOptions", column="type", operator="any of", value=["TOOL"])]))],
    ],
    ("quality", "Quality", "What people, judges and programs think of the answers."): [
        [(8, 6, _widget("quality-time", "Mean score over time", _LINE, "avg value", by=("name",), view="scores-numeric")),
         (4, 6, _widget("quality-count", "Scores by name", _ACROSS, "count count", by=("name",), view="scores-numeric", rows=10))],
        [(6, 6, _widget("quality-source", "Scores by source over time", _BARS, "count count", by=("source",), view="scores-numeric")),
         (6, 6, _widget("quality-trace-name", "Mean score by trace", "PIVOT_TABLE", "count count", "avg value",
                        by=("traceName", "name"), view="scores-numeric"))],
        [(6, 6, _widget("quality-category", "Categories", "PIVOT_TABLE", "count count", by=("name", "stringValue"),
                        view="scores-categorical")),
         (6, 6, _widget("quality-histogram", "Values", "HISTOGRAM", "histogram value", view="scores-numeric"))],
    ],
    ("prompts", "Prompts", "Which prompts and versions are called, what they cost and how long they take."): [
        [(12, 6, _widget("prompts-time", "Calls by prompt over time", _BARS, "count count", by=("promptName",), filters=_prompts()))],
        [(12, 8, _widget("prompts-table", "Versions", "PIVOT_TABLE", "count count", "sum totalCost", "avg totalCost", "p50 latency",
                         "p95 latency", by=("promptName", "promptVersion"), filters=_prompts()))],
    ],
}  # fmt: skip


def _dashboard(key: tuple[str, str, str], rows: list[list[tuple[int, int, Widget]]]) -> Dashboard:
    tiles: list[Tile] = []
    y = 0
    for row in rows:
        x = 0
        for width, height, widget in row:
            tile_id = widget.widget_id.removeprefix(PREFIX)
            tiles.append(Tile(tile_id=tile_id, preset_id=widget.widget_id, x=x, y=y, width=width, height=height))
            x += width
        y += max(height for _, height, _ in row)
    return Dashboard(dashboard_id=PREFIX + key[0], name=key[1], description=key[2], tiles=tiles)


WIDGETS = {widget.widget_id: widget for rows in _GRIDS.values() for row in rows for _, _, widget in row}
DASHBOARDS = {d.dashboard_id: d for d in (_dashboard(key, rows) for key, rows in _GRIDS.items())}
