"""The command tree, and how errors reach the terminal: one sentence, no traceback."""

from __future__ import annotations

import sys
from collections.abc import Callable

from cyclopts import App, Group
from rich.console import Console
from rich.markup import escape

from twinlens import __version__
from twinlens.cli.admin import key, project, user
from twinlens.cli.archive import export, import_
from twinlens.cli.backup import backup, restore
from twinlens.cli.config import config
from twinlens.cli.demo import demo
from twinlens.cli.deployment import deployment
from twinlens.cli.doctor import doctor
from twinlens.cli.gc import gc
from twinlens.cli.hook import hook
from twinlens.cli.maintenance import reclaim
from twinlens.cli.mcp import mcp
from twinlens.cli.migrate import migrate
from twinlens.cli.reproduce import reproduce
from twinlens.cli.run import run as run_agent
from twinlens.cli.serve import serve, server
from twinlens.cli.spool import spool
from twinlens.settings import SettingsError

errors = Console(stderr=True)

app = App(
    name="twinlens",
    version=__version__,
    group_commands=Group("Other", sort_key=9),
    help="""Observability for models and agents. One server that MLflow, Langfuse and OpenTelemetry clients write into.

    Start here: `twinlens demo` shows a working server with sample data; `twinlens serve` starts your own.
    """,
)
#: Commands in the order in which ``--help`` shows them, by what they are about.
_COMMANDS: dict[str, tuple[App | Callable[..., object], ...]] = {
    "Server": (serve, demo, doctor, config),
    "Data": (backup, restore, export, import_, migrate, gc, reclaim),
    "Agents and runs": (run_agent, hook, spool, reproduce, deployment, mcp),
    "Projects and people": (project, user, key),
}
_NAMES: dict[Callable[..., object], str] = {import_: "import", run_agent: "run"}

for _order, (_title, _members) in enumerate(_COMMANDS.items(), 1):
    _group = Group(_title, sort_key=_order)
    for _member in _members:
        if isinstance(_member, App):
            _member.group = (_group,)
            app.command(_member)
        else:
            app.command(_member, name=_NAMES.get(_member), group=_group)
app.command(server, show=False)


@app.command
def version() -> None:
    """Print the version."""
    print(__version__)


def run() -> None:
    """Run the command line; exit status 1 for expected failures, 2 for wrong usage."""
    try:
        app()
    except SettingsError as error:
        fail(str(error), 2)
    except KeyboardInterrupt:
        sys.exit(130)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("twinlens"):
            raise
        fail(f"this command needs the server parts ({error.name} is missing): pip install 'twinlens[server]'")
    except OSError as error:  # no rights, no space, not there
        if error.filename is None:
            raise
        fail(f"{error.filename}: {error.strerror}")
    except Exception as error:
        if not hasattr(error, "message") or not hasattr(
            error, "status"
        ):  # not one of twinlens.domain.errors or ServerError
            raise
        fail(str(error))


def fail(text: str, status: int = 1) -> None:
    """Print one error and leave."""
    errors.print(f"[bold red]error:[/] {escape(text)}", highlight=False, soft_wrap=True)
    sys.exit(status)
