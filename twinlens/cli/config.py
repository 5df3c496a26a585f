"""``twinlens config``: what is in force, and why."""

from __future__ import annotations

import json as json_module
from typing import Annotated

from cyclopts import App, Parameter

from twinlens.cli.options import Config, Data, settings
from twinlens.settings import describe, env_name

config = App(name="config", help="See the settings.")


@config.command
def show(
    *,
    data: Data = None,
    config: Config = None,
    json: Annotated[bool, Parameter(negative="", help="Print JSON instead of a table.")] = False,
) -> None:
    """Print every setting, its value, and where the value came from.

    Sources, later wins: default, configuration file, LANGFUSE_INIT_* variables, TWINLENS_* variables, command line.
    """
    rows = describe(settings(config, data=data))
    if json:
        print(
            json_module.dumps({name: {"value": value, "origin": origin} for name, value, origin, _ in rows}, indent=2)
        )
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("setting", "value", "from", "meaning"):
        table.add_column(column, overflow="fold")
    for name, value, origin, help in rows:
        style = None if origin == "default" else "bold"
        table.add_row(
            f"{name}\n[dim]{env_name(name)}[/]",
            escape(value) or "[dim]not set[/]",
            escape(origin),
            escape(help),
            style=style,
        )
    Console().print(table)
