"""An S3 server for tests: moto's, over real HTTP, in an environment of its own."""

from __future__ import annotations

import subprocess
from types import TracebackType

from tests.envs import python_of

_PROGRAM = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
import boto3
s3 = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", aws_access_key_id="test", aws_secret_access_key="test",
                  region_name="us-east-1")
s3.create_bucket(Bucket="twinlens")
print(port, flush=True)
sys.stdin.read()
"""


class S3Server:
    """A server with one empty bucket, ``twinlens``; any credentials do."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [python_of("s3"), "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            assert self._process.stderr is not None
            raise RuntimeError("the S3 server did not start:\n" + self._process.stderr.read())
        self.url = f"http://127.0.0.1:{int(line)}"

    @property
    def environment(self) -> dict[str, str]:
        """Variables with which a program finds the server."""
        return {
            "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1", "MLFLOW_S3_ENDPOINT_URL": self.url,
        }  # fmt: skip

    def __enter__(self) -> S3Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
