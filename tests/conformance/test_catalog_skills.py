"""Skills on both engines: one thing for both protocols, what is latest, numbers, contents that go with the last version of them."""

from __future__ import annotations

import io
import itertools
import tarfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
import sqlalchemy as sa

from twinlens.domain.errors import AlreadyExists, InvalidArgument, NotFound
from twinlens.domain.skill import SkillVersion
from twinlens.domain.skill_source import SkillSource
from twinlens.features.permissions import Permissions
from twinlens.features.projects import Projects
from twinlens.features.secrets import Hasher
from twinlens.features.skill_registry import NewVersion, SkillRegistry, SkillSearch
from twinlens.features.skills import SkillFilter, Skills, add_version
from twinlens.store.catalog.engine import Catalog
from twinlens.store.catalog.skills import PIECE, SkillTable, skill_files, skill_pieces, skill_versions, skills

TEXT = "---\nname: review\ndescription: Review code.\n---\n"
GIT = SkillSource(type="git", location="https://git.example/s.git", ref="v1")


def both(catalog: Catalog) -> tuple[Skills, SkillRegistry]:
    clock = itertools.count(1_000_000, 1_000_000).__next__
    permissions = Permissions(catalog, Projects(catalog, Hasher("pepper")))
    return Skills(catalog, permissions, clock), SkillRegistry(catalog, permissions, clock)


def packed(**files: bytes) -> io.BytesIO:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", compresslevel=1) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name.replace("__", "."))
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    out.seek(0)
    return out


def kept(catalog: Catalog, table: sa.Table) -> int:
    with catalog.read() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


def test_one_skill_for_both(catalog: Catalog) -> None:
    library, registry = both(catalog)
    image = bytes([0, 255]) * PIECE  # two pieces
    files: Sequence[tuple[str, str | None, str | None]] = [("SKILL.md", TEXT, None), ("a.py", "1", None)]
    assert library.create_version("a", files).version == 1
    up = registry.upload(
        "a", NewVersion(name="review", status="draft"), packed(SKILL__md=TEXT.encode(), i__png=image), "ann"
    )
    there = registry.register("a", NewVersion(name="review", source=GIT, status="draft"), "ann")
    assert (up.version, up.file_count, there.version, there.source_type) == (2, 2, 3, "git")
    assert (kept(catalog, skill_files), kept(catalog, skill_pieces)) == (2, 2)

    skill = registry.get("a", "review")
    assert (skill.newest and skill.newest.version, skill.current and skill.current.version) == (3, 1)
    assert registry.version_by_alias("a", "review", "Latest").version == 1
    assert library.get("a", "review", label="latest").version == 3
    registry.set_status("a", "review", 2, "active", "bob")
    assert registry.version_by_alias("a", "review", "latest").updated_by == "bob"

    library.set_labels("a", "review", 1, ["production"])
    registry.set_alias("a", "review", "Stable_1", 1)
    assert registry.get("a", "review").labels == {"Stable_1": 1, "latest": 3, "production": 1}
    assert library.set_labels("a", "review", 1, ["Stable_1", "staging"]).labels == ["Stable_1", "staging"]
    with pytest.raises(InvalidArgument):
        library.set_labels("a", "review", 2, ["Other_1"])
    registry.delete_alias("a", "review", "staging")

    library.set_tags("a", "review", ["pdf", "office"])
    registry.set_tag("a", "review", "team", "x")
    registry.set_tag("a", "review", "pdf", "yes")
    assert registry.get("a", "review").tags == {"office": "true", "pdf": "yes", "team": "x"}
    assert library.get("a", "review", version=1).tags == ["office"]
    library.set_tags("a", "review", ["team"])
    assert registry.get("a", "review").tags == {"pdf": "yes", "team": "true"}
    registry.set_tag("a", "review", "gate", "1", version=1)
    assert library.get("a", "review", version=1).version_tags == {"gate": "1"}
    assert [file.path for file in library.get("a", "review", version=1).files] == ["SKILL.md", "a.py"]  # they stay

    # an edit in the browser: the image goes along by its hash
    with_image = library.get("a", "review", version=2)
    changed = [
        (f.path, TEXT + "more" if f.path == "SKILL.md" else None, None if f.text else f.sha256)
        for f in with_image.files
    ]
    edited = library.create_version("a", changed, name="review")
    assert edited.version == 4 and {f.length for f in edited.files if not f.text} == {len(image)}

    registry.set_status("a", "review", 3, "deleted")
    library.delete_version("a", "review", 4)
    assert library.get("a", "review", label="latest").version == 2
    assert registry.register("a", NewVersion(name="review", source=GIT)).version == 5  # numbers are not given again
    for version in (5, 2):
        registry.set_status("a", "review", version, "deprecated")
        registry.set_status("a", "review", version, "deleted")
    assert (kept(catalog, skill_files), kept(catalog, skill_pieces)) == (2, 0)
    registry.set_status("a", "review", 1, "draft")
    registry.set_status("a", "review", 1, "deleted")
    assert registry.get("a", "review").current is None and library.list("a")[0].newest is None
    registry.delete("a", "review")
    assert [kept(catalog, table) for table in (skills, skill_versions, skill_files)] == [0, 0, 0]


