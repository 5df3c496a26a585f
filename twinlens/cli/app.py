"""The command tree, and how errors reach the terminal: one sentence, no traceback."""

from __future__ import annotations

import os
import sys

from cyclopts import App, Group

from twinlens import __version__

app = App(
    name="twinlens",
    version=__version__,
    group_commands=Group("Commands", sort_key=9),
    help="""Observability for models and agents. One server that MLflow, Langfuse and OpenTelemetry clients write into.

    Start here: `twinlens demo` shows a working server with sample data; `twinlens serve` starts your own.
    `twinlens COMMAND --help` explains a command, `twinlens completion` teaches your shell to complete them.
    """,
)
#: Commands in the order in which ``--help`` shows them, by what they are about: where each is, below ``twinlens.cli``.
_COMMANDS = {
    "Server": ("serve:serve", "demo:demo", "doctor:doctor", "config:config"),
    "Data": (
        "backup:backup", "backup:restore", "archive:export", "archive:import_", "migrate:migrate", "gc:gc",
        "maintenance:reclaim",
    ),
    "Agents and runs": (
        "init:init", "run:run", "hook:hook", "spool:spool", "reproduce:reproduce", "deployment:deployment", "mcp:mcp",
    ),
    "Projects and people": ("admin:project", "admin:user", "admin:key"),
}  # fmt: skip

_other = Group("Other", sort_key=len(_COMMANDS) + 1)
for _order, (_title, _members) in enumerate(_COMMANDS.items(), 1):
    _group = Group(_title, sort_key=_order)
    for _member in _members:
        app.command(f"twinlens.cli.{_member}", name=_member.rpartition(":")[2].rstrip("_"), group=_group)
app.command("twinlens.cli.serve:server", name="server", show=False)
app.command("twinlens.cli.completion:completion", name="completion", group=_other)
app.command("twinlens.cli.app:version", name="version", group=_other)
for _flag in ("--help", "--version"):
    app[_flag].group = (_other,)


def version() -> None:
    """Print the version."""
    print(__version__)


def run() -> None:
    """Run the command line; exit status 1 for expected failures, 2 for wrong usage."""
    try:
        if sys.argv[1:2] == [] or sys.argv[1].startswith("-") or sys.argv[1] not in app:
            for name in app:  # loads all: the list of commands says what each does
                app[name]
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # whoever read the output has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("twinlens"):
            raise
        fail(f"this command needs the server parts ({error.name} is missing): pip install 'twinlens[server]'")
    except OSError as error:  # no rights, no space, not there
        if error.filename is None:
            raise
        fail(f"{error.filename}: {error.strerror}")
    except Exception as error:
        if type(error).__name__ == "SettingsError":
            fail(str(error), 2)
        if not hasattr(error, "message") or not hasattr(
            error, "status"
        ):  # not one of twinlens.domain.errors or ServerError
            raise
        fail(str(error))


def fail(text: str, status: int = 1) -> None:
    """Print one error and leave."""
    from rich.console import Console
    from rich.markup import escape

    Console(stderr=True).print(f"[bold red]error:[/] {escape(text)}", highlight=False, soft_wrap=True)
    sys.exit(status)
