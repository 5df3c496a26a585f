"""Runs ``twinlens serve`` as users do: a process of its own, stopped by signals."""

from __future__ import annotations

import functools
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import httpx

from tests.zygote import ForkedProcess, Zygote

READY = re.compile(r"Twinlens is ready at (.+)")
START_SECONDS = 120.0
#: Variables of the developer's shell that must not reach the server; without byte code every start compiles everything.
_FOREIGN = ("TWINLENS_", "LANGFUSE_", "MLFLOW_", "OTEL_", "PYTHONDONTWRITEBYTECODE")


def clean_environment() -> dict[str, str]:
    """This process's variables without those that would change what the server does."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}


@functools.cache
def zygote() -> Zygote:
    """This worker's process that servers are forked from."""
    return Zygote()


def run_command(
    *args: str, cwd: Path | None = None, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a ``twinlens`` command to its end, without the developer's own settings."""
    more = env or {}
    variables = clean_environment() | {"PYTHONPATH": os.getcwd(), "COLUMNS": "200"} | more
    if "PYTHONPATH" not in more:
        return zygote().run(list(args), variables, cwd or Path.cwd())
    command = [sys.executable, "-m", "twinlens", *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=cwd, env=variables)


Found = TypeVar("Found")


def eventually(look: Callable[[], Found], good: Callable[[Found], object] = bool, seconds: float = 90.0) -> Found:
    """The first good thing that ``look`` finds: for what follows in moments and tells nobody when it is there.

    Raises:
        TimeoutError: nothing good came; the text holds what was seen last.
    """
    end = time.monotonic() + seconds
    while not good(found := look()):
        if time.monotonic() > end:
            raise TimeoutError(repr(found))
        time.sleep(0.05)
    return found


class LiveServer:
    """One server on a free port. ``url`` changes with every start unless ``port`` is given.

    Use as a context manager, or ``start`` and ``stop``. ``kill`` is ``kill -9``; ``restart`` starts again on the same
    data folder. ``fresh`` starts an interpreter of its own, as users do, instead of a fork of one that has loaded the
    program (``tests/zygote.py``): for tests of starting itself and of memory.
    """

    def __init__(
        self,
        data: Path,
        *,
        args: list[str] | None = None,
        env: dict[str, str] | None = None,
        port: int = 0,
        fresh: bool = False,
    ) -> None:
        self.data = data
        self.args = args or []
        self.env = env or {}
        self.port = port
        self.urls: list[str] = []
        self.output: list[str] = []
        # what an interpreter reads when it starts can't be told to a fork
        self.fresh = fresh or any(name.startswith(("PYTHON", "LD_")) for name in self.env)
        self.process: subprocess.Popen[str] | ForkedProcess | None = None
        self._printed = threading.Condition()

    @property
    def url(self) -> str:
        """Base URL, no trailing slash."""
        return self.urls[0]

    @property
    def pid(self) -> int:
        """Process id."""
        assert self.process is not None
        return self.process.pid

    def start(self) -> LiveServer:
        """Start and wait until requests are answered.

        Raises:
            RuntimeError: the process ended or did not get ready; the text holds what it printed.
        """
        ports = [] if "--port" in self.args else ["--port", str(self.port)]
        self.output = []
        command = ["serve", *ports, "--data", str(self.data), *self.args]
        env = clean_environment() | self.env
        if self.fresh:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "twinlens", *command],
                env=env,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        else:
            self.process = zygote().spawn(command, env)
        ready = threading.Event()
        threading.Thread(target=self._read, args=(self.process, ready), daemon=True).start()
        if not ready.wait(START_SECONDS) or not self.urls:
            self.kill()
            raise RuntimeError("the server did not start:\n" + "".join(self.output))
        return self

    def _read(self, process: subprocess.Popen[str] | ForkedProcess, ready: threading.Event) -> None:
        self.urls = []
        assert process.stdout is not None
        for line in process.stdout:
            with self._printed:
                self.output.append(line)
                self._printed.notify_all()
            found = READY.match(line)
            if found:
                self.urls = [url.replace("localhost", "127.0.0.1") for url in found[1].split(" and ")]
                ready.set()
        ready.set()

    def line(self, number: int, seconds: float = 60.0) -> str:
        """A line of its output (from 0), awaited when it is not printed yet.

        Raises:
            TimeoutError: it did not come.
        """
        with self._printed:
            if not self._printed.wait_for(lambda: len(self.output) > number, seconds):
                raise TimeoutError(f"the server did not print line {number}")
            return self.output[number]

    def stop(self, seconds: float = 60.0) -> int | None:
        """SIGTERM and wait; the exit status."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self) -> None:
        """``kill -9``."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def restart(self) -> LiveServer:
        """Stop (if it still runs) and start on the same data folder."""
        self.stop()
        return self.start()

    def client(self, **options: object) -> httpx.Client:
        """An HTTP client for this server."""
        return httpx.Client(base_url=self.url, timeout=60, **options)  # type: ignore[arg-type]

    def __enter__(self) -> LiveServer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
