"""No table of the catalog is forgotten by archives."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from twinlens.domain.errors import InvalidArgument
from twinlens.domain.record import PROGRESS
from twinlens.store.catalog.carried import MANAGED, ROWS, SEALED, STAYS, TYPED, checked, row_table, row_tables
from twinlens.store.catalog.engine import metadata
from twinlens.store.catalog.schema import load_tables

load_tables()
#: Parts of names of columns that may hold what must not leave the instance.
_SUSPECT = ("secret", "seal", "password", "token_hash", "credential", "private")


def test_every_table_is_carried_or_stays_for_a_reason() -> None:
    """A new table goes into one list of ``store/catalog/carried.py``; one in TYPED needs a record that holds it."""
    named = [*TYPED, *ROWS, *STAYS]
    assert sorted(named) == sorted(metadata.tables)
    assert all(STAYS.values())


def test_rows_can_be_told_apart_and_hold_no_secret() -> None:
    for table in row_tables(managed=True):
        assert "project_id" in table.primary_key, table.name
        binary = {f"{table.name}.{c.name}" for c in table.c if isinstance(c.type, sa.LargeBinary)}
        assert binary <= {"skill_pieces.data"}, "sealed secrets are bytes too: are these meant to travel?"
        kept = [c.name for c in table.c if c.name != SEALED and any(word in c.name for word in _SUSPECT)]
        assert not kept, f"{table.name}: is {kept} a secret? Name its column {SEALED!r}, or have the table stay."
        if SEALED in table.c:
            assert table.name in MANAGED
    assert MANAGED <= ROWS
    for name, columns in PROGRESS.items():
        assert name in ROWS and columns <= set(metadata.tables[name].c.keys()), name


def test_rows_of_other_tables_and_wrong_values_are_refused() -> None:
    for name, says in (("api_keys", "keys open"), ("runs", "records of their own"), ("nope", "newer Twinlens")):
        with pytest.raises(InvalidArgument, match=says):
            row_table(name)
    row = {"endpoint_id": "e", "key": "k", "value": "v"}
    tags = row_table("gateway_tags")
    assert checked(tags, row | {"later": 1, "project_id": "other"}) == row
    for wrong in ({"value": 1}, {"value": None}, {"key": {"a": 1}}):
        with pytest.raises(InvalidArgument, match="gateway_tags: "):
            checked(tags, row | wrong)
