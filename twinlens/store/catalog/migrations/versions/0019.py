"""When a key was last used."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Add the column."""
    op.add_column("api_keys", sa.Column("last_used_ns", sa.BigInteger))
