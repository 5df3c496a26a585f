"""``/unstable/dashboards`` with placements, and ``/unstable/dashboard-widgets`` (Langfuse server v4.5x)."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from twinlens.domain.dashboard import (
    ChartConfig,
    ChartType,
    Dashboard,
    Sort,
    Tile,
    Widget,
    WidgetFilter,
    WidgetMetric,
)
from twinlens.domain.errors import InvalidArgument
from twinlens.faces.http import in_thread
from twinlens.faces.langfuse.wire import Call, PageQuery, Result, RouteTable, iso

routes = RouteTable()
_BOARDS, _WIDGETS = "/unstable/dashboards", "/unstable/dashboard-widgets"
NewView = Literal["observations", "scores-numeric", "scores-boolean", "scores-categorical"]  #: ``traces`` is read only


class Placement(msgspec.Struct, rename="camel", kw_only=True):
    """A tile as clients write it; what is left out is chosen when a tile is added, and stays when it is moved."""

    type: Literal["widget", "preset"] = "widget"
    id: str | None = None
    widget_id: str | None = None
    preset_id: str | None = None
    x: int | None = None
    y: int | None = None
    width: int | None = None
    height: int | None = None

    def tile(self) -> Tile:
        """Ours; without a position in the corner."""
        return Tile(
            tile_id=self.id or "", widget_id=self.widget_id if self.type == "widget" else None,
            preset_id=self.preset_id if self.type == "preset" else None, x=self.x or 0, y=self.y or 0,
            width=6 if self.width is None else self.width, height=6 if self.height is None else self.height,
        )  # fmt: skip


class Definition(msgspec.Struct, kw_only=True):
    """All tiles of a dashboard."""

    widgets: list[Placement] = []

    def tiles(self) -> list[Tile]:
        """Ours, each with an id."""
        return [msgspec.structs.replace(p.tile(), tile_id=p.id or f"tile-{i}") for i, p in enumerate(self.widgets)]


class BoardBody(msgspec.Struct, kw_only=True):
    """Body of create and change."""

    name: str | UnsetType = UNSET
    description: str | UnsetType | None = UNSET
    definition: Definition | UnsetType | None = UNSET
    filters: list[WidgetFilter] | UnsetType | None = UNSET

    def changes(self) -> dict[str, Any]:
        """What is given, in our names."""
        found: dict[str, Any] = {}
        if not isinstance(self.name, UnsetType):
            found["name"] = self.name
        if isinstance(self.description, str):
            found["description"] = self.description
        if isinstance(self.definition, Definition):
            found["tiles"] = self.definition.tiles()
        if isinstance(self.filters, list):
            found["filters"] = self.filters
        return found


class ChartConfigBody(msgspec.Struct, kw_only=True):
    """``chartConfig``: its ``type`` must be the widget's ``chartType``."""

    type: ChartType | None = None
    row_limit: int | None = None
    show_value_labels: bool | None = None
    bins: int | None = None
    default_sort: Sort | None = msgspec.field(default=None, name="defaultSort")

    def config(self) -> ChartConfig:
        """Ours."""
        return ChartConfig(
            row_limit=self.row_limit, show_value_labels=self.show_value_labels, bins=self.bins,
            default_sort=self.default_sort,
        )  # fmt: skip


class DimensionBody(msgspec.Struct):
    """A dimension."""

    field: str


class NewWidget(msgspec.Struct, rename="camel", kw_only=True):
    """Body of a create call."""

    name: str
    description: str = ""
    view: NewView
    dimensions: list[DimensionBody]
    metrics: list[WidgetMetric]
    filters: list[WidgetFilter]
    chart_type: ChartType
    chart_config: ChartConfigBody | None = None


class WidgetChange(msgspec.Struct, rename="camel", kw_only=True):
    """Body of a change: what is given."""

    name: str | None = None
    description: str | None = None
    view: NewView | None = None
    dimensions: list[DimensionBody] | None = None
    metrics: list[WidgetMetric] | None = None
    filters: list[WidgetFilter] | None = None
    chart_type: ChartType | None = None
    chart_config: ChartConfigBody | None = None


