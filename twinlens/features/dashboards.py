"""Dashboards: store them, and answer their widgets through the metrics queries of ``query.langfuse_metrics``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from twinlens.domain.clock import Clock, iso_ms, now_ns
from twinlens.domain.dashboard import (
    DEFAULT_ROWS,
    TIME_SERIES,
    Dashboard,
    Tile,
    Widget,
    WidgetFilter,
)
from twinlens.domain.errors import Conflict, InvalidArgument, InvalidState, NotFound
from twinlens.domain.ids import new_uuid
from twinlens.features import dashboard_presets as presets
from twinlens.query import langfuse_metrics as metrics
from twinlens.query.langfuse_filter import Item
from twinlens.store.catalog.dashboards import DashboardTable
from twinlens.store.catalog.engine import Catalog
from twinlens.store.telemetry.interface import TelemetryStore

_MOST_CELLS = 50_000  #: periods × groups of a series
_MOST_SERIES = 10
_HOUR_NS = 3_600 * 1_000_000_000


class Dashboards:
    """Dashboards and widgets by id; built-in ones are there in every project and cannot be changed. All methods block."""

    def __init__(self, catalog: Catalog, telemetry: TelemetryStore, clock: Clock = now_ns) -> None:
        self._catalog = catalog
        self._telemetry = telemetry
        self._clock = clock

    # --- dashboards --------------------------------------------------------------------------------------------
    def list(self, project_id: str, *, limit: int | None = None, offset: int = 0) -> tuple[list[Dashboard], int]:
        """The project's own, most recently changed first, and their number."""
        with self._catalog.read() as connection:
            return DashboardTable(connection, project_id).page(Dashboard, limit, offset)

    def built_in(self) -> Sequence[Dashboard]:
        """Those that every project has."""
        return tuple(presets.DASHBOARDS.values())

    def get(self, project_id: str, dashboard_id: str) -> Dashboard:
        """One, built-in or own.

        Raises:
            NotFound: there is none.
        """
        if (found := presets.DASHBOARDS.get(dashboard_id)) is not None:
            return found
        with self._catalog.read() as connection:
            return _dashboard(DashboardTable(connection, project_id), dashboard_id)

    def create(self, project_id: str, dashboard: Dashboard) -> Dashboard:
        """Store a new one under a new id.

        Raises:
            InvalidArgument: its parts do not fit together, or a tile shows a widget that is not there.
        """
        now = self._clock()
        made = msgspec.structs.replace(dashboard, dashboard_id=new_uuid(), created_ns=now, updated_ns=now)
        with self._catalog.write() as connection:
            table = DashboardTable(connection, project_id)
            _check(table, made)
            table.put(made)
        return made

    def copy(self, project_id: str, dashboard_id: str, name: str | None = None) -> Dashboard:
        """A copy with widgets of its own, which may be changed.

        Raises:
            NotFound: there is none of this id.
        """
        source = self.get(project_id, dashboard_id)
        now = self._clock()
        with self._catalog.write() as connection:
            table = DashboardTable(connection, project_id)
            shown = _widgets(table, source.tiles)
            tiles: list[Tile] = []
            for tile in source.tiles:
                if (widget := shown.get(tile.widget_id or tile.preset_id or "")) is not None:
                    own = msgspec.structs.replace(widget, widget_id=new_uuid(), created_ns=now, updated_ns=now)
                    table.put(own)
                    tiles.append(msgspec.structs.replace(tile, widget_id=own.widget_id, preset_id=None))
            made = Dashboard(
                dashboard_id=new_uuid(), name=name or f"{source.name} (copy)", description=source.description,
                tiles=tiles, filters=source.filters, created_ns=now, updated_ns=now,
            )  # fmt: skip
            made.check()
            table.put(made)
        return made

    def update(self, project_id: str, dashboard_id: str, *, sweep: bool = False, **changes: Any) -> Dashboard:
        """Change fields: ``name``, ``description``, ``tiles``, ``filters``.

        Args:
            sweep: delete widgets that were on it and are on no dashboard any more.

        Raises:
            NotFound: there is none.
            InvalidState: it is built in.
            InvalidArgument: the parts do not fit together.
        """
        _own(dashboard_id, "dashboard")
        with self._catalog.write() as connection:
            table = DashboardTable(connection, project_id)
            old = _dashboard(table, dashboard_id)
            made = msgspec.structs.replace(old, **changes, updated_ns=self._clock())
            _check(table, made)
            table.put(made)
            if sweep:
                _sweep(table, old)
        return made

    def delete(self, project_id: str, dashboard_id: str, *, sweep: bool = False) -> None:
        """Remove a dashboard; its widgets stay unless ``sweep`` says as in ``update``.

        Raises:
            NotFound: there is none.
            InvalidState: it is built in.
        """
        _own(dashboard_id, "dashboard")
        with self._catalog.write() as connection:
            table = DashboardTable(connection, project_id)
            old = _dashboard(table, dashboard_id)
            table.delete(Dashboard, dashboard_id)
            if sweep:
                _sweep(table, old)

    # --- tiles -------------------------------------------------------------------------------------------------
    def add_tile(self, project_id: str, dashboard_id: str, tile: Tile, *, at_end: bool) -> Tile:
        """Put a widget on a dashboard; ``at_end`` puts it below everything. An empty ``tile_id`` gets a new one.

        Raises:
            Conflict: the dashboard has a tile of this id.
            NotFound, InvalidState, InvalidArgument: as ``update``.
        """
        _own(dashboard_id, "dashboard")
        with self._catalog.write() as connection:
            table = DashboardTable(connection, project_id)
            board = _dashboard(table, dashboard_id)
            if any(one.tile_id == tile.tile_id for one in board.tiles):
                raise Conflict(f"the dashboard has a placement with the id '{tile.tile_id}' already")
            made = msgspec.structs.replace(
                tile, tile_id=tile.tile_id or new_uuid(), y=board.bottom if at_end else tile.y
            )
            changed = msgspec.structs.replace(board, tiles=[*board.tiles, made], updated_ns=self._clock())
            _check(table, changed)
            table.put(changed)
        return made

    def move_tile(self, project_id: str, dashboard_id: str, tile_id: str, **place: int) -> Tile:
        """Change ``x``, ``y``, ``width`` or ``height`` of a tile.

        Raises:
            NotFound: no such dashboard or tile.
            InvalidState, InvalidArgument: as ``update``.
        """
        board = self.get(project_id, dashboard_id)
        made = msgspec.structs.replace(_tile(board, tile_id), **place)
        self.update(project_id, dashboard_id, tiles=[made if t.tile_id == tile_id else t for t in board.tiles])
        return made

    def remove_tile(self, project_id: str, dashboard_id: str, tile_id: str) -> None:
        """Take a tile off; its widget stays.

        Raises:
            NotFound: no such dashboard or tile.
            InvalidState: the dashboard is built in.
        """
        board = self.get(project_id, dashboard_id)
        gone = _tile(board, tile_id)
        self.update(project_id, dashboard_id, tiles=[tile for tile in board.tiles if tile is not gone])

    # --- widgets -----------------------------------------------------------------------------------------------
    def widgets(self, project_id: str, *, limit: int | None = None, offset: int = 0) -> tuple[list[Widget], int]:
        """The project's own, most recently changed first, and their number."""
        with self._catalog.read() as connection:
            return DashboardTable(connection, project_id).page(Widget, limit, offset)

    def widgets_of(self, project_id: str, tiles: Sequence[Tile]) -> dict[str, Widget]:
        """The widgets that tiles show, by id."""
        with self._catalog.read() as connection:
            return _widgets(DashboardTable(connection, project_id), tiles)

    def widget(self, project_id: str, widget_id: str) -> Widget:
        """One, built-in or own.

        Raises:
            NotFound: there is none.
        """
        with self._catalog.read() as connection:
            found = _widgets(DashboardTable(connection, project_id), [Tile(tile_id="", widget_id=widget_id)])
        if widget_id not in found:
            raise _no_widget(widget_id)
        return found[widget_id]

    def create_widget(self, project_id: str, widget: Widget) -> Widget:
        """Store a new one under a new id.

        Raises:
            InvalidArgument: its parts do not fit together, or its query cannot be run.
        """
        now = self._clock()
        made = msgspec.structs.replace(widget, widget_id=new_uuid(), created_ns=now, updated_ns=now)
        _check_widget(project_id, made)
        with self._catalog.write() as connection:
            DashboardTable(connection, project_id).put(made)
        return made

    def create_widget_on(self, project_id: str, dashboard_id: str, widget: Widget) -> Dashboard:
        """A new widget below everything on a dashboard: as wide as half of it, a number as a quarter.

        Raises:
            NotFound, InvalidState: as ``update``.
            InvalidArgument: as ``create_widget``.
        """
        _own(dashboard_id, "dashboard")
        now = self._clock()
        made = msgspec.structs.replace(widget, widget_id=new_uuid(), created_ns=now, updated_ns=now)
        _check_widget(project_id, made)
        with self._catalog.write() as connection:
            table = DashboardTable(connection, project_id)
            board = _dashboard(table, dashboard_id)
            size = 3 if made.chart_type == "NUMBER" else 6
            tile = Tile(tile_id=new_uuid(), widget_id=made.widget_id, y=board.bottom, width=size, height=size)
            changed = msgspec.structs.replace(board, tiles=[*board.tiles, tile], updated_ns=now)
            table.put(made)
            _check(table, changed)
            table.put(changed)
        return changed

    def update_widget(self, project_id: str, widget_id: str, **changes: Any) -> Widget:
        """Change fields of a widget, on every dashboard that shows it.

        Raises:
            NotFound: there is none.
            InvalidState: it is built in.
            InvalidArgument: as ``create_widget``.
        """
        _own(widget_id, "widget")
        with self._catalog.write() as connection:
            table = DashboardTable(connection, project_id)
            old = table.get(Widget, widget_id)
            if old is None:
                raise _no_widget(widget_id)
            made = msgspec.structs.replace(old, **changes, updated_ns=self._clock())
            _check_widget(project_id, made)
            table.put(made)
        return made

    def delete_widget(self, project_id: str, widget_id: str) -> None:
        """Remove a widget that no dashboard shows.

        Raises:
            NotFound: there is none.
            InvalidState: it is built in.
            Conflict: it stands on a dashboard.
        """
        _own(widget_id, "widget")
        with self._catalog.write() as connection:
            table = DashboardTable(connection, project_id)
            boards, _ = table.page(Dashboard)
            users = [board.name for board in boards if any(tile.widget_id == widget_id for tile in board.tiles)]
            if users:
                raise Conflict(f"the widget is on a dashboard, remove it there first: {', '.join(users)}")
            if not table.delete(Widget, widget_id):
                raise _no_widget(widget_id)

    # --- answers -----------------------------------------------------------------------------------------------
    def answer(
        self, project_id: str, widget: Widget, since_ns: int, until_ns: int, filters: Sequence[WidgetFilter] = ()
    ) -> list[dict[str, Any]]:
        """The rows of a widget: dimensions by name, metrics as ``{agg}_{measure}``, ``time_dimension`` in a series.

        A series by a dimension has its largest groups only (``row_limit``, else 10), each over the whole range.

        Args:
            filters: of the dashboard; those that the widget's view does not know are left out.

        Raises:
            InvalidArgument: its parts do not fit together, or its query cannot be run.
        """
        widget.check()
        known = metrics.VIEWS[widget.view].columns
        more = [one for one in filters if one.column in known]
        plan = metrics.plan_query(project_id, _query(widget, since_ns, until_ns, more), v2=False)
        grouped = widget.chart_type in TIME_SERIES and bool(widget.dimensions)
        most = _MOST_CELLS if grouped else plan.limit
        plan.limit = most
        found = [self._telemetry.aggregate(msgspec.structs.replace(a, limit=most)) for _, a in plan.aggregates]
        rows = plan.rows(found)
        return _largest_groups(widget, rows) if grouped else rows


