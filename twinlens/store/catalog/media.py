"""Tables and statements of media records. The bytes are in the blob store."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from twinlens.domain.media import Media, MediaLink
from twinlens.store.catalog.engine import Catalog, metadata, upsert

media = sa.Table(
    "media",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("media_id", sa.Text, primary_key=True),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("content_type", sa.Text, nullable=False),
    sa.Column("content_length", sa.BigInteger, nullable=False),
    sa.Column("created_ns", sa.BigInteger, nullable=False),
    sa.Column("uploaded_ns", sa.BigInteger),
    sa.Column("upload_http_status", sa.Integer),
    sa.Column("upload_http_error", sa.Text),
    sa.Column("upload_time_ms", sa.BigInteger),
)

#: Where a file is used. ``link_hash`` stands for the other columns together: they may be longer than an index entry.
media_links = sa.Table(
    "media_links",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("media_id", sa.Text, primary_key=True),
    sa.Column("link_hash", sa.Text, primary_key=True),
    sa.Column("field", sa.Text, nullable=False),
    sa.Column("trace_id", sa.Text),
    sa.Column("observation_id", sa.Text),
    sa.Column("dataset_id", sa.Text),
    sa.Column("dataset_item_id", sa.Text),
    sa.Index(None, "project_id", "trace_id"),
)


class MediaTable:
    """Reads and writes media records."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def announce(self, project_id: str, row: Media, link: MediaLink) -> Media:
        """Store record and link unless they are there; the stored record."""
        values = msgspec.structs.asdict(row)
        used = msgspec.structs.asdict(link)
        used["link_hash"] = hashlib.sha256(msgspec.json.encode(link)).hexdigest()[:32]
        with self._catalog.write() as connection:
            insert = upsert(connection, media).values(project_id=project_id, **values)
            connection.execute(insert.on_conflict_do_nothing(index_elements=["project_id", "media_id"]))
            insert = upsert(connection, media_links).values(project_id=project_id, media_id=row.media_id, **used)
            connection.execute(insert.on_conflict_do_nothing(index_elements=["project_id", "media_id", "link_hash"]))
            stored = connection.execute(sa.select(media).where(*_is(project_id, row.media_id))).mappings().one()
        return _media(stored)

    def set(self, project_id: str, media_id: str, **values: Any) -> int:
        """Change columns; 1 if the record exists."""
        with self._catalog.write() as connection:
            return connection.execute(media.update().where(*_is(project_id, media_id)).values(**values)).rowcount

    def get(self, project_id: str, media_ids: Sequence[str]) -> dict[str, Media]:
        """Records by id; absent ones are left out."""
        if not media_ids:
            return {}
        m = media.c
        query = sa.select(media).where(m.project_id == project_id, m.media_id.in_(media_ids))
        with self._catalog.read() as connection:
            return {row["media_id"]: _media(row) for row in connection.execute(query).mappings()}

    def of_trace(self, project_id: str, trace_id: str) -> list[tuple[Media, MediaLink]]:
        """Files used in a trace."""
        used = media_links.c
        query = (
            sa.select(media, used.field, used.trace_id, used.observation_id)
            .join_from(
                media, media_links,
                (media.c.project_id == used.project_id) & (media.c.media_id == used.media_id),
            )
            .where(used.project_id == project_id, used.trace_id == trace_id)
            .order_by(media.c.created_ns, media.c.media_id)
        )  # fmt: skip
        with self._catalog.read() as connection:
            rows = connection.execute(query).mappings().all()
        return [
            (
                _media(row),
                MediaLink(field=row["field"], trace_id=row["trace_id"], observation_id=row["observation_id"]),
            )
            for row in rows
        ]


def _is(project_id: str, media_id: str) -> tuple[sa.ColumnElement[bool], ...]:
    return media.c.project_id == project_id, media.c.media_id == media_id


def _media(row: sa.RowMapping) -> Media:
    return Media(**{name: row[name] for name in Media.__struct_fields__})
