"""Dashboards and their widgets (Langfuse server v4.5x, ``/unstable/dashboards`` and ``/unstable/dashboard-widgets``).

A widget is a question about the telemetry and how its answer is drawn; a dashboard is a 12-column grid of tiles that show
widgets. The same widget may stand on several dashboards.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from twinlens.domain.errors import InvalidArgument

View = Literal["observations", "scores-numeric", "scores-boolean", "scores-categorical", "traces"]
ChartType = Literal[
    "LINE_TIME_SERIES", "AREA_TIME_SERIES", "BAR_TIME_SERIES", "HORIZONTAL_BAR", "VERTICAL_BAR", "PIE", "NUMBER",
    "HISTOGRAM", "PIVOT_TABLE",
]  # fmt: skip
TIME_SERIES = frozenset({"LINE_TIME_SERIES", "AREA_TIME_SERIES", "BAR_TIME_SERIES"})
COLUMNS = 12
MAX_TILES = 100
MAX_NAME = 255
MAX_DESCRIPTION = 5_000
DEFAULT_ROWS = 100  #: rows of a chart that says nothing of its own


class WidgetMetric(msgspec.Struct, frozen=True):
    """A measure and how its values become one."""

    measure: str
    agg: str

    @property
    def column(self) -> str:
        """Its name in rows of answers."""
        return f"{self.agg}_{self.measure}"


class WidgetFilter(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """A condition in Langfuse's form, see ``query.langfuse_filter``."""

    type: str
    column: str
    operator: str
    value: Any = None
    key: str | None = None


class Sort(msgspec.Struct, frozen=True):
    """By which column a table is sorted at first."""

    column: str
    order: Literal["ASC", "DESC"] = "DESC"


class ChartConfig(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """How many rows or bins, and the like."""

    row_limit: int | None = None
    show_value_labels: bool | None = None
    bins: int | None = None
    default_sort: Sort | None = None


class Widget(msgspec.Struct, kw_only=True, frozen=True):
    """A question and its drawing."""

    widget_id: str
    name: str
    description: str = ""
    view: View
    dimensions: list[str] = []
    metrics: list[WidgetMetric]
    filters: list[WidgetFilter] = []
    chart_type: ChartType
    chart_config: ChartConfig = ChartConfig()
    created_ns: int = 0
    updated_ns: int = 0

    def check(self) -> None:
        """Whether the parts fit together; the query itself is checked by compiling it.

        Raises:
            InvalidArgument: says what does not fit.
        """
        check_texts(self.name, self.description, "widget")
        if not self.metrics:
            raise InvalidArgument("a widget needs at least one metric")
        if self.chart_type in ("NUMBER", "HISTOGRAM") and (self.dimensions or len(self.metrics) > 1):
            raise InvalidArgument(f"a chart of type {self.chart_type} has one metric and no dimension")
        drawn_by_histogram = any(metric.agg == "histogram" for metric in self.metrics)
        if drawn_by_histogram != (self.chart_type == "HISTOGRAM"):
            raise InvalidArgument("the aggregation 'histogram' and the chart type HISTOGRAM belong together")
        if self.chart_type != "PIVOT_TABLE" and len(self.dimensions) > 1:
            raise InvalidArgument("only a PIVOT_TABLE has more than one dimension")
        if len(self.dimensions) > 3 or len(self.metrics) > 10:
            raise InvalidArgument("a widget has at most 3 dimensions and 10 metrics")
        config = self.chart_config
        if config.row_limit is not None and not 1 <= config.row_limit <= 1_000:
            raise InvalidArgument("chartConfig.row_limit must be 1 to 1000")
        if config.bins is not None and not 1 <= config.bins <= 100:
            raise InvalidArgument("chartConfig.bins must be 1 to 100")


class Tile(msgspec.Struct, kw_only=True, frozen=True):
    """Where a widget stands on the grid: top-left cell from 0, size in cells. ``preset_id`` names a built-in widget."""

    tile_id: str
    widget_id: str | None = None
    preset_id: str | None = None
    x: int = 0
    y: int = 0
    width: int = 6
    height: int = 6

    def check(self) -> None:
        """Raise ``InvalidArgument`` unless it lies on the grid and shows one widget."""
        if (self.widget_id is None) == (self.preset_id is None):
            raise InvalidArgument("a placement shows a widget or a preset")
        if not 1 <= self.width <= COLUMNS or not 0 <= self.x <= COLUMNS - self.width:
            raise InvalidArgument(f"a placement must lie within the {COLUMNS} columns of the grid")
        if not 0 <= self.y <= 10_000 or not 1 <= self.height <= 100:
            raise InvalidArgument("a placement is 1 to 100 rows high and starts at row 0 to 10000")


class Dashboard(msgspec.Struct, kw_only=True, frozen=True):
    """Tiles, and filters that count for all of them."""

    dashboard_id: str
    name: str
    description: str = ""
    tiles: list[Tile] = []
    filters: list[WidgetFilter] = []
    created_ns: int = 0
    updated_ns: int = 0

    def check(self) -> None:
        """Raise ``InvalidArgument`` unless it may be stored."""
        check_texts(self.name, self.description, "dashboard")
        if len(self.tiles) > MAX_TILES:
            raise InvalidArgument(f"a dashboard has at most {MAX_TILES} placements")
        for tile in self.tiles:
            tile.check()
        ids = [tile.tile_id for tile in self.tiles]
        if len(set(ids)) != len(ids):
            raise InvalidArgument("the ids of a dashboard's placements must differ")

    @property
    def bottom(self) -> int:
        """The first row below all tiles."""
        return max((tile.y + tile.height for tile in self.tiles), default=0)


def check_texts(name: str, description: str, what: str) -> None:
    """Raise ``InvalidArgument`` for a name or description that is missing or too long."""
    if not name.strip() or len(name) > MAX_NAME:
        raise InvalidArgument(f"a {what} needs a name of 1 to {MAX_NAME} characters")
    if len(description) > MAX_DESCRIPTION:
        raise InvalidArgument(f"the description of a {what} has at most {MAX_DESCRIPTION} characters")
