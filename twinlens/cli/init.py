"""``twinlens init``: an ``observability:`` block to start from."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

Backend = Literal["twinlens", "mlflow", "langfuse"]

_OPTIONS: dict[Backend, str] = {
    "twinlens": "    url: ${{TWINLENS_URL:-http://localhost:5001}}\n    experiment_name: {label}  # runs with params and metrics\n",
    "mlflow": "    tracking_uri: ${{MLFLOW_TRACKING_URI:-http://localhost:5001}}\n    experiment_name: {label}\n",
    "langfuse": (
        "    host: ${{LANGFUSE_HOST:-http://localhost:3000}}\n    public_key: ${{LANGFUSE_PUBLIC_KEY}}\n"
        "    secret_key: ${{LANGFUSE_SECRET_KEY}}  # never write a secret down here\n"
    ),
}


def init(
    playbook: Annotated[Path, Parameter(help="File that gets the block; made when it is not there.")] = Path(
        "playbook.yaml"
    ),
    /,
    *,
    backend: Annotated[
        list[Backend] | None, Parameter(help="Where telemetry goes; may be repeated. [default: twinlens]")
    ] = None,
) -> None:
    """Write an `observability:` block into a playbook, and say what to do next.

    What the file holds stays as it is. A file that has a block already is left alone.
    """
    text = playbook.read_text("utf-8") if playbook.exists() else ""
    if re.search(r"^\s*observability\s*:", text, re.MULTILINE):
        print(f"error: {playbook} has a block already; `twinlens doctor {playbook}` explains it", file=sys.stderr)
        sys.exit(1)
    named = re.search(r"^(?:  )?name:\s*['\"]?([\w.-]+)", text, re.MULTILINE)
    label = named[1] if named else playbook.resolve().parent.name or "agent"
    chosen: list[Backend] = list(dict.fromkeys(backend or ("twinlens",)))
    block = f"observability:\n  enabled: true\n  backends: [{', '.join(chosen)}]\n"
    for name in chosen:
        block += f"  {name}:\n" + _OPTIONS[name].format(label=label)
    block += "  mask: [key, card]  # what looks like an API key or a card number does not leave the process\n"
    with playbook.open("a", encoding="utf-8") as file:
        file.write(("" if not text or text.endswith("\n") else "\n") + ("\n" if text.strip() else "") + block)
    print(f"{'added to' if text else 'written'} {playbook}:\n\n{block}")
    print(f"  twinlens doctor {playbook}                        # checks it")
    print(
        f"  twinlens run --config {playbook} -- python agent.py   # or, in the program: twinlens.observe({str(playbook)!r})"
    )
