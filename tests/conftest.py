"""Fixtures that start the real server. See ``tests/servers.py``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from httpx._config import DEFAULT_TIMEOUT_CONFIG

from tests.mlflow_server import mlflow_server
from tests.servers import LiveServer

#: httpx gives up after five seconds unless told otherwise; a server that loads a library on a busy machine may need more.
DEFAULT_TIMEOUT_CONFIG.read = DEFAULT_TIMEOUT_CONFIG.write = DEFAULT_TIMEOUT_CONFIG.connect = 60.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files whose tests wait longest come first, so that no worker begins one when the others are about to end."""
    ranks: dict[Path, int] = {}
    for item in items:
        rank = 0 if item.get_closest_marker("slow") else 1 if "wire" in item.path.parts else 2
        ranks[item.path] = min(rank, ranks.get(item.path, rank))
    items.sort(key=lambda item: ranks[item.path])


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Bytes don't name a test: an archive holds the moment it was made, and all workers must find the same tests."""
    return argname if isinstance(val, bytes) else None


@pytest.fixture(scope="session")
def real_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of one ``mlflow server`` for all who write things of their own names and look at nothing else."""
    with mlflow_server(tmp_path_factory.mktemp("mlflow")) as url:
        yield url


@pytest.fixture(scope="module")
def live_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A running server in open mode with an empty data folder, one per test file."""
    with LiveServer(tmp_path_factory.mktemp("data")) as server:
        yield server


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., LiveServer]]:
    """Start a server with its own settings: ``start_server(TWINLENS_MODE="secured", LANGFUSE_INIT_…=…, args=[…])``.

    Without ``data`` every call gets a fresh folder. All are stopped at the end of the test.
    """
    started: list[LiveServer] = []

    def start(*, data: Path | None = None, args: list[str] | None = None, **env: Any) -> LiveServer:
        server = LiveServer(
            data or tmp_path / f"data{len(started)}", args=args or [], env={k: str(v) for k, v in env.items()}
        )
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        server.stop()
