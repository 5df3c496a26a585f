"""Starts servers by forking a process that has loaded the program already: same code, a second of computing less each time.

One such process per pytest worker, made when the first server is started. It runs no thread and no event loop; what it
forks sets its own environment and output and then runs the ``twinlens`` command from its beginning. Tests about starting
itself, memory or the installed command use ``tests.servers.LiveServer(..., fresh=True)``.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from pathlib import Path
from typing import NoReturn, TextIO


class ForkedProcess:
    """What tests need of ``subprocess.Popen`` for a process that is somebody else's child."""

    def __init__(self, pid: int, output: TextIO | None) -> None:
        self.pid = pid
        self.stdout = output
        self.returncode: int | None = None
        self.ended = threading.Event()

    def poll(self) -> int | None:
        """Exit status (negative: the signal that ended it), or nothing while it runs."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int | None:
        """Await its end.

        Raises:
            subprocess.TimeoutExpired: it still runs after ``timeout`` seconds.
        """
        if not self.ended.wait(timeout):
            raise subprocess.TimeoutExpired("twinlens", timeout or 0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Signal it, if it runs."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """``kill -9``."""
        self.send_signal(signal.SIGKILL)


class Zygote:
    """The worker's side: asks for forks and learns how they end."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        self._asking = threading.Lock()
        self._registering = threading.Lock()
        self._pid_came = threading.Semaphore(0)
        self._processes: dict[int, ForkedProcess] = {}
        self._next: int = 0
        self._early: dict[int, int] = {}
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.zygote", str(theirs.fileno())], pass_fds=[theirs.fileno()],
                env=os.environ | {"COLUMNS": "200"},
            )  # fmt: skip
        threading.Thread(target=self._listen, daemon=True).start()

    def spawn(self, arguments: list[str], env: dict[str, str]) -> ForkedProcess:
        """Run ``twinlens ARGUMENTS`` in exactly this environment; all it prints comes through ``stdout``."""
        read, write = os.pipe()
        try:
            process = self._ask(arguments, env, os.getcwd(), write, write)
        finally:
            os.close(write)
        process.stdout = os.fdopen(read, encoding="utf-8")
        return process

    def run(self, arguments: list[str], env: dict[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
        """``twinlens ARGUMENTS`` to its end.

        Raises:
            subprocess.TimeoutExpired: it took longer than a minute.
        """
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            process = self._ask(arguments, env, str(cwd), out.fileno(), err.fileno())
            try:
                status = process.wait(60)
            finally:
                process.kill()
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess(arguments, status or 0, out.read(), err.read())

    def _ask(self, arguments: list[str], env: dict[str, str], cwd: str, out: int, err: int) -> ForkedProcess:
        with self._asking:
            message = json.dumps({"arguments": arguments, "env": env, "cwd": cwd}).encode()
            socket.send_fds(self._socket, [len(message).to_bytes(4, "big")], [out, err])
            self._socket.sendall(message)
            self._pid_came.acquire()
            if not self._next:
                raise RuntimeError("the process that starts servers has ended")
            process = ForkedProcess(self._next, None)
            with self._registering:
                self._processes[process.pid] = process
                ended = self._early.pop(process.pid, None)
        if ended is not None:
            self._finish(process.pid, ended)
        return process

    def _listen(self) -> None:
        with self._socket.makefile() as lines:
            for line in lines:
                said = json.loads(line)
                if "started" in said:
                    self._next = said["started"]
                    self._pid_came.release()
                else:
                    self._finish(said["ended"], said["status"])
        self._next = 0
        self._pid_came.release()

    def _finish(self, pid: int, status: int) -> None:
        with self._registering:
            process = self._processes.pop(pid, None)
            if process is None:  # it ended before we knew of it
                self._early[pid] = status
                return
        process.returncode = status
        process.ended.set()


def main(channel: socket.socket) -> None:
    """Load the program, then fork what is asked for until the worker goes away."""
    _load()
    gc.collect()
    gc.freeze()  # a collection in a fork would otherwise copy every page that both share: a second each
    wake, woken = os.pipe()
    for end in (wake, woken):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(woken)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the worker, which then closes the channel
    running: set[int] = set()
    with selectors.DefaultSelector() as selector:
        selector.register(channel, selectors.EVENT_READ)
        selector.register(wake, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj == wake:
                    os.read(wake, 4096)
                elif not _fork(channel, running):
                    for pid in running:
                        os.kill(pid, signal.SIGKILL)
                    return
            for pid in list(running):
                ended, status = os.waitpid(pid, os.WNOHANG)
                if ended:
                    running.remove(pid)
                    _say(channel, ended=pid, status=os.waitstatus_to_exitcode(status))


def _load() -> None:
    import litestar.exceptions.responses  # noqa: F401 # pyright: ignore[reportUnusedImport]
    import uvicorn.protocols.http.httptools_impl  # noqa: F401 # pyright: ignore[reportUnusedImport]
    import uvloop  # noqa: F401 # pyright: ignore[reportUnusedImport]

    for name in ("cli.app", "server", "store", "ingest", "features", "query", "faces"):
        module = importlib.import_module(f"twinlens.{name}")
        for found in pkgutil.walk_packages(getattr(module, "__path__", ()), module.__name__ + "."):
            if ".migrations." not in found.name:
                importlib.import_module(found.name)
    assert threading.active_count() == 1, "a thread of the loaded program would not live on in its forks"


def _say(channel: socket.socket, **words: int) -> None:
    channel.sendall(json.dumps(words).encode() + b"\n")


def _fork(channel: socket.socket, running: set[int]) -> bool:
    """Fork one process as asked; False when nobody asks any more."""
    size, outputs, _, _ = socket.recv_fds(channel, 4, 2)
    if not size:
        return False
    wanted = json.loads(channel.recv(int.from_bytes(size, "big"), socket.MSG_WAITALL))
    pid = os.fork()
    if not pid:
        _become(outputs, channel, **wanted)
    for output in outputs:
        os.close(output)
    running.add(pid)
    _say(channel, started=pid)
    return True


def _become(
    outputs: list[int], channel: socket.socket, *, arguments: list[str], env: dict[str, str], cwd: str
) -> NoReturn:
    """Run the command in this, the forked process."""
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL if number == signal.SIGCHLD else signal.default_int_handler)
        channel.close()
        for target, output in enumerate(outputs, 1):
            os.dup2(output, target)
            os.close(output)
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(env)
        sys.argv = ["twinlens", *arguments]
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    from twinlens.cli import main as command

    command()
    sys.exit(0)


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
