"""``twinlens demo``: a server with something to look at."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from twinlens.cli.options import settings
from twinlens.cli.serve import Host, Port, announce

if TYPE_CHECKING:
    from twinlens.demo.workload import Workload
    from twinlens.server import Instance


def demo(
    *,
    host: Host = None,
    port: Port = None,
    data: Annotated[Path, Parameter(help="Data folder of the demo.")] = Path(".demo"),
    live: Annotated[bool, Parameter(help="Keep sending traces and metrics.")] = True,
) -> None:
    """Start a server with a small, lively sample workload.

    Two agents talk to customers, a model trains, people give feedback; all of it is sent through OTLP, MLflow's and
    Langfuse's APIs as real programs do. Open the printed address and watch it arrive.
    """
    from twinlens.server import serve

    running: list[Workload] = []

    def ready(instance: Instance, urls: Sequence[str]) -> None:
        announce(instance, urls)
        threading.Thread(target=_work, args=(urls[0], live, running), name="demo", daemon=True).start()

    try:
        serve(settings(host=host, port=port, data=data), ready)
    finally:
        for workload in running:
            workload.stop()


def _work(url: str, live: bool, running: list[Workload]) -> None:
    from twinlens.demo.workload import Workload

    workload = Workload(url)
    running.append(workload)
    if workload.empty():
        workload.history()
        print(
            "The sample history is in; new traces and metrics keep coming." if live else "The sample history is in.",
            flush=True,
        )
    if live:
        workload.live()
