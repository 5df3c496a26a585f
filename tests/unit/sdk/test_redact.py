"""Secrets do not leave the machine: command lines, variables, addresses, patches."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinlens.sdk import capture, redact


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["train.py", "--api-key", "abc", "--lr", "0.1"], ["train.py", "--api-key", "***", "--lr", "0.1"]),
        (["--token=abc", "DB_PASSWORD=x", "--epochs=3"], ["--token=***", "DB_PASSWORD=***", "--epochs=3"]),
        (["--tokenizer", "bpe", "--monkey", "1"], ["--tokenizer", "bpe", "--monkey", "1"]),
        (["--secret", "--verbose"], ["--secret", "--verbose"]),
        (["postgresql://me:pw@db/x"], ["postgresql://db/x"]),
        (["https://x.test/?a=1&sig=abc"], ["https://x.test/?a=1&sig=***"]),
        (["sk-proj-abcdefghijklmnop"], ["***"]),
    ],
)  # fmt: skip
def test_command_lines(given: list[str], expected: list[str]) -> None:
    assert redact.command(given) == expected


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz0123456789", min_size=12, max_size=30))
def test_no_secret_survives_in_a_patch(secret: str) -> None:
    lines = [
        "+++ b/x.py",
        f'+API_KEY = "{secret}"',
        f"+url = 'https://me:{secret}@host/'",
        f" kept {secret}",
        "+plain = 1",
    ]
    clean, changed = redact.patch("\n".join(lines))
    got = clean.split("\n")
    assert changed == 2 and secret not in got[1] and secret not in got[2]
    assert [got[0], got[3], got[4]] == [lines[0], lines[3], lines[4]]


def test_files_travel_in_pieces(tmp_path: Path) -> None:
    text = "".join(f"package{n}=={n}.0.{n * 7919 % 97}\n" for n in range(3_000))
    pieces = capture._pieces("lock", text)
    assert 1 < len(pieces) <= capture.MOST_PIECES and max(map(len, pieces.values())) <= capture.PIECE
    assert capture.joined(pieces, "lock") == text
    assert capture.joined(pieces | {"twinlens.capture.lock.0": "broken"}, "lock") is None
    assert capture.joined({}, "lock") is None


def test_capturing_never_raises_outside_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert not any("git" in key for key in capture.tags())
    subprocess.run(["git", "init", "-q"], check=True)  # a repository without a commit
    assert "twinlens.capture.command" in capture.tags(seeds={"mine": 3})
