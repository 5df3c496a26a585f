"""The documentation is complete: generated pages are current, links lead somewhere, dependencies have their reasons."""

from __future__ import annotations

import json
import re
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "bench" / "README.md"])


def test_generated_pages_are_current(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    for name in ("docs", "compatibility", "langfuse_compatibility", "langfuse_openapi"):
        sys.modules.pop(name, None)
    import docs

    for name, write in docs.PAGES.items():
        assert (ROOT / "docs" / name).read_text("utf-8") == write(), f"docs/{name} is old: run `make docs`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if not target.startswith(("http:", "https:", "#", "mailto:")):
            assert (page.parent / target.partition("#")[0]).exists(), f"{page.name}: {target}"


def test_every_dependency_has_a_reason() -> None:
    text = (ROOT / "docs" / "dependencies.md").read_text("utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [
        *project["dependencies"],
        *(item for group in project["optional-dependencies"].values() for item in group),
    ]
    names = {re.split(r"[\[<>=!~; ]", item)[0] for item in wanted} - {"twinlens"}
    package = json.loads((ROOT / "ui" / "package.json").read_text("utf-8"))
    names |= {*package["dependencies"], *package["devDependencies"]}
    missing = sorted(name for name in names if f"`{name}`" not in text)
    assert not missing
    named = set(re.findall(r"`([@\w/-]+)`", text)) - {"tokens", "grpc", "clickhouse", "postgres", "mcp"}
    stale = sorted(name for name in named if name not in names and not name.startswith(("observability", "pyproject")))
    assert not stale


def test_every_command_is_in_the_readme() -> None:
    from twinlens.cli.app import app

    text = (ROOT / "README.md").read_text("utf-8")
    commands = [name for name in app if not name.startswith("-") and name != "server"]
    assert [name for name in commands if f"twinlens {name}" not in text] == []