def filter_row(one: WidgetFilter) -> dict[str, Any]:
    """A condition as it was written."""
    return {**msgspec.to_builtins(one), "value": one.value}


def tile_row(tile: Tile) -> dict[str, Any]:
    """A tile on the wire."""
    shows = {"widgetId": tile.widget_id} if tile.widget_id is not None else {"presetId": tile.preset_id}
    kind = "widget" if tile.widget_id is not None else "preset"
    place = {"x": tile.x, "y": tile.y, "width": tile.width, "height": tile.height}
    return {"type": kind, "id": tile.tile_id, **shows, **place}


def board_row(board: Dashboard) -> dict[str, Any]:
    """A dashboard on the wire."""
    return {
        "id": board.dashboard_id, "createdAt": iso(board.created_ns), "updatedAt": iso(board.updated_ns),
        "name": board.name, "description": board.description, "filters": [filter_row(one) for one in board.filters],
        "definition": {"widgets": [tile_row(tile) for tile in board.tiles]},
    }  # fmt: skip


def widget_row(widget: Widget) -> dict[str, Any]:
    """A widget on the wire."""
    config = msgspec.to_builtins(widget.chart_config)
    if "default_sort" in config:
        config["defaultSort"] = {"order": "DESC", **config.pop("default_sort")}
    return {
        "id": widget.widget_id, "createdAt": iso(widget.created_ns), "updatedAt": iso(widget.updated_ns),
        "name": widget.name, "description": widget.description, "view": widget.view,
        "dimensions": [{"field": name} for name in widget.dimensions],
        "metrics": [{"measure": metric.measure, "agg": metric.agg} for metric in widget.metrics],
        "filters": [filter_row(one) for one in widget.filters], "chartType": widget.chart_type,
        "chartConfig": {"type": widget.chart_type, **config},
    }  # fmt: skip


# --- dashboards ------------------------------------------------------------------------------------------------------


@routes.on("GET", _BOARDS, scope="read")
async def list_dashboards(call: Call) -> Result:
    """The project's own, most recently changed first."""
    query = call.query(PageQuery)
    limit, offset = query.window()
    found, total = await in_thread(call.services.dashboards.list, call.project_id, limit=limit, offset=offset)
    return {"data": [board_row(board) for board in found], "meta": query.meta(total)}


@routes.on("POST", _BOARDS, scope="write")
async def create_dashboard(call: Call) -> Result:
    """A new dashboard, with tiles or without."""
    changes = (await call.json(BoardBody)).changes()
    board = msgspec.structs.replace(Dashboard(dashboard_id="", name=""), **changes)
    return board_row(await in_thread(call.services.dashboards.create, call.project_id, board))


@routes.on("GET", f"{_BOARDS}/{{id}}", scope="read")
async def get_dashboard(call: Call) -> Result:
    """One dashboard, also a built-in one."""
    return board_row(await in_thread(call.services.dashboards.get, call.project_id, call.path["id"]))


@routes.on("PATCH", f"{_BOARDS}/{{id}}", scope="write")
async def change_dashboard(call: Call) -> Result:
    """Name, description, tiles or filters."""
    changes = (await call.json(BoardBody)).changes()
    if not changes:
        raise InvalidArgument("nothing to change: give name, description, definition or filters")
    return board_row(await in_thread(call.services.dashboards.update, call.project_id, call.path["id"], **changes))


@routes.on("DELETE", f"{_BOARDS}/{{id}}", scope="write")
async def delete_dashboard(call: Call) -> Result:
    """Its widgets stay."""
    await in_thread(call.services.dashboards.delete, call.project_id, call.path["id"])
    return {"message": "Dashboard successfully deleted"}


@routes.on("POST", f"{_BOARDS}/{{id}}/placements", scope="write")
async def add_placement(call: Call) -> Result:
    """Put a widget on a dashboard, below everything unless a row is given."""
    body = await call.json(Placement)
    add = call.services.dashboards.add_tile
    return tile_row(await in_thread(add, call.project_id, call.path["id"], body.tile(), at_end=body.y is None))


