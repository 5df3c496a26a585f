"""Table and statements of comments."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa

from twinlens.domain.comment import Comment
from twinlens.store.catalog.engine import Catalog, metadata

comments = sa.Table(
    "comments",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("comment_id", sa.Text, primary_key=True),
    sa.Column("object_type", sa.Text, nullable=False),
    sa.Column("object_id", sa.Text, nullable=False),
    sa.Column("content", sa.Text, nullable=False),
    sa.Column("author_user_id", sa.Text),
    sa.Column("created_ns", sa.BigInteger, nullable=False),
    sa.Column("updated_ns", sa.BigInteger, nullable=False),
    sa.Index(None, "project_id", "object_type", "object_id"),
    sa.Index(None, "project_id", "created_ns"),
)


class CommentTable:
    """Reads and writes comments."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def add(self, project_id: str, comment: Comment) -> None:
        """Insert."""
        with self._catalog.write() as connection:
            connection.execute(comments.insert().values(project_id=project_id, **msgspec.structs.asdict(comment)))

    def get(self, project_id: str, comment_id: str) -> Comment | None:
        """One comment."""
        c = comments.c
        query = sa.select(comments).where(c.project_id == project_id, c.comment_id == comment_id)
        with self._catalog.read() as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else _comment(row)

    def delete(self, project_id: str, comment_id: str) -> bool:
        """Remove a comment; False if there is none."""
        c = comments.c
        with self._catalog.write() as connection:
            gone = connection.execute(
                comments.delete().where(c.project_id == project_id, c.comment_id == comment_id)
            )  # fmt: skip
            return gone.rowcount > 0

    def page(
        self, project_id: str, *, object_type: str | None, object_id: str | None, author_user_id: str | None,
        limit: int, offset: int,
    ) -> tuple[list[Comment], int]:  # fmt: skip
        """Newest first, and the number of all that match."""
        c = comments.c
        where = [c.project_id == project_id]
        for column, value in (
            (c.object_type, object_type), (c.object_id, object_id), (c.author_user_id, author_user_id),
        ):  # fmt: skip
            if value is not None:
                where.append(column == value)
        query = sa.select(comments).where(*where).order_by(c.created_ns.desc(), c.comment_id)
        with self._catalog.read() as connection:
            total = connection.execute(sa.select(sa.func.count()).select_from(comments).where(*where)).scalar_one()
            rows = connection.execute(query.limit(limit).offset(offset)).mappings().all()
        return [_comment(row) for row in rows], total


def _comment(row: sa.RowMapping) -> Comment:
    return Comment(**{name: row[name] for name in Comment.__struct_fields__})
