"""Dashboards of the native API; the conventions are those of ``schemas``, the words of widgets those of ``domain.dashboard``."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, Struct, UnsetType, field

from twinlens.domain.dashboard import ChartConfig, ChartType, View, WidgetFilter, WidgetMetric


class WidgetForm(Struct, kw_only=True):
    """What a widget asks and how its answer is drawn."""

    name: str
    description: str = ""
    view: View
    dimensions: list[str] = field(default_factory=list)
    metrics: list[WidgetMetric]
    filters: list[WidgetFilter] = field(default_factory=list)
    chart_type: ChartType
    chart_config: ChartConfig = ChartConfig()


class WidgetRow(WidgetForm, kw_only=True):
    """A stored widget."""

    id: str
    built_in: bool


class TileRow(Struct, kw_only=True):
    """Where a widget stands on the 12-column grid."""

    id: str
    widget_id: str
    x: int
    y: int
    width: int
    height: int


class DashboardRow(Struct, kw_only=True):
    """A dashboard in a list. ``updated_ms`` is None for built-in ones."""

    id: str
    name: str
    description: str
    built_in: bool
    widgets: int
    updated_ms: float | None


class DashboardList(Struct, kw_only=True):
    """Own ones, most recently changed first, and those that every project has."""

    dashboards: list[DashboardRow]


class DashboardDetail(Struct, kw_only=True):
    """A dashboard with the widgets that its tiles show."""

    dashboard: DashboardRow
    filters: list[WidgetFilter]
    tiles: list[TileRow]
    widgets: list[WidgetRow]


class NewDashboard(Struct, kw_only=True):
    """A dashboard to make: empty, or a copy of another one."""

    name: str | None = None
    description: str = ""
    copy_of: str | None = None


class DashboardChange(Struct, kw_only=True):
    """What is given is changed; ``tiles`` replace all tiles."""

    name: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    filters: list[WidgetFilter] | UnsetType = UNSET
    tiles: list[TileRow] | UnsetType = UNSET


class WidgetAnswer(Struct, kw_only=True):
    """Rows of a widget: dimensions by name, metrics as ``{agg}_{measure}``, ``time_ms`` in a series (start of the period)."""

    rows: list[dict[str, Any]]


class MetricView(Struct, kw_only=True):
    """What can be asked of a view."""

    view: str
    measures: list[str]
    dimensions: list[str]
    columns: list[str]  #: of filters


class MetricViews(Struct, kw_only=True):
    """All views."""

    views: list[MetricView]
