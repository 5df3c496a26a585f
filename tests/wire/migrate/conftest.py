"""A server that real clients have filled with one of everything, once per session."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.servers import LiveServer
from tests.wire.langfuse.clients import api, run_json
from tests.wire.migrate.programs_langfuse import SDK2, SDK3, SDK5, small_things
from tests.wire.migrate.programs_mlflow import EVERYTHING
from tests.wire.mlflow.peer import MlflowPeer


class Filled(LiveServer):
    """``made`` holds ids of what the clients wrote."""

    made: dict[str, Any]


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    """Only read from it."""
    with Filled(tmp_path_factory.mktemp("filled")) as server:
        with MlflowPeer(server.url, tmp_path_factory.mktemp("peer")) as peer:
            server.made = peer.run(EVERYTHING)
        server.made["langfuse"] = run_json("langfuse3", SDK3, server.url)["trace"]
        server.made["langfuse2"] = run_json("langfuse2", SDK2, server.url)["trace"]
        server.made["langfuse5"] = run_json("langfuse5", SDK5, server.url)["trace"]
        with api(server.url) as http:
            small_things(http, server.made["langfuse"])
        yield server
