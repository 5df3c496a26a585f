"""The few REST calls the sample workload makes, as MLflow's and Langfuse's clients make them."""

from __future__ import annotations

import base64
import json
import time
import urllib.error
import urllib.request
from typing import Any


class Rest:
    """JSON over HTTP with the standard library."""

    def __init__(self, url: str) -> None:
        self._url = url

    def call(self, method: str, path: str, body: object | None = None, *, kind: str = "application/json") -> Any:
        """Send and decode the JSON answer; bytes are sent as they are.

        Raises:
            urllib.error.URLError: the server is gone or refuses.
        """
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        credentials = base64.b64encode(b"pk-lf-demo:sk-lf-demo").decode()
        request = urllib.request.Request(  # noqa: S310 - our own address
            self._url + path,
            data=data,
            method=method,
            headers={"Content-Type": kind, "Authorization": f"Basic {credentials}"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            found = answer.read()
        return json.loads(found) if found[:1] in (b"{", b"[") else None

    def mlflow(self, path: str, **body: object) -> Any:
        """One call of MLflow's tracking API."""
        return self.call("POST", f"/api/2.0/mlflow/{path}", body)

    def experiment(self, name: str) -> str:
        """Id of an experiment, made when it is not there."""
        try:
            found = self.call("GET", f"/api/2.0/mlflow/experiments/get-by-name?experiment_name={name}")
            return str(found["experiment"]["experiment_id"])
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
        return str(self.mlflow("experiments/create", name=name)["experiment_id"])

    def score(self, trace_id: str, name: str, value: float | str, comment: str | None = None) -> None:
        """One score through Langfuse's API."""
        body = {"traceId": trace_id, "name": name, "value": value, "comment": comment}
        self.call("POST", "/api/public/scores", {key: item for key, item in body.items() if item is not None})


def now_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000
