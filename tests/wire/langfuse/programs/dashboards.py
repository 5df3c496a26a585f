"""Dashboards and widgets through the client's unstable API."""

import json

from langfuse import Langfuse
from langfuse.api.unstable import (
    CreateDashboardPlacementRequest_Preset,
    CreateDashboardPlacementRequest_Widget,
    DashboardWidgetChartConfigInput,
    DashboardWidgetDimension,
    DashboardWidgetFilter,
    DashboardWidgetMetric,
)
from langfuse.api.unstable.errors import BadRequestError, ConflictError, NotFoundError

api = Langfuse(tracing_enabled=False).api.unstable
boards, widgets = api.dashboards, api.dashboard_widgets
widget = widgets.create(
    name="Cost by model",
    view="observations",
    dimensions=[DashboardWidgetDimension(field="providedModelName")],
    metrics=[DashboardWidgetMetric(measure="totalCost", agg="sum")],
    filters=[DashboardWidgetFilter(type="stringOptions", column="type", operator="any of", value=["GENERATION"])],
    chart_type="HORIZONTAL_BAR",
    chart_config=DashboardWidgetChartConfigInput(row_limit=5),
)
board = boards.create(name="Mine", description="d")
first = boards.add_placement(board.id, request=CreateDashboardPlacementRequest_Widget(widget_id=widget.id))
preset = CreateDashboardPlacementRequest_Preset(id="own", preset_id="twinlens-cost-total", width=3)
second = boards.add_placement(board.id, request=preset)
moved = boards.update_placement(board.id, "own", x=9)


def error(call):
    try:
        call()
    except (BadRequestError, ConflictError, NotFoundError) as problem:
        return [problem.status_code, problem.body.code]
    return None


outcome = {
    "widget": [
        widget.view.value,
        widget.chart_config.type.value,
        widget.chart_config.row_limit,
        widget.filters[0].value,
    ],
    "first": [first.type, first.x, first.y, first.width, first.height],
    "second": [second.type, second.id, second.y, second.width],
    "moved": [moved.x, moved.y],
    "twice": error(lambda: boards.add_placement(board.id, request=preset)),
    "off the grid": error(lambda: boards.update_placement(board.id, "own", x=11)),
    "no such widget": error(
        lambda: boards.add_placement(board.id, request=CreateDashboardPlacementRequest_Widget(widget_id="none"))
    ),
    "unknown measure": error(
        lambda: widgets.update(widget.id, metrics=[DashboardWidgetMetric(measure="weight", agg="sum")])
    ),
    "on a dashboard": error(lambda: widgets.delete(widget.id)),
    "built in": error(lambda: boards.delete("twinlens-cost")),
    "absent": error(lambda: boards.get("absent")),
}
pie = widgets.update(widget.id, chart_type="PIE", name="Shares")
outcome["pie"] = [pie.name, pie.chart_type.value, pie.chart_config.type.value, pie.chart_config.row_limit]
changed = boards.update(
    board.id,
    name="Ours",
    filters=[DashboardWidgetFilter(type="string", column="environment", operator="=", value="production")],
)
outcome["changed"] = [changed.name, changed.description, len(changed.definition.widgets), changed.filters[0].value]
boards.delete_placement(board.id, first.id)
outcome["left"] = [tile.id for tile in boards.get(board.id).definition.widgets]
outcome["listed"] = [[b.name for b in boards.list().data], [w.id == widget.id for w in widgets.list(limit=5).data]]
outcome["same"] = widgets.get(widget.id).name
outcome["deleted"] = [
    widgets.delete(widget.id).message != "",
    boards.delete(board.id).message != "",
    boards.list().meta.total_items,
]
print(json.dumps(outcome))
