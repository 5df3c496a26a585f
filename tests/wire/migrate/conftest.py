"""Servers that real clients have filled with one of everything, once per session."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.servers import LiveServer
from tests.wire.langfuse.clients import api, run_json
from tests.wire.migrate.programs_langfuse import SDK2, SDK3, SDK5, small_things
from tests.wire.migrate.programs_mlflow import EVERYTHING
from tests.wire.migrate.programs_native import set_up
from tests.wire.mlflow.peer import MlflowPeer


class Filled(LiveServer):
    """``made`` holds ids of what the clients wrote."""

    made: dict[str, Any]


@pytest.fixture(scope="session")
def langfuse_data(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A data folder that the Langfuse SDKs 2, 3 and 5 have written to, and the ids."""
    folder = tmp_path_factory.mktemp("langfuse-data")
    with LiveServer(folder) as server:
        made = {
            "langfuse": run_json("langfuse3", SDK3, server.url)["trace"],
            "langfuse2": run_json("langfuse2", SDK2, server.url)["trace"],
            "langfuse5": run_json("langfuse5", SDK5, server.url)["trace"],
        }
        with api(server.url) as http:
            small_things(http, made["langfuse"])
    return folder, made


@pytest.fixture(scope="session")
def langfuse_filled(langfuse_data: tuple[Path, dict[str, Any]]) -> Iterator[Filled]:
    """What Langfuse's clients wrote, nothing else. Only read from it."""
    with Filled(langfuse_data[0]) as server:
        server.made = langfuse_data[1]
        yield server


@pytest.fixture(scope="session")
def filled(langfuse_data: tuple[Path, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    """What the clients of Langfuse and MLflow wrote. Only read from it."""
    folder = tmp_path_factory.mktemp("filled") / "data"
    shutil.copytree(langfuse_data[0], folder)
    with Filled(folder) as server:
        with MlflowPeer(server.url, tmp_path_factory.mktemp("peer")) as peer:
            server.made = langfuse_data[1] | peer.run(EVERYTHING)
        set_up(server, server.made["langfuse"], server.made["experiment"])
        yield server
