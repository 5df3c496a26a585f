"""An artifact of 1 GB up and down through MLflow's client while the server's memory stays where it is."""

import hashlib
import os
import tempfile
from pathlib import Path

import mlflow

MEGABYTES = int(os.environ.get("TWINLENS_EXAMPLE_MB", "1024"))
ALLOWED = 50 << 20  # bytes that the server may grow


def memory() -> int:
    """Bytes that the server holds resident, at most since it started."""
    status = Path(f"/proc/{os.environ['TWINLENS_EXAMPLE_PID']}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) << 10


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


with tempfile.TemporaryDirectory() as folder:
    big = Path(folder) / "big.bin"
    with big.open("wb") as file:
        for _ in range(MEGABYTES):
            file.write(os.urandom(1 << 20))
    with mlflow.start_run() as run:
        mlflow.log_text("small", "first.txt")  # what the first request costs is not what a large file costs
        mlflow.artifacts.load_text(f"{run.info.artifact_uri}/first.txt")
        before = memory()
        mlflow.log_artifact(str(big))
        sent = memory() - before
        there = mlflow.artifacts.download_artifacts(f"{run.info.artifact_uri}/big.bin", dst_path=f"{folder}/down")
    grown = memory() - before
    assert digest(Path(there)) == digest(big)
    assert grown <= ALLOWED, f"the server grew by {grown >> 20} MB"
    print(f"{MEGABYTES} MB: the server grew by {sent >> 20} MB up, {grown >> 20} MB in all")
