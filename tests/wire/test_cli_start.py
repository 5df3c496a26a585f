"""How the command line starts: what it loads, how it helps, the first block."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.servers import run_command as twinlens


def test_commands_load_what_they_need_and_no_more() -> None:
    code = (
        "import sys; sys.argv = ['twinlens', *{!r}]\n"
        "from twinlens.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({{m.split('.')[0] for m in sys.modules}} & {{'litestar', 'sqlalchemy', 'duckdb', 'uvicorn', 'msgspec', "
        "'cyclopts', 'rich', 'requests', 'opentelemetry'}}))"
    )
    for asked, loaded in ((["--version"], "[]"), (["spool", "list", "--path", "none"], "['cyclopts']")):
        ran = subprocess.run(
            [sys.executable, "-c", code.format(asked)], capture_output=True, text=True, timeout=60, check=True
        )
        assert ran.stdout.splitlines()[1:] == [loaded], ran.stderr


def test_completion_and_unknown_commands() -> None:
    assert "reclaim" in twinlens("completion", "bash").stdout
    assert "to read from" in twinlens("migrate", "--help").stdout
    ran = twinlens("sreve")
    assert ran.returncode != 0 and 'Did you mean "serve"' in ran.stdout + ran.stderr


def test_init_writes_a_block_that_doctor_reads(tmp_path: Path) -> None:
    book = tmp_path / "playbook.yaml"
    book.write_text("metadata:\n  name: helper\nspec: {}")
    made = twinlens("init", str(book), "--backend", "mlflow", "--backend", "langfuse")
    assert made.returncode == 0, made.stderr
    assert book.read_text().startswith("metadata:\n  name: helper\nspec: {}\n\nobservability:\n")
    told = twinlens("doctor", str(book), env={"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}).stdout
    assert "mlflow.experiment_name = helper" in told and "needs public_key and secret_key" in told
    again = twinlens("init", str(book))
    assert again.returncode == 1 and "has a block already" in again.stderr
