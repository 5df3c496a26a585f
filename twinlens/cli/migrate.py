"""``twinlens migrate``: from one system to another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter
from cyclopts.validators import Number

migrate = App(name="migrate")


@migrate.default
def run(
    source: Annotated[str, Parameter(help="Address, file or folder to read from.")],
    target: Annotated[str, Parameter(help="Address to write to.")],
    *,
    dry_run: Annotated[bool, Parameter(negative=(), help="Only say what would be carried.")] = False,
    checkpoint: Annotated[
        Path | None, Parameter(help="Where progress is kept. [default: twinlens-migration-….db in this folder]")
    ] = None,
    workers: Annotated[int, Parameter(help="Requests in flight, to each side.", validator=Number(gte=1, lte=64))] = 4,
    rate: Annotated[
        float, Parameter(help="Requests per second at most, to each side; 0: no limit.", validator=Number(gte=0))
    ] = 0,
) -> None:
    """Move a project between MLflow, Langfuse and Twinlens, or from the files of another tool.

    Servers are `mlflow+http://host:5000`, `langfuse+https://pk-lf-…:sk-lf-…@host`, `twinlens+http://host:5001/project` and, as a
    source, `phoenix+http://host:6006`. SOURCE may also be a file or folder of OTLP, W&B, TensorBoard, Trackio, SuperOptiX,
    Phoenix or a Langfuse export; which one is found out, or said in front: `wandb+./wandb`.

    Ids and times are kept; what the target has no place for travels along and comes back on the way back. An interrupted
    migration goes on when the same command is given again; doing it again changes nothing. At the end both sides are
    compared, and a difference is an error. See docs/migration.md.
    """
    from twinlens.migrate import locate
    from twinlens.migrate.checkpoint import Checkpoint
    from twinlens.migrate.notes import Notes
    from twinlens.migrate.plan import make_plan
    from twinlens.migrate.runner import Migration, check
    from twinlens.migrate.show import Bars, reading, show_notes, show_plan, show_report

    there, here = locate.parse(source), locate.parse(target)
    locate.check_apart(there, here)
    title = f"{there.shown} → {here.shown}"
    exact = there.system == here.system == "twinlens"
    with reading(there.shown):
        opened = locate.source(there, rate, workers)
    if dry_run:
        locate.check_target(here)
        show_plan(make_plan(opened), title)
        show_notes(opened)
        return
    file = checkpoint or locate.default_checkpoint(there, here)
    progress, notes = Checkpoint(file, title), Notes(file)
    try:
        into = locate.target(here, derive=not exact, rate=rate, workers=workers, notes=notes)
        with Bars(opened.count) as bars:
            migration = Migration(opened, into, progress, exact=exact, workers=workers, progress=bars)
            migration.run()
            report = migration.compare()
    finally:
        progress.close()
        notes.close()
    show_report(report, title)
    show_notes(opened)
    check(report)
    print("Both sides agree.")


@migrate.command(name="config")
def config_(
    file: Path,
    *,
    to: Annotated[Literal["mlflow", "langfuse", "twinlens"], Parameter(help="The backend to send to.")],
    write: Annotated[bool, Parameter(negative=(), help="Change the file; else only show the difference.")] = False,
) -> None:
    """Rewrite the `observability:` block of a playbook for another backend, and show what changes.

    Everything outside the block stays as it is. Addresses and keys of the new backend are placeholders to look at.
    """
    import difflib

    from twinlens.migrate.config import rewrite

    before = file.read_text("utf-8")
    after = rewrite(before, to)
    names = (str(file), f"{file} (for {to})")
    print("".join(difflib.unified_diff(before.splitlines(True), after.splitlines(True), *names)), end="")
    if write:
        file.write_text(after, "utf-8")
