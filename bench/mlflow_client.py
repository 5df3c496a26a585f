"""Runs inside the peer environment: how fast the unmodified mlflow client logs metrics to a server.

python mlflow_client.py URL SECONDS REPEATS      # prints a JSON list of calls per second
"""

import json
import sys
import time

from mlflow import MlflowClient


def main(url: str, seconds: float, repeats: int) -> None:
    """Log one metric after another, synchronously."""
    client = MlflowClient(tracking_uri=url)
    run_id = client.create_run("0").info.run_id
    client.log_metric(run_id, "warm", 0.0)
    rates = []
    step = 0
    for _ in range(repeats):
        begun = time.monotonic()
        done = 0
        while time.monotonic() - begun < seconds and done < 20_000:
            client.log_metric(run_id, "loss", 1 / (step + 1), step=step)
            step += 1
            done += 1
        rates.append(done / (time.monotonic() - begun))
    print(json.dumps(rates))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]))
