"""``twinlens export`` and ``twinlens import``: archives of a running server, and plain files of its traces."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

if TYPE_CHECKING:
    from twinlens.migrate.http import Http

Url = Annotated[str, Parameter(env_var="TWINLENS_URL", help="Address of the running server.")]
Key = Annotated[
    str | None,
    Parameter(env_var="TWINLENS_KEY", help="`pk-lf-…:sk-lf-…` or a secret key, when the server is secured."),
]
LOCAL = "http://127.0.0.1:5001"


def connect(url: str, key: str | None, rate: float = 0) -> Http:
    """A client for a Twinlens server."""
    from twinlens.migrate.http import Http

    public, colon, secret = (key or "").partition(":")
    return Http(url, auth=(public, secret) if colon else None, token=None if colon else key, rate=rate)


def export(
    destination: Path,
    *,
    url: Url = LOCAL,
    key: Key = None,
    project: Annotated[str | None, Parameter(help="Only this project. [default: all you may see]")] = None,
    experiment: Annotated[str | None, Parameter(help="Only this experiment (its id).")] = None,
    trace: Annotated[str | None, Parameter(help="Only this trace (its id).")] = None,
    format: Annotated[
        Literal["archive", "otlp", "otlp-jsonl", "csv"],
        Parameter(help="otlp (or otlp-jsonl): traces as OTLP JSON lines; csv: one row per trace."),
    ] = "archive",
) -> None:
    """Write everything, or a part of it, into an archive: a folder, or one file when the name ends with .tar.zst.

    The server keeps running. The archive appears under its name when it is complete; what it holds is described in
    docs/archive.md. Users and keys are not in it.
    """
    from twinlens.domain.errors import InvalidArgument
    from twinlens.migrate.archive_writer import ArchiveWriter
    from twinlens.migrate.checkpoint import Checkpoint
    from twinlens.migrate.native import TwinlensSource, projects
    from twinlens.migrate.plain import write_csv, write_otlp
    from twinlens.migrate.runner import Migration, check
    from twinlens.migrate.show import Bars, show_report

    http = connect(url, key)
    found = [p for p in projects(http) if project in (None, p["id"])]
    if not found:
        raise InvalidArgument(f"there is no project {project!r} at {url}, or the key does not open it")
    if (experiment or trace) and len(found) > 1:
        raise InvalidArgument("name the --project of the experiment or trace")
    sources = [
        (p["id"], p["name"], TwinlensSource(http, p["id"], experiment=experiment, trace=trace)) for p in found
    ]  # fmt: skip
    part = "experiment" if experiment else "trace" if trace else None
    if part and not any(page.records for page in sources[0][2].read(part)):
        raise InvalidArgument(f"project {found[0]['id']} has no {part} with the id {experiment or trace!r}")
    if format != "archive":
        write = write_csv if format == "csv" else write_otlp
        print(f"{write(destination, [source for _, _, source in sources]):,} traces written to {destination}")
        return
    with ArchiveWriter(destination) as archive:
        for project_id, name, source in sources:
            target = archive.project(project_id, name, experiment=experiment, trace=trace)
            checkpoint = Checkpoint(None, project_id)
            with Bars() as bars:
                migration = Migration(source, target, checkpoint, exact=True, workers=1, progress=bars)
                migration.run()
                report = migration.compare()
            show_report(report, f"project {project_id}")
            check(report)
    print(f"written to {destination}")


def import_(
    source: Path,
    *,
    url: Url = LOCAL,
    key: Key = None,
    project: Annotated[
        str | None, Parameter(help="Into this project (archives of one project). [default: the archived one's id]")
    ] = None,
    dry_run: Annotated[bool, Parameter(negative=(), help="Check the archive and say what it holds.")] = False,
    rate: Annotated[float, Parameter(help="Requests per second at most; 0: no limit.", validator=Number(gte=0))] = 0,
    checkpoint: Annotated[
        Path | None, Parameter(help="Where progress is kept. [default: beside the archive, removed when done]")
    ] = None,
) -> None:
    """Put an archive into a running server.

    It is checked as a whole first; a damaged, too new or hostile one is refused before anything is written. Importing
    twice changes nothing; an interrupted import goes on where it was.
    """
    from twinlens.domain.errors import InvalidArgument
    from twinlens.migrate.archive_reader import ArchiveReader
    from twinlens.migrate.checkpoint import Checkpoint
    from twinlens.migrate.native import TwinlensTarget, ensure_project
    from twinlens.migrate.plan import make_plan
    from twinlens.migrate.runner import Migration, check
    from twinlens.migrate.show import Bars, show_plan, show_report, show_secrets

    with ArchiveReader(source) as archive:
        entries = archive.manifest.projects
        if project is not None and len(entries) != 1:
            raise InvalidArgument(f"the archive holds {len(entries)} projects: leave --project away")
        http = connect(url, key, rate)
        for entry, reader in zip(entries, archive.projects(), strict=True):
            into = project or entry.id
            if dry_run:
                show_plan(make_plan(reader), f"project {entry.id} → {into}")
                show_secrets(reader)
                continue
            ensure_project(http, into, entry.name)
            place = checkpoint or source.with_name(f"{source.name}.{entry.folder}.progress")
            progress = Checkpoint(place, f"{source.resolve()} {archive.manifest.created} → {url} {into}")
            try:
                migration = Migration(reader, TwinlensTarget(http, into), progress, exact=True)
                with Bars(reader.count) as bars:
                    Migration(reader, TwinlensTarget(http, into), progress, exact=True, progress=bars).run()
                report = migration.compare()
            finally:
                progress.close()
            show_report(report, f"project {entry.id} → {into}")
            check(report)
            show_secrets(reader)
            place.unlink(missing_ok=True)