def test_searches_and_projects(catalog: Catalog) -> None:
    library, registry = both(catalog)
    registry.create("a", "@acme/empty", "ann", description="Nothing yet")
    registry.register("a", NewVersion(name="@acme/review", source=GIT, digest="a" * 64))
    registry.register("a", NewVersion(name="lint", status="draft"))
    registry.set_tag("a", "lint", "team", "x")

    def names(text: str = "", *order: str, **more: int) -> list[str]:
        return [row.name for row in registry.search("a", SkillSearch(filter=text, order=order, **more))[0]]

    assert names() == ["lint", "@acme/empty", "@acme/review"]
    assert names("", "created_at DESC", limit=2) == ["lint", "@acme/review"]
    assert names("organization = 'acme' AND status IN ('active', 'draft')") == ["@acme/review"]
    assert names("tags.team LIKE 'x%' OR search_text ILIKE 'empty noth%'") == ["lint", "@acme/empty"]
    assert names("", "status", "source_type DESC") == ["@acme/empty", "@acme/review", "lint"]
    for bad in ("size = '1'", "name IN ('x')", "created_at = 'x'", "status > 'a'"):
        with pytest.raises(InvalidArgument):
            names(bad)
    found, total = registry.search_versions(
        "a", "@acme/review", SkillSearch(filter=f"digest = '{'a' * 64}' AND version = 1")
    )
    assert (total, found[0].source) == (1, GIT)
    with pytest.raises(AlreadyExists):
        registry.create("a", "lint")
    again = NewVersion(name="@acme/review", source=GIT, digest="a" * 64)
    new = NewVersion(name="@acme/new", source=GIT, digest="b" * 64)
    assert [row.version for row in registry.register_all("a", [new, again])] == [1, 1]
    other = msgspec.structs.replace(new, source=msgspec.structs.replace(GIT, ref="v2"))
    for bad in ([new, other], [new, new], [msgspec.structs.replace(new, digest=None)]):
        with pytest.raises(InvalidArgument):
            registry.register_all("a", bad)
    assert registry.search("b", SkillSearch())[1] == 0 and library.list("b", SkillFilter()) == []
    for call in (registry.get, registry.delete):
        with pytest.raises(NotFound):
            call("b", "lint")


def test_rows_of_older_versions(catalog: Catalog) -> None:
    """Files were in the body of a version, and skills had no head."""
    library, registry = both(catalog)
    made = library.create_version("a", [("SKILL.md", TEXT, None)])
    with catalog.write() as connection:
        connection.execute(skills.update().values(head=None))
        body = msgspec.structs.replace(made, labels=[], file_count=0, digest=None)
        connection.execute(skill_versions.update().values(files=None, body=msgspec.json.encode(body).decode()))
    assert [file.path for file in library.get("a", "review", version=1).files] == ["SKILL.md"]
    assert registry.get("a", "review").head.created_ns == made.created_ns
    registry.set_tag("a", "review", "k", "v", version=1)
    library.set_labels("a", "review", 1, ["production"])
    found = library.get("a", "review")
    assert ([file.path for file in found.files], found.version_tags) == (["SKILL.md"], {"k": "v"})
    library.delete_version("a", "review", 1)
    assert [kept(catalog, table) for table in (skills, skill_versions, skill_files)] == [0, 0, 0]


def test_contents_taken_again_while_their_last_version_goes(catalog: Catalog) -> None:
    """Two skills share a file: the one that comes keeps it, though the one that goes was the last to refer to it."""
    library, _ = both(catalog)
    library.create_version("a", [("SKILL.md", TEXT, None)])
    row = SkillVersion(version_id="", name="other", version=0, description="", frontmatter={})
    with ThreadPoolExecutor(1) as beside:
        with catalog.write() as connection:
            add_version(SkillTable(connection, "a"), row, {"SKILL.md": TEXT.encode()}, 1)
            going = beside.submit(library.delete_version, "a", "review", 1)
            with pytest.raises(TimeoutError):
                going.result(0.3)  # it waits for this one
        going.result()
    assert (kept(catalog, skill_versions), kept(catalog, skill_files)) == (1, 1)
