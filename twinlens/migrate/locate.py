"""What the addresses on the command line stand for.

``mlflow+http://host:5000``, ``langfuse+https://pk-lf-…:sk-lf-…@host``, ``twinlens+http://host:5001/project`` name a server and its
protocol; user and password in the address are its credentials. ``sqlite:///mlflow.db``, ``postgresql://…`` and ``./mlruns`` are
MLflow's database and file store. Another path is a file or folder of another tool: which one is found out, or said in front
(``wandb+./wandb``).
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec

from twinlens.migrate.errors import MigrationError
from twinlens.migrate.files.detect import FORMATS, detect, open_files
from twinlens.migrate.http import Http
from twinlens.migrate.mlflow_folder import is_store
from twinlens.migrate.mlflow_reader import MlflowReader
from twinlens.migrate.notes import Notes
from twinlens.migrate.system import Source, Target

_SYSTEMS = ("twinlens", "mlflow", "langfuse")
_DATABASES = ("sqlite:///", "postgresql://", "postgresql+")
#: In ``Place.system`` of a file or folder of another tool; ``Place.project`` then names the format.
FILES = "files"


class Place(msgspec.Struct, frozen=True):
    """One end of a migration. ``system`` is twinlens, mlflow, langfuse or files; ``shown`` has no credentials in it."""

    system: str
    url: str
    shown: str
    auth: tuple[str, str] | None = None
    project: str = "default"


def parse(text: str) -> Place:
    """Read an address.

    Raises:
        MigrationError: it names no system.
    """
    if (stored := text.removeprefix("mlflow+")).startswith(_DATABASES):
        parts = urlsplit(stored)
        return Place("mlflow", stored, f"mlflow+{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}")
    if "://" not in stored and is_store(Path(stored)):
        return Place("mlflow", stored, f"mlflow+{stored}")
    system, plus, rest = text.partition("+")
    if plus and system in FORMATS and rest:
        return Place(FILES, rest, text, project=system)
    if "://" not in text:
        return Place(FILES, text, text, project=detect(Path(text).expanduser()))
    if not plus or system not in _SYSTEMS or not rest.startswith(("http://", "https://")):
        raise MigrationError(
            f"{text}: say what it is, like mlflow+http://host:5000, langfuse+https://pk-lf-…:sk-lf-…@host, "
            "twinlens+http://host:5001/project, sqlite:///mlflow.db, postgresql://user:password@host/mlflow, ./mlruns, or a path with "
            f"one of these in front: {', '.join(f'{n}+' for n in FORMATS)}"
        )
    parts = urlsplit(rest)
    host = parts.hostname or ""
    if ":" in host:
        host = f"[{host}]"
    url = f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}"
    auth = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
    path = parts.path.strip("/")
    project = unquote(path) if system == "twinlens" and path else "default"
    if system != "twinlens" and path:
        url += "/" + path
    return Place(system, url, f"{system}+{url}" + (f"/{project}" if system == "twinlens" else ""), auth, project)


def source(place: Place, rate: float = 0, workers: int = 4) -> Source:
    """Open a place to read from, with so many requests under way at once."""
    if place.system == FILES:
        return open_files(place.project, place.url)
    if place.system == "mlflow" and not place.url.startswith("http"):
        from twinlens.migrate.mlflow_source import MlflowSource

        return MlflowSource(_stored(place.url))
    http = Http(place.url, auth=place.auth, rate=rate, workers=workers)
    if place.system == "mlflow":
        from twinlens.migrate.mlflow_reader import RestReader
        from twinlens.migrate.mlflow_source import MlflowSource

        return MlflowSource(RestReader(http))
    if place.system == "langfuse":
        from twinlens.migrate.langfuse_source import LangfuseSource

        return LangfuseSource(http)
    from twinlens.migrate.native import TwinlensSource

    return TwinlensSource(http, place.project)


def _stored(url: str) -> MlflowReader:
    """MLflow's database or file store."""
    if url.startswith(_DATABASES):
        from twinlens.migrate.mlflow_database import DatabaseReader

        return DatabaseReader(url)
    from twinlens.migrate.mlflow_folder import FolderReader

    return FolderReader(Path(url))


def check_target(place: Place) -> None:
    """See that a place can be written to.

    Raises:
        MigrationError: it is only read.
    """
    if place.system == FILES:
        raise MigrationError(f"{place.shown} can only be read: write archives and plain files with `twinlens export`")
    if place.system == "mlflow" and not place.url.startswith("http"):
        raise MigrationError(
            f"{place.shown} is only read: start `mlflow server` on it and name that, mlflow+http://host:5000"
        )


def check_apart(there: Place, here: Place) -> None:
    """See that a migration goes somewhere.

    Raises:
        MigrationError: both addresses name one project.
    """
    if (there.system, there.url, there.auth, there.project) == (here.system, here.url, here.auth, here.project):
        raise MigrationError(f"{there.shown} is source and target: name another project or server as the target")


def target(
    place: Place, *, derive: bool, rate: float = 0, workers: int = 4, notes: Notes | None = None
) -> Target:  # fmt: skip
    """Open a place to write to.

    Args:
        workers: requests that are under way at once when what it holds is read back.
        derive: what comes is from another product (see ``TwinlensTarget``).
        notes: what the target has to remember, should the migration be interrupted; None for memory.
    """
    check_target(place)
    http = Http(place.url, auth=place.auth, rate=rate, workers=workers)
    if place.system == "mlflow":
        from twinlens.migrate.mlflow_target import MlflowTarget

        return MlflowTarget(http, notes)
    if place.system == "langfuse":
        from twinlens.migrate.langfuse_target import LangfuseTarget

        return LangfuseTarget(http, notes)
    from twinlens.migrate.native import TwinlensTarget, ensure_project

    ensure_project(http, place.project, place.project)
    return TwinlensTarget(http, place.project, derive=derive)


def default_checkpoint(there: Place, here: Place) -> Path:
    """Where progress is kept unless said otherwise: in the current folder, one file per pair of places."""
    import hashlib

    digest = hashlib.sha256(f"{there.shown} {here.shown}".encode()).hexdigest()[:12]
    return Path(f"twinlens-migration-{digest}.db")
