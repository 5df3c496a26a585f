"""Projects, users, keys."""

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables of this part."""