@routes.on("PATCH", f"{_BOARDS}/{{id}}/placements/{{placement}}", scope="write")
async def move_placement(call: Call) -> Result:
    """Move or resize a tile."""
    body = await call.json(Placement)
    place = {name: value for name in ("x", "y", "width", "height") if (value := getattr(body, name)) is not None}
    if not place:
        raise InvalidArgument("nothing to change: give x, y, width or height")
    move = call.services.dashboards.move_tile
    return tile_row(await in_thread(move, call.project_id, call.path["id"], call.path["placement"], **place))


@routes.on("DELETE", f"{_BOARDS}/{{id}}/placements/{{placement}}", scope="write")
async def delete_placement(call: Call) -> Result:
    """Take a tile off; its widget stays."""
    remove = call.services.dashboards.remove_tile
    await in_thread(remove, call.project_id, call.path["id"], call.path["placement"])
    return {"message": "Placement successfully deleted"}


# --- widgets ---------------------------------------------------------------------------------------------------------


@routes.on("GET", _WIDGETS, scope="read")
async def list_widgets(call: Call) -> Result:
    """The project's own, most recently changed first."""
    query = call.query(PageQuery)
    limit, offset = query.window()
    found, total = await in_thread(call.services.dashboards.widgets, call.project_id, limit=limit, offset=offset)
    return {"data": [widget_row(widget) for widget in found], "meta": query.meta(total)}


@routes.on("POST", _WIDGETS, scope="write")
async def create_widget(call: Call) -> Result:
    """A widget, on no dashboard yet."""
    body = await call.json(NewWidget)
    widget = Widget(
        widget_id="", name=body.name, description=body.description, view=body.view,
        dimensions=[one.field for one in body.dimensions], metrics=body.metrics, filters=body.filters,
        chart_type=body.chart_type, chart_config=_config(body.chart_config, body.chart_type),
    )  # fmt: skip
    return widget_row(await in_thread(call.services.dashboards.create_widget, call.project_id, widget))


@routes.on("GET", f"{_WIDGETS}/{{id}}", scope="read")
async def get_widget(call: Call) -> Result:
    """One widget, also a built-in one."""
    return widget_row(await in_thread(call.services.dashboards.widget, call.project_id, call.path["id"]))


@routes.on("PATCH", f"{_WIDGETS}/{{id}}", scope="write")
async def change_widget(call: Call) -> Result:
    """What is given; another chart type without a config gets its plain one."""
    body = await call.json(WidgetChange)
    changes: dict[str, Any] = {
        name: value
        for name in ("name", "description", "view", "metrics", "filters", "chart_type")
        if (value := getattr(body, name)) is not None
    }
    if body.dimensions is not None:
        changes["dimensions"] = [one.field for one in body.dimensions]
    if body.chart_config is not None or body.chart_type is not None:
        kind = (
            body.chart_type
            or (await in_thread(call.services.dashboards.widget, call.project_id, call.path["id"])).chart_type
        )
        changes["chart_config"] = _config(body.chart_config, kind)
    if not changes:
        raise InvalidArgument("nothing to change: give at least one field")
    return widget_row(
        await in_thread(call.services.dashboards.update_widget, call.project_id, call.path["id"], **changes)
    )


@routes.on("DELETE", f"{_WIDGETS}/{{id}}", scope="write")
async def delete_widget(call: Call) -> Result:
    """Refused while it stands on a dashboard."""
    await in_thread(call.services.dashboards.delete_widget, call.project_id, call.path["id"])
    return {"message": "Dashboard widget successfully deleted"}


def _config(body: ChartConfigBody | None, kind: str) -> ChartConfig:
    if body is None:
        return ChartConfig()
    if body.type is not None and body.type != kind:
        raise InvalidArgument(f"chartConfig.type '{body.type}' must match chartType '{kind}'")
    return body.config()
