"""Dashboards: list, make, change, and the answers of their widgets."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import delete, get, patch, post, put
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import UnsetType

from twinlens.domain.clock import parse_iso
from twinlens.domain.dashboard import Dashboard, Tile, Widget, WidgetFilter
from twinlens.domain.errors import InvalidArgument
from twinlens.faces.http import AnyRequest, in_thread, services
from twinlens.faces.native import dashboard_schemas as d
from twinlens.faces.native.reply import FromMs, ToMs, reading, time_range, whole_id, writing
from twinlens.faces.native.rows import ms
from twinlens.features.dashboard_presets import PREFIX, WIDGETS
from twinlens.query.langfuse_metrics import VIEWS

_BASE = "/projects/{project_id:str}/dashboards"
_WIDGETS = "/projects/{project_id:str}/widgets"
_form = msgspec.json.Decoder(d.WidgetForm)
_filters = msgspec.json.Decoder(list[WidgetFilter])


def _row(board: Dashboard) -> d.DashboardRow:
    built_in = board.dashboard_id.startswith(PREFIX)
    return d.DashboardRow(
        id=board.dashboard_id, name=board.name, description=board.description, built_in=built_in,
        widgets=len(board.tiles), updated_ms=None if built_in else ms(board.updated_ns),
    )  # fmt: skip


def _widget_row(widget: Widget) -> d.WidgetRow:
    return d.WidgetRow(
        id=widget.widget_id, built_in=widget.widget_id in WIDGETS, name=widget.name, description=widget.description,
        view=widget.view, dimensions=widget.dimensions, metrics=widget.metrics, filters=widget.filters,
        chart_type=widget.chart_type, chart_config=widget.chart_config,
    )  # fmt: skip


def _widget(form: d.WidgetForm) -> Widget:
    return Widget(widget_id="", **msgspec.structs.asdict(form))


def _tile_row(tile: Tile) -> d.TileRow:
    return d.TileRow(
        id=tile.tile_id, widget_id=tile.widget_id or tile.preset_id or "", x=tile.x, y=tile.y, width=tile.width,
        height=tile.height,
    )  # fmt: skip


def _tile(row: d.TileRow) -> Tile:
    built_in = row.widget_id in WIDGETS
    return Tile(
        tile_id=row.id, widget_id=None if built_in else row.widget_id, preset_id=row.widget_id if built_in else None,
        x=row.x, y=row.y, width=row.width, height=row.height,
    )  # fmt: skip


def _detail(request: AnyRequest, project_id: str, board: Dashboard) -> d.DashboardDetail:
    shown = services(request).dashboards.widgets_of(project_id, board.tiles)
    return d.DashboardDetail(
        dashboard=_row(board), filters=board.filters, tiles=[_tile_row(tile) for tile in board.tiles],
        widgets=[_widget_row(widget) for widget in shown.values()],
    )  # fmt: skip


@get(_BASE, summary="List dashboards")
async def list_dashboards(request: AnyRequest, project_id: FromPath[str]) -> d.DashboardList:
    """The project's own, then those that every project has."""
    allowed = await reading(request, whole_id(project_id))
    dashboards = services(request).dashboards
    own, _ = await in_thread(dashboards.list, allowed)
    return d.DashboardList(dashboards=[_row(board) for board in (*own, *dashboards.built_in())])


@post(_BASE, summary="Make a dashboard")
async def create_dashboard(
    request: AnyRequest, project_id: FromPath[str], data: JSONBody[d.NewDashboard]
) -> d.DashboardDetail:
    """Empty, or a copy of another one with widgets of its own."""
    allowed = await writing(request, whole_id(project_id))
    dashboards = services(request).dashboards

    def make() -> d.DashboardDetail:
        if data.copy_of is not None:
            made = dashboards.copy(allowed, data.copy_of, data.name)
        else:
            board = Dashboard(dashboard_id="", name=data.name or "", description=data.description)
            made = dashboards.create(allowed, board)
        return _detail(request, allowed, made)

    return await in_thread(make)


@get(f"{_BASE}/{{dashboard_id:str}}", summary="One dashboard")
async def get_dashboard(
    request: AnyRequest, project_id: FromPath[str], dashboard_id: FromPath[str]
) -> d.DashboardDetail:
    """With the widgets that its tiles show."""
    allowed = await reading(request, whole_id(project_id))
    read = services(request).dashboards.get
    return await in_thread(lambda: _detail(request, allowed, read(allowed, whole_id(dashboard_id))))


