"""Whole tables in key order, and rows put back with their keys: what archives and migrations need of the catalog.

Used for things without a table class of their own method, and for kinds that nobody but a full copy walks through.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from twinlens.store.catalog.engine import upsert
from twinlens.store.catalog.experiments import counters, next_number
from twinlens.store.catalog.runs import latest_metrics, runs

_TOO_FAR = 10**12  #: MLflow's own ids are 18 digits; the counter of experiments need not jump behind them


def row_id(table: sa.Table, values: dict[str, Any]) -> str:
    """The primary key of a row without its project, as text."""
    return "/".join(str(values[c.name]) for c in table.primary_key if c.name != "project_id")


def rows_after(
    connection: sa.Connection, table: sa.Table, project_id: str, keys: Sequence[str], after: Sequence[Any] | None,
    limit: int, where: sa.ColumnElement[bool] | None = None,
) -> list[dict[str, Any]]:  # fmt: skip
    """Rows of a project in the order of ``keys`` (unique together), behind the key values ``after``, without project."""
    if not keys and after is not None:  # a table with one row per project
        return []
    columns = [table.c[key] for key in keys]
    query = sa.select(table).where(table.c.project_id == project_id)
    if where is not None:
        query = query.where(where)
    if after is not None:
        query = query.where(sa.tuple_(*columns) > sa.tuple_(*(sa.literal(value) for value in after)))
    found = connection.execute(query.order_by(*columns).limit(limit)).mappings()
    return [{name: value for name, value in row.items() if name != "project_id"} for row in found]


def row_like(
    connection: sa.Connection, table: sa.Table, project_id: str, values: dict[str, Any]
) -> dict[str, Any] | None:
    """The row with the same primary key."""
    keys = [column for column in table.primary_key if column.name != "project_id"]
    where = [table.c.project_id == project_id, *(column == values[column.name] for column in keys)]
    row = connection.execute(sa.select(table).where(*where)).mappings().first()
    return None if row is None else dict(row)


def put_row(connection: sa.Connection, table: sa.Table, project_id: str, values: dict[str, Any]) -> None:
    """Insert a row, or overwrite the one with the same primary key. Columns this version does not know are left out."""
    known = {name: value for name, value in values.items() if name in table.c}
    keys = [column.name for column in table.primary_key]
    insert = upsert(connection, table).values(project_id=project_id, **known)
    changed = {name: value for name, value in known.items() if name not in keys}
    if changed:
        connection.execute(insert.on_conflict_do_update(index_elements=keys, set_=changed))
    else:
        connection.execute(insert.on_conflict_do_nothing(index_elements=keys))


def runs_after(
    connection: sa.Connection, project_id: str, experiment_id: int | None, after: int, limit: int
) -> list[int]:
    """Numbers of runs, deleted ones too, in the order in which they were created."""
    query = sa.select(runs.c.run_no).where(runs.c.project_id == project_id, runs.c.run_no > after)
    if experiment_id is not None:
        query = query.where(runs.c.experiment_id == experiment_id)
    return list(connection.execute(query.order_by(runs.c.run_no).limit(limit)).scalars())


def metric_count(connection: sa.Connection, project_id: str) -> int:
    """How many metrics all runs of a project have."""
    query = sa.select(sa.func.count()).select_from(latest_metrics.join(runs, runs.c.run_no == latest_metrics.c.run_no))
    return connection.execute(query.where(runs.c.project_id == project_id)).scalar_one()


def take(connection: sa.Connection, counter: str) -> int:
    """The next free number of a counter."""
    return next_number(connection, counter)


def keep_ahead(connection: sa.Connection, counter: str, number: int) -> None:
    """Make sure that a counter never gives out ``number``, which came from elsewhere."""
    if number >= _TOO_FAR:
        return
    insert = upsert(connection, counters).values(name=counter, value=number)
    connection.execute(
        insert.on_conflict_do_update(
            index_elements=["name"], set_={"value": number}, where=counters.c.value < number
        )
    )  # fmt: skip
