"""API keys. Only a keyed hash of the secret is stored; a key is found by that hash alone."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from twinlens.domain.errors import AlreadyExists
from twinlens.domain.project import ApiKey
from twinlens.store.catalog.engine import Catalog, metadata

api_keys = sa.Table(
    "api_keys",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("public_key", sa.Text, nullable=False, unique=True),
    sa.Column("secret_hash", sa.Text, nullable=False, unique=True),
    sa.Column("hint", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("organization_id", sa.Text, sa.ForeignKey("organizations.id"), nullable=False, index=True),
    sa.Column("project_id", sa.Text, sa.ForeignKey("projects.id"), index=True),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("created_ns", sa.BigInteger, nullable=False),
    sa.Column("expires_ns", sa.BigInteger),
    sa.Column("last_used_ns", sa.BigInteger),
)
_SHOWN = [column for column in api_keys.c if column.name != "secret_hash"]


class KeyStore:
    """API keys by id, public key, or secret's hash."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def add(self, key: ApiKey, secret_hash: str) -> None:
        """Store a new key.

        Raises:
            AlreadyExists: public or secret key is taken.
        """
        try:
            with self._catalog.write() as c:
                c.execute(
                    api_keys.insert().values(
                        **{f: getattr(key, f) for f in key.__struct_fields__}, secret_hash=secret_hash
                    )
                )
        except IntegrityError as error:
            raise AlreadyExists("this public key or secret key is in use already") from error

    def by_secret(self, secret_hash: str) -> ApiKey | None:
        """The key whose secret has this hash."""
        return self._one(api_keys.c.secret_hash == secret_hash)

    def by_public(self, public_key: str) -> ApiKey | None:
        """The key with this public part."""
        return self._one(api_keys.c.public_key == public_key)

    def touch(self, key_id: str, now: int) -> None:
        """Note that a key has just been used."""
        with self._catalog.write() as c:
            c.execute(api_keys.update().where(api_keys.c.id == key_id).values(last_used_ns=now))

    def list(self, project_id: str) -> list[ApiKey]:
        """Keys of a project, oldest first."""
        query = sa.select(*_SHOWN).where(api_keys.c.project_id == project_id).order_by(api_keys.c.created_ns)
        with self._catalog.read() as c:
            return [ApiKey(**row) for row in c.execute(query).mappings()]

    def of_organization(self, organization_id: str) -> list[ApiKey]:
        """Keys of the organization itself, not of one project, oldest first."""
        query = sa.select(*_SHOWN).where(api_keys.c.organization_id == organization_id, api_keys.c.project_id.is_(None))
        with self._catalog.read() as c:
            return [ApiKey(**row) for row in c.execute(query.order_by(api_keys.c.created_ns)).mappings()]

    def any(self) -> bool:
        """Whether a key exists at all."""
        with self._catalog.read() as c:
            return c.execute(sa.select(api_keys.c.id).limit(1)).first() is not None

    def delete(self, project_id: str, key_id: str) -> bool:
        """Remove a key; False when it was not there."""
        with self._catalog.write() as c:
            found = c.execute(api_keys.delete().where(api_keys.c.project_id == project_id, api_keys.c.id == key_id))
            return found.rowcount > 0

    def delete_of_organization(self, organization_id: str, key_id: str) -> bool:
        """Remove a key of the organization itself; False when it was not there."""
        where = (
            (api_keys.c.organization_id == organization_id)
            & api_keys.c.project_id.is_(None)
            & (api_keys.c.id == key_id)
        )
        with self._catalog.write() as c:
            return c.execute(api_keys.delete().where(where)).rowcount > 0

    def _one(self, condition: sa.ColumnElement[bool]) -> ApiKey | None:
        with self._catalog.read() as c:
            row = c.execute(sa.select(*_SHOWN).where(condition)).mappings().first()
        return ApiKey(**row) if row else None