@patch(f"{_BASE}/{{dashboard_id:str}}", summary="Change a dashboard")
async def change_dashboard(
    request: AnyRequest, project_id: FromPath[str], dashboard_id: FromPath[str], data: JSONBody[d.DashboardChange]
) -> d.DashboardDetail:
    """Name, description, filters or tiles. Widgets that no dashboard shows any more are deleted."""
    allowed = await writing(request, whole_id(project_id))
    changes: dict[str, Any] = {
        name: value
        for name in ("name", "description", "filters")
        if not isinstance(value := getattr(data, name), UnsetType)
    }
    if not isinstance(data.tiles, UnsetType):
        changes["tiles"] = [_tile(row) for row in data.tiles]
    change = services(request).dashboards.update
    return await in_thread(
        lambda: _detail(request, allowed, change(allowed, whole_id(dashboard_id), sweep=True, **changes))
    )


@delete(f"{_BASE}/{{dashboard_id:str}}", summary="Delete a dashboard", status_code=204)
async def delete_dashboard(request: AnyRequest, project_id: FromPath[str], dashboard_id: FromPath[str]) -> None:
    """With the widgets that no other dashboard shows."""
    allowed = await writing(request, whole_id(project_id))
    await in_thread(services(request).dashboards.delete, allowed, whole_id(dashboard_id), sweep=True)


@post(f"{_BASE}/{{dashboard_id:str}}/widgets", summary="Add a widget to a dashboard")
async def add_widget(
    request: AnyRequest, project_id: FromPath[str], dashboard_id: FromPath[str], data: JSONBody[d.WidgetForm]
) -> d.DashboardDetail:
    """A new widget, below everything."""
    allowed = await writing(request, whole_id(project_id))
    dashboards, wanted = services(request).dashboards, whole_id(dashboard_id)

    def add() -> d.DashboardDetail:
        made = dashboards.create_widget_on(allowed, wanted, _widget(data))
        return _detail(request, allowed, made)

    return await in_thread(add)


@put(f"{_WIDGETS}/{{widget_id:str}}", summary="Change a widget")
async def change_widget(
    request: AnyRequest, project_id: FromPath[str], widget_id: FromPath[str], data: JSONBody[d.WidgetForm]
) -> d.WidgetRow:
    """On every dashboard that shows it."""
    allowed = await writing(request, whole_id(project_id))
    change = services(request).dashboards.update_widget
    return _widget_row(
        await in_thread(change, allowed, whole_id(widget_id), **msgspec.structs.asdict(data))
    )  # fmt: skip


@get("/projects/{project_id:str}/widget-answer", summary="Answer a widget")
async def answer_widget(
    request: AnyRequest,
    project_id: FromPath[str],
    widget: Annotated[str, QueryParameter(description="A `WidgetForm` as JSON; it need not be stored.")],
    filters: Annotated[str, QueryParameter(description="Filters of the dashboard as JSON.")] = "[]",
    from_ms: FromMs = None,
    to_ms: ToMs = None,
) -> d.WidgetAnswer:
    """Its rows in a range of time; by default the last 24 hours."""
    allowed = await reading(request, whole_id(project_id))
    since, until = time_range(from_ms, to_ms)
    try:
        asked, more = _widget(_form.decode(widget)), _filters.decode(filters)
    except msgspec.DecodeError as error:
        raise InvalidArgument(f"widget or filters: {error}") from None
    rows = await in_thread(services(request).dashboards.answer, allowed, asked, since, until, more)
    for row in rows:
        if "time_dimension" in row:
            row["time_ms"] = parse_iso(row.pop("time_dimension")) / 1e6
    return d.WidgetAnswer(rows=rows)


@get("/projects/{project_id:str}/metric-views", summary="What widgets can ask")
async def metric_views(request: AnyRequest, project_id: FromPath[str]) -> d.MetricViews:
    """Measures, dimensions and columns for filters, by view."""
    await reading(request, whole_id(project_id))
    return d.MetricViews(
        views=[
            d.MetricView(view=name, measures=list(v.measures), dimensions=list(v.dimensions), columns=sorted(v.columns))
            for name, v in VIEWS.items()
        ]
    )


HANDLERS = [
    list_dashboards, create_dashboard, get_dashboard, change_dashboard, delete_dashboard, add_widget, change_widget,
    answer_widget, metric_views,
]  # fmt: skip