def _sweep(table: DashboardTable, old: Dashboard) -> None:
    """Delete what was on ``old`` and is on no dashboard now."""
    boards, _ = table.page(Dashboard)
    shown = {tile.widget_id for board in boards for tile in board.tiles}
    for widget_id in {tile.widget_id for tile in old.tiles} - shown:
        if widget_id:
            table.delete(Widget, widget_id)


def _largest_groups(widget: Widget, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    group, size = widget.dimensions[0], widget.metrics[0].column
    totals: dict[Any, float] = {}
    for row in rows:
        totals[row[group]] = totals.get(row[group], 0.0) + (row[size] or 0.0)
    kept = set(sorted(totals, key=lambda g: -totals[g])[: widget.chart_config.row_limit or _MOST_SERIES])
    return [row for row in rows if row[group] in kept]


def _query(
    widget: Widget, since_ns: int, until_ns: int, filters: Sequence[WidgetFilter] = ()
) -> metrics.MetricsQuery:  # fmt: skip
    series = widget.chart_type in TIME_SERIES
    config = widget.chart_config
    order = config.default_sort
    return metrics.MetricsQuery(
        view=widget.view,
        metrics=[metrics.MetricMeasure(m.measure, m.agg) for m in widget.metrics],
        dimensions=[metrics.MetricField(name) for name in widget.dimensions],
        filters=[Item(**msgspec.structs.asdict(one)) for one in (*widget.filters, *filters)],
        time_dimension=metrics.TimeDimension("auto") if series else None,
        from_timestamp=iso_ms(since_ns),
        to_timestamp=iso_ms(until_ns),
        order_by=None
        if order is None or series
        else [metrics.MetricOrder(order.column, "asc" if order.order == "ASC" else "desc")],
        config=metrics.MetricConfig(
            row_limit=metrics.MAX_ROWS if series else config.row_limit or DEFAULT_ROWS, bins=config.bins or 20
        ),
    )


def _check_widget(project_id: str, widget: Widget) -> None:
    widget.check()
    metrics.plan_query(project_id, _query(widget, 0, _HOUR_NS), v2=False)


def _check(table: DashboardTable, board: Dashboard) -> None:
    board.check()
    shown = _widgets(table, board.tiles)
    for tile in board.tiles:
        wanted = tile.widget_id or tile.preset_id or ""
        if wanted not in shown or (tile.preset_id is not None and wanted not in presets.WIDGETS):
            raise InvalidArgument(f"the placement '{tile.tile_id}' shows '{wanted}', which is not there")


def _widgets(table: DashboardTable, tiles: Sequence[Tile]) -> dict[str, Widget]:
    wanted = {tile.widget_id or tile.preset_id or "" for tile in tiles}
    built_in = {widget_id: presets.WIDGETS[widget_id] for widget_id in wanted & presets.WIDGETS.keys()}
    return {**built_in, **table.some_widgets(wanted - built_in.keys())}


def _dashboard(table: DashboardTable, dashboard_id: str) -> Dashboard:
    found = table.get(Dashboard, dashboard_id)
    if found is None:
        raise _no_dashboard(dashboard_id)
    return found


def _tile(board: Dashboard, tile_id: str) -> Tile:
    for tile in board.tiles:
        if tile.tile_id == tile_id:
            return tile
    raise NotFound(f"the dashboard has no placement '{tile_id}'")


def _own(row_id: str, what: str) -> None:
    if row_id in presets.DASHBOARDS or row_id in presets.WIDGETS:
        raise InvalidState(f"a built-in {what} cannot be changed: make a copy")


def _no_dashboard(dashboard_id: str) -> NotFound:
    return NotFound(f"Dashboard '{dashboard_id}' not found")


def _no_widget(widget_id: str) -> NotFound:
    return NotFound(f"Dashboard widget '{widget_id}' not found")
