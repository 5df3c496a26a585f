"""docs/gateway.md, executed: its three programs in the environments of the clients they use."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.envs import python_of
from tests.servers import LiveServer
from tests.stub_llm import stub_llm
from tests.wire.langfuse.clients import environment_for

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "gateway.md").read_text("utf-8")
SAID = {
    "mlflow": "gateway/support-bot\n", "langfuse5": "team openai ...6789\n", "frameworks": "Because.\n",
}  # fmt: skip


@pytest.mark.peer
def test_the_pages_programs_do_what_it_says(live_server: LiveServer) -> None:
    programs = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    with stub_llm() as provider:
        for (environment, said), program in zip(SAID.items(), programs, strict=True):
            text = program.replace("http://localhost:5001", live_server.url).replace(
                "https://llm.example.com/v1", provider
            )
            done = subprocess.run(
                [python_of(environment), "-W", "ignore", "-c", text], env=environment_for(live_server.url),
                capture_output=True, text=True, timeout=120,
            )  # fmt: skip
            assert (done.returncode, done.stdout) == (0, said), done.stderr[-3000:]
    assert all(said.strip() in PAGE for said in list(SAID.values())[:2])
