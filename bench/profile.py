"""Where does the server's time go? Samples a running ``twinlens serve`` with py-spy while a load runs against it.

    python -m bench.profile otlp                 # or langfuse, log_metric, log_batch, search, lists, prompts
    python -m bench.profile otlp --seconds 15 --gil --depth 40

Prints per thread the functions in which time was spent (self, and with callees), and writes the collapsed stacks to
``bench/data/profile-LOAD.txt`` (flamegraph.pl, speedscope and inferno read them). Sampling costs a few per cent; the figures
printed under the tables are for orientation, the ones in RESULTS.md come from runs without a profiler.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

from bench.connection import Load, drive, encode_json
from bench.envs import ensure
from bench.servers import Server, Twinlens
from bench.suites import langfuse, prompts, tracking
from bench.suites.otlp import payloads
from bench.workload import runs

DATA = Path(__file__).resolve().parent / "data"


def requests(name: str, server: Server, seconds: float) -> tuple[list[bytes], int]:
    """(prepared requests, connections) of one of the loads."""
    if name == "otlp":
        return payloads(server, int(seconds * 250), seed=9), 4
    if name == "langfuse":
        return langfuse.batches(int(seconds * 150), "profile"), 4
    if name == "lists":
        drive(server.port, payloads(server, 100, seed=9), 4, 60)
        return [server.list_request(50)] * int(seconds * 2000), 1
    if name == "prompts":
        return [prompts.stored(server)] * int(seconds * 4000), 4
    with server.connect() as connection:
        experiment_id = tracking.experiment(connection, f"profile-{name}")
        if name == "search":
            for data in runs(300):
                tracking.run(connection, experiment_id, data)
            body = {"experiment_ids": [experiment_id], "max_results": 100}
            return [encode_json("POST", f"{tracking.API}/runs/search", body)] * int(seconds * 1000), 1
        run_ids = [tracking.run(connection, experiment_id) for _ in range(4)]
    if name == "log_batch":
        return tracking.batches(run_ids, int(seconds * 150), 0), 4
    now = int(time.time() * 1000)
    return [
        encode_json("POST", f"{tracking.API}/runs/log-metric", {"run_id": run_ids[0], "key": "loss", "value": 1.0, "timestamp": now + i, "step": i})
        for i in range(int(seconds * 2500))
    ], 1  # fmt: skip


def summarise(stacks: str, depth: int) -> str:
    """Self and cumulative samples per thread from py-spy's collapsed format ("frame;frame;… count")."""
    own: dict[str, Counter[str]] = defaultdict(Counter)
    all_: dict[str, Counter[str]] = defaultdict(Counter)
    total: Counter[str] = Counter()
    for line in stacks.splitlines():
        path, _, count = line.rpartition(" ")
        frames = path.split(";")
        thread = next((f for f in frames if f.startswith("thread")), "main")
        frames = [f for f in frames if not f.startswith(("process", "thread"))]
        if not frames:
            continue
        n = int(count)
        total[thread] += n
        own[thread][frames[-1]] += n
        for frame in set(frames):
            all_[thread][frame] += n
    everything = sum(total.values()) or 1
    lines: list[str] = []
    for thread, n in total.most_common():
        if n < everything * 0.01:
            continue
        lines.append(f"\n{thread}: {100 * n / everything:.0f} % of all samples")
        lines.append(f"  {'self':>6} {'total':>6}  function")
        for frame, samples in all_[thread].most_common(depth):
            lines.append(f"  {100 * own[thread][frame] / n:5.1f}% {100 * samples / n:5.1f}%  {frame}")
        lines.append("  most self time:")
        for frame, samples in own[thread].most_common(15):
            lines.append(f"  {100 * samples / n:5.1f}%  {frame}")
    return "\n".join(lines)


def main() -> None:
    """Start, warm, sample, print."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.profile", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("load", choices=("otlp", "langfuse", "log_metric", "log_batch", "search", "lists", "prompts"))
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--gil", action="store_true", help="only samples that hold the interpreter lock")
    parser.add_argument("--native", action="store_true", help="C frames too")
    parser.add_argument("--functions", action="store_true", help="one line per function, not per source line")
    parser.add_argument("--depth", type=int, default=35, help="lines per thread")
    options = parser.parse_args()
    spy = ensure("tools").path / "bin" / "py-spy"
    DATA.mkdir(exist_ok=True)
    output = DATA / f"profile-{options.load}.txt"
    folder = Path(tempfile.mkdtemp(prefix="twinlens-profile-"))
    try:
        with Twinlens(folder / "data") as server:
            prepared, connections = requests(options.load, server, options.seconds)
            drive(server.port, prepared[:20], connections, 5)
            assert server.process is not None
            command = [
                spy,
                "record",
                "-p",
                str(server.process.pid),
                "-o",
                output,
                "-f",
                "raw",
                "--threads",
                "-r",
                "200",
                "--duration",
                "3600",
            ]
            command += [
                flag
                for flag, wanted in (("--gil", options.gil), ("--native", options.native), ("-F", options.functions))
                if wanted
            ]
            sampler = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(1)
            load: Load = drive(server.port, prepared[20:], connections, options.seconds)
            sampler.send_signal(signal.SIGINT)
            sampler.wait(60)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(summarise(output.read_text(), options.depth))
    print(
        f"\n{len(load.acknowledged)} requests in {load.seconds:.1f} s = {load.rate:.0f}/s; errors: {dict(load.errors)}",
        file=sys.stderr,
    )


if __name__ == "__main__":
    main()
