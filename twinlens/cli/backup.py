"""``twinlens backup`` and ``twinlens restore``."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from twinlens.cli.options import Config, Data, settings

if TYPE_CHECKING:
    from rich.progress import TaskID

MIB = 1 << 20


class _Bars:
    """One bar per step, on stderr; nothing where nobody looks."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description:<10}"), BarColumn(), DownloadColumn(binary_units=True), TimeRemainingColumn(),
            console=console, disable=not console.is_terminal,
        )  # fmt: skip
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, step: str, done: int, total: int) -> None:
        if step not in self._tasks:
            self._tasks[step] = self._progress.add_task(step, total=total)
        self._progress.update(self._tasks[step], completed=done, total=total)

    def __enter__(self) -> _Bars:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._progress.stop()


def backup(
    destination: Path,
    *,
    keep: Annotated[
        int | None, Parameter(help="So many backups stay in DESTINATION; the oldest go. [default: all stay]")
    ] = None,
    data: Data = None,
    config: Config = None,
) -> None:
    """Copy the whole instance into a folder, while the server runs or after it has stopped.

    Everything acknowledged before the backup began is in it: catalog, telemetry, artifacts, media, users, keys and the
    instance's own key, so keep it as safe as the data. Artifacts that an earlier backup in the same folder holds are not
    copied again. `twinlens restore` puts it back. See docs/backup.md.
    """
    from twinlens.backup.make import make
    from twinlens.domain.clock import iso_ms

    with _Bars() as bars:
        made = make(settings(config, data=data), destination, keep=keep, told=bars)
    found = made.manifest
    size = sum(file.bytes for file in found.files) + found.blob_bytes
    print(
        f"{made.folder}: {size / MIB:,.1f} MiB as of {iso_ms(found.time_ns)}, {made.new_bytes / MIB:,.1f} MiB of it new"
    )
    if not found.secret:
        print("The instance's key is a setting (TWINLENS_SECRET) and not in the backup: keep it apart.")
    if made.removed:
        print(f"removed: {', '.join(made.removed)}")


def restore(
    source: Path,
    *,
    dry_run: Annotated[bool, Parameter(negative=(), help="Only check the backup.")] = False,
    data: Data = None,
    config: Config = None,
) -> None:
    """Put a backup into a new data folder.

    SOURCE is one backup, or the folder of several: then the newest is taken. Nothing is overwritten: the data folder must be empty or absent, and so must the catalog database and the artifact folder
    if settings name others. The whole backup is checked before the first write. A restore that was interrupted leaves a
    folder that no server starts with; run the same command again.
    """
    from twinlens.backup import restore as restoring
    from twinlens.domain.clock import iso_ms

    chosen = settings(config, data=data)
    with _Bars() as bars:
        found = restoring.check(source, bars)[1] if dry_run else restoring.restore(source, chosen, told=bars)
    what = f"state of {iso_ms(found.time_ns)}, Twinlens {found.twinlens}, {found.blobs:,} artifacts and media files"
    if dry_run:
        print(f"The backup is whole: {what}.")
        return
    print(f"restored into {chosen.data}: {what}")
    if not found.secret and chosen.secret is None:
        print("Start the server with the same TWINLENS_SECRET as before, else no key fits.")
