"""``twinlens serve``, and ``twinlens server`` for those who have MLflow's spelling in their fingers."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from twinlens.cli.options import Config, Data, settings
from twinlens.settings import Settings, SettingsError

if TYPE_CHECKING:
    from twinlens.server import Instance

Port = Annotated[
    list[int] | None,
    Parameter(name=["--port", "-p"], negative="", help="Port; repeat it for several. [default: 5001]"),
]
Host = Annotated[str | None, Parameter(name=["--host", "-h"], help="Address to listen on. [default: 127.0.0.1]")]


def serve(
    *,
    host: Host = None,
    port: Port = None,
    data: Data = None,
    config: Config = None,
    artifact_root: Annotated[
        str | None, Parameter(help="Artifact location of new experiments (file: or s3: URI). [default: this server]")
    ] = None,
    grpc_port: Annotated[int | None, Parameter(help="Also receive OTLP over gRPC here (usually 4317).")] = None,
    base_url: Annotated[str | None, Parameter(help="Public address, for links behind a proxy.")] = None,
    mode: Annotated[str | None, Parameter(help="auto, open or secured. [default: auto]")] = None,
    log_level: Annotated[str | None, Parameter(help="debug, info, warning or error. [default: warning]")] = None,
) -> None:
    """Start the server.

    One process, one data folder. Point programs at it like this:

    MLflow: `MLFLOW_TRACKING_URI=http://localhost:5001`

    Langfuse: `LANGFUSE_HOST=http://localhost:5001` with any `LANGFUSE_PUBLIC_KEY` and `LANGFUSE_SECRET_KEY`

    OpenTelemetry: `OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:5001`

    On this machine only, no login is needed. To let others in, create a user first (`twinlens user add`).
    Every option is also a TWINLENS_* variable and a key in the configuration file (`twinlens config show`).
    """
    start(
        settings(
            config,
            host=host,
            port=port,
            data=data,
            artifact_root=artifact_root,
            grpc_port=grpc_port,
            base_url=base_url,
            mode=mode,
            log_level=log_level,
        )
    )


def server(
    *,
    host: Host = None,
    port: Annotated[
        list[int] | None,
        Parameter(name=["--port", "-p"], negative="", help="Port; repeat it for several. [default: 5000]"),
    ] = None,
    backend_store_uri: Annotated[str | None, Parameter(help="sqlite:///path/name.db or a folder.")] = None,
    default_artifact_root: str | None = None,
    artifacts_destination: str | None = None,
    serve_artifacts: bool = True,
    workers: int | None = None,
    data: Data = None,
    config: Config = None,
) -> None:
    """`twinlens serve` with the option names of `mlflow server`.

    `--backend-store-uri sqlite:///mlflow.db` keeps the data in the folder `twinlens-data` beside that file name (the
    file itself is not read); a `postgresql://` address becomes the catalog. `--workers` is accepted and ignored: one
    process is faster here.
    """
    del workers
    folder, catalog_url = _backend(backend_store_uri)
    if not serve_artifacts and default_artifact_root is None:
        raise SettingsError("--no-serve-artifacts needs --default-artifact-root")
    root = default_artifact_root
    if root is not None and root.startswith("mlflow-artifacts:"):
        root = None
    start(
        settings(
            config,
            host=host,
            port=port or [5000],
            data=data or folder,
            catalog_url=catalog_url,
            artifact_root=root,
            artifact_store=artifacts_destination,
        )
    )


def _backend(uri: str | None) -> tuple[Path | None, str | None]:
    """Data folder and catalog URL that an MLflow store URI stands for."""
    if not uri:
        return None, None
    if uri.startswith("sqlite:"):
        file = Path(uri.removeprefix("sqlite:").removeprefix("///"))
        return file.parent / "twinlens-data", None
    if uri.startswith(("postgresql:", "postgres:", "postgresql+psycopg:")):
        return None, "postgresql+psycopg:" + uri.partition(":")[2]
    if "://" in uri and not uri.startswith("file:"):
        raise SettingsError(f"--backend-store-uri {uri}: only sqlite, postgresql and folders are supported")
    return Path(uri.removeprefix("file://")), None


def start(chosen: Settings) -> None:
    """Run the server until it is told to stop."""
    import gc

    gc.disable()  # hundreds of modules are about to be loaded that live as long as the process
    from twinlens.server import serve as run

    run(chosen, announce)


def announce(instance: Instance, urls: Sequence[str]) -> None:
    """Say where the server is and how to use it. The first line is stable: programs wait for it."""
    url = instance.settings.base_url or urls[0]
    secured = instance.services.access.secured
    print(f"Twinlens is ready at {' and '.join(urls)}", flush=True)
    if not sys.stdout.isatty():
        return
    from rich.console import Console

    key = "your secret key" if secured else "any"
    Console(highlight=False, soft_wrap=True).print(
        f"  data      {instance.settings.data.resolve()}\n"
        f"  mode      {'secured: sign in or send a key' if secured else 'open: this machine only, no login'}\n\n"
        f"  MLflow    [cyan]export MLFLOW_TRACKING_URI={url}[/]\n"
        f"  Langfuse  [cyan]export LANGFUSE_HOST={url} LANGFUSE_PUBLIC_KEY=pk-lf-… LANGFUSE_SECRET_KEY=sk-lf-…[/] ({key})\n"
        f"  OTel      [cyan]export OTEL_EXPORTER_OTLP_ENDPOINT={url}[/]\n\n"
        "  Ctrl+C stops it; everything that was acknowledged is on disk."
    )
