"""Notes which routes the unmodified client used with success in which test, for docs/compatibility/mlflow.md.

The client stays as it is: ``client/sitecustomize.py`` listens to the log of its HTTP library. What tests of one file used is
compared with ``docs/compatibility/mlflow_tests.json`` when all tests of the file have run: a route that the page calls proven
by a test of this file, but that no test of it uses any more, fails. After adding routes or tests write it anew:

    RECORD_MLFLOW=1 python -m pytest tests/wire/mlflow tests/browser/test_mlflow_page.py && make docs
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools import compatibility

_CLIENT = Path(__file__).parent / "client"
_LOG = Path(tempfile.mkdtemp(prefix="twinlens-requests-")) / "requests.log"
_ROUTES = compatibility.routes()
_read = 0


def environment() -> dict[str, str]:
    """Variables that make a Python process of the client write down its requests."""
    return {"PYTHONPATH": str(_CLIENT), "TWINLENS_TEST_REQUESTS": str(_LOG)}


def note(verb: str, path: str, status: int) -> None:
    """Write down one request that another client made, a browser for instance."""
    with _LOG.open("a") as log:
        log.write(f"{verb} {path} {status}\n")


def _new() -> Iterator[str]:
    """Keys of the routes used with success since the last call."""
    global _read
    if not _LOG.exists():
        return
    with _LOG.open() as log:
        log.seek(_read)
        for line in log.readlines():
            verb, path, status = line.split()
            route = compatibility.find(_ROUTES, verb, path.split("?")[0])
            if route is not None and int(status) < 400:
                yield route.key
        _read = log.tell()


@pytest.fixture(scope="module", autouse=True)
def proven_routes(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """Collects the file's routes, then compares or records them."""
    found: dict[str, str] = {}
    list(_new())
    yield found
    _collect(found, request.node.nodeid)
    file = request.node.nodeid
    config, session = request.config, request.session
    partial = (
        session.testsfailed or config.option.keyword or config.option.markexpr or any("::" in a for a in config.args)
    )
    if partial:
        return
    if os.environ.get("RECORD_MLFLOW"):
        _record(file, found)
    else:
        lost = [
            key for key, test in compatibility.proven().items() if test.startswith(f"{file}::") and key not in found
        ]
        assert not lost, f"no test of {file} uses {lost} any more: see tests/wire/mlflow/recording.py"


@pytest.fixture(autouse=True)
def routes_of_test(request: pytest.FixtureRequest, proven_routes: dict[str, str]) -> Iterator[None]:
    """Puts a test's name to the routes it used."""
    yield
    _collect(proven_routes, request.node.nodeid.split("[")[0])


def _collect(found: dict[str, str], test: str) -> None:
    for key in _new():
        found.setdefault(key, test)


def _record(file: str, found: dict[str, str]) -> None:
    """Write the file's routes; those that another file proves stay with it."""
    with compatibility.PROVEN.open("r+", encoding="utf-8") as stored:
        fcntl.flock(stored, fcntl.LOCK_EX)
        known = {key: test for key, test in json.load(stored).items() if not test.startswith(f"{file}::")}
        for key, test in found.items():
            if "::" in test:
                known.setdefault(key, test)
        stored.seek(0)
        stored.truncate()
        json.dump(known, stored, indent=0, sort_keys=True)
        stored.write("\n")
