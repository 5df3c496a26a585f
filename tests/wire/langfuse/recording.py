"""Notes which endpoints tests used with success, for docs/compatibility/langfuse.md.

The server logs each request (``log_level`` info); that sees real SDKs and plain HTTP alike. What the tests of one file used is
compared with ``docs/compatibility/langfuse_tests.json`` when all of them have run: an endpoint that the page calls tested by a test of
this file, but that no test of it uses any more, fails. After adding endpoints or tests write it anew:

    RECORD_LANGFUSE=1 python -m pytest tests/wire/langfuse && make docs
"""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import re
from collections.abc import Iterator

import httpx
import pytest

from tests.servers import LiveServer
from tools import langfuse_compatibility as compatibility

_LINE = re.compile(r'"(\w+) (\S+) HTTP/[\d.]+" (\d+)')
_marks = itertools.count()


class Recorder:
    """Reads the log of a server from where it stopped."""

    def __init__(self, server: LiveServer) -> None:
        self._server = server
        self._read = 0
        self.found: dict[str, str] = {}

    def collect(self, test: str) -> None:
        """Put a test's name to the endpoints used since the last call."""
        mark = f"/mark-{next(_marks)}"
        httpx.get(self._server.url + mark)
        done = False
        while not done:
            line = self._server.line(self._read)
            self._read += 1
            if (seen := _LINE.search(line)) is None:
                continue
            verb, path, status = seen.groups()
            done = path == mark
            route = compatibility.route_of(verb, path)
            if route is not None and int(status) < 400:
                self.found.setdefault(route, test)


@pytest.fixture(scope="module", autouse=True)
def endpoints_of_file(request: pytest.FixtureRequest, live_server: LiveServer) -> Iterator[Recorder]:
    """Collects the file's endpoints, then compares or records them."""
    recorder = Recorder(live_server)
    yield recorder
    file = request.node.nodeid
    config = request.config
    partial = (
        request.session.testsfailed
        or config.option.keyword
        or config.option.markexpr
        or any("::" in argument for argument in config.args)
    )
    if partial:
        return
    if os.environ.get("RECORD_LANGFUSE"):
        _record(file, recorder.found)
        return
    known = compatibility.proven()
    lost = [key for key, test in known.items() if test.startswith(f"{file}::") and key not in recorder.found]
    assert not lost, f"no test of {file} uses {lost} any more: see tests/wire/langfuse/recording.py"


@pytest.fixture(autouse=True)
def endpoints_of_test(request: pytest.FixtureRequest, endpoints_of_file: Recorder) -> Iterator[None]:
    """Puts a test's name to the endpoints it used."""
    yield
    endpoints_of_file.collect(request.node.nodeid.split("[")[0])


def _record(file: str, found: dict[str, str]) -> None:
    """Write the file's endpoints; those that another file proves stay with it."""
    compatibility.PROVEN.touch()
    with compatibility.PROVEN.open("r+", encoding="utf-8") as stored:
        fcntl.flock(stored, fcntl.LOCK_EX)
        known = {k: test for k, test in json.loads(stored.read() or "{}").items() if not test.startswith(f"{file}::")}
        for key, test in found.items():
            known.setdefault(key, test)
        stored.seek(0)
        stored.truncate()
        json.dump(known, stored, indent=0, sort_keys=True)
        stored.write("\n")
