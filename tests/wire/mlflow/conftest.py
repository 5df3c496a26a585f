"""The real MLflow client, once per test file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers import LiveServer
from tests.wire.mlflow.peer import MlflowPeer
from tests.wire.mlflow.recording import proven_routes, routes_of_test

__all__ = ["proven_routes", "routes_of_test"]


@pytest.fixture(scope="module")
def mlflow(live_server: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowPeer]:
    """MLflow's client against ``live_server``."""
    with MlflowPeer(live_server.url, tmp_path_factory.mktemp("peer")) as peer:
        yield peer
