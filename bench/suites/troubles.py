"""What a backend in trouble costs the agent: whole running time of one program, from its start to the end of its process.

The program works as agents do: 160 steps, each a tool call with some arithmetic and a "model call" that waits 60 ms, all observed; about ten
seconds. Runs alternate (unobserved, healthy, then each trouble, and again), so that a change of the machine's speed hits all alike; each round
gives one ratio per trouble against its own healthy run, and the row is their median. Every run has a spool of its own.
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.book import Book
from bench.report import progress
from bench.servers import Twinlens
from bench.suites import Effort

AGENT = """
import os, sys, time
sink, steps = os.environ["SINK"], int(os.environ["STEPS"])
import twinlens
if sink:
    twinlens.observe({"observability": {"backends": ["twinlens", "langfuse", "mlflow"], "twinlens": {"url": sink},
        "langfuse": {"host": sink, "public_key": "pk", "secret_key": "sk"},
        "mlflow": {"tracking_uri": sink, "experiment_name": "troubles"}}})

@twinlens.observe(as_type="tool")
def search(query):
    return sum(n * n for n in range(20_000))

@twinlens.observe(as_type="generation")
def answer(question):
    time.sleep(0.06)
    return "Because of Rayleigh scattering. " * 10

@twinlens.observe(as_type="agent")
def agent(goal):
    return [(search(str(step)), answer(goal))[1] for step in range(steps)][-1]

print(agent("Why is the sky blue?"))
sys.exit(3)
"""
#: What answers: None takes requests and stays silent, "drip" sends a byte every 0.2 s, bytes are the same answer to everything.
_HEAD = b"HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"


def _answer(status: bytes, kind: bytes, body: bytes) -> bytes:
    return _HEAD % (status, kind, len(body), body)


TROUBLES: dict[str, bytes | str | None] = {
    "dead": b"",
    "hanging": None,
    "dripping": "drip",
    "500": _answer(b"500 Oops", b"text/plain", b"oops"),
    "401": _answer(b"401 No", b"application/json", b'{"message": "no such key"}'),
    "garbage": _answer(b"200 OK", b"application/json", bytes(range(256))),
}


def measure(folder: Path, book: Book, effort: Effort) -> None:
    """Fill a row per trouble."""
    rounds, steps = (7, 160) if effort.repeats > 1 else (1, 16)
    seconds: dict[str, list[float]] = {name: [] for name in ("unobserved", "healthy", *TROUBLES)}
    with Twinlens(folder / "data") as server:
        for number in range(rounds):
            seconds["unobserved"].append(_run("", steps))
            seconds["healthy"].append(_run(f"http://127.0.0.1:{server.port}", steps))
            for name, manner in TROUBLES.items():
                with _backend(manner) as url:
                    seconds[name].append(_run(url, steps))
            progress(
                f"troubles, round {number + 1} of {rounds}: {', '.join(f'{n} {s[-1]:.2f} s' for n, s in seconds.items())}"
            )
    for name in TROUBLES:
        ratios = [100 * (s / healthy - 1) for s, healthy in zip(seconds[name], seconds["healthy"], strict=True)]
        above = statistics.median(
            100 * (s / bare - 1) for s, bare in zip(seconds[name], seconds["unobserved"], strict=True)
        )
        book.record(f"trouble_{name}", "Twinlens", *ratios, note=f"{above:+.1f} % against unobserved")
    observed = zip(seconds["healthy"], seconds["unobserved"], strict=True)
    book.record("trouble_none", "Twinlens", *(100 * (s / bare - 1) for s, bare in observed))


def _run(url: str, steps: int) -> float:
    """Seconds of one run.

    Raises:
        AssertionError: output or exit status are not the program's own.
    """
    foreign = ("TWINLENS_", "LANGFUSE_", "MLFLOW_", "OTEL_", "PYTHONDONTWRITEBYTECODE")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(foreign)}
    with tempfile.TemporaryDirectory() as spool:
        env = kept | {"SINK": url, "STEPS": str(steps), "TWINLENS_SPOOL": spool}
        begun = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", AGENT], env=env, capture_output=True, text=True, check=False)
        took = time.perf_counter() - begun
    assert (done.returncode, done.stdout) == (3, "Because of Rayleigh scattering. " * 10 + "\n"), done.stderr
    return took


@contextmanager
def _backend(manner: bytes | str | None) -> Generator[str]:
    """Somebody at an address; nobody for an empty answer."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    if manner == b"":
        listener.close()
        yield url
        return
    ended = threading.Event()

    def talk(peer: socket.socket) -> None:
        with suppress(OSError), peer:
            if manner is None:
                ended.wait()
            elif isinstance(manner, str):
                for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"." * 10_000:
                    peer.send(bytes([byte]))
                    if ended.wait(0.2):
                        return
            else:
                request = b""
                while b"\r\n\r\n" not in request:
                    request += peer.recv(65536)
                head, _, body = request.partition(b"\r\n\r\n")
                length = next(
                    (int(r.split(b":")[1]) for r in head.lower().splitlines() if r.startswith(b"content-length")), 0
                )
                while len(body) < length:
                    body += peer.recv(65536)
                peer.sendall(manner)

    def listen() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=talk, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=listen, daemon=True).start()
    try:
        yield url
    finally:
        ended.set()
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
