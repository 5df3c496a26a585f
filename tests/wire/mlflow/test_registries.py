"""The registries of MCP servers and of skills with the unmodified MLflow client: every method, what is refused, who reads what."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.servers import LiveServer
from tests.wire.mlflow.peer import ClientError, MlflowPeer

pytestmark = pytest.mark.peer


@pytest.fixture(scope="module")
def mlflow(live_server: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowPeer]:
    """The client that knows skills."""
    with MlflowPeer(live_server.url, tmp_path_factory.mktemp("peer"), over="mlflow318") as peer:
        yield peer


# --- MCP servers ----------------------------------------------------------------------------------------------------
NAME = "io.github.acme/search"
AT = "/api/3.0/mlflow/mcp-servers"


def test_every_method_of_the_client(mlflow: MlflowPeer, live_server: LiveServer) -> None:
    found: dict[str, Any] = mlflow.run(f"""
    import mlflow.genai as genai
    from mlflow.entities.mcp_server import MCPTool
    from mlflow.entities.mcp_server_version import ConnectOptionSettings
    name = {NAME!r}

    def document(version, **more):
        remote = {{"type": "streamable-http", "url": "https://mcp.acme.example/mcp"}}
        return {{"name": name, "version": version, "description": "finds", "x-extra": [1, None], "remotes": [remote], **more}}

    tool = MCPTool(name="find", description="d", input_schema={{"type": "object"}})
    empty = client.create_mcp_server("io.github.acme/empty", description="e", icons=[{{"src": "https://acme.example/i.png"}}])
    first = genai.register_mcp_server(server_json=document("1.0.0"), status="active", tools=[tool], source="https://acme.example")
    second = client.create_mcp_server_version(document("1.1.0+b1"), tools=[],
                                              connect_options={{"npx": ConnectOptionSettings(hidden=True)}})
    changed = genai.update_mcp_server(name, display_name="Search")
    genai.set_mcp_server_alias(name, "prod", "1.0.0")
    genai.set_mcp_server_tag(name, "team", "a/b")
    genai.set_mcp_server_tag(name, "gone", "x")
    genai.delete_mcp_server_tag(name, "gone")
    genai.set_mcp_server_version_tag(name, second.version, "k/1", "v")
    genai.set_mcp_server_version_tag(name, second.version, "gone", "v")
    genai.delete_mcp_server_version_tag(name, second.version, "gone")
    url = "https://mcp.acme.example/mcp"
    fixed = client.create_mcp_access_endpoint(name, url, server_version="1.0.0")
    moving = client.create_mcp_access_endpoint(name, url, "sse", server_alias="prod")
    moved = client.update_mcp_access_endpoint(name, moving.id, url=url + "/2", server_alias="latest")
    updated = client.update_mcp_server_version(name, second.version, status="active", tools=[tool])
    read = client.get_mcp_access_endpoint(name, moving.id)
    server = client.get_mcp_server(name)
    page = client.search_mcp_servers(max_results=1, order_by=["name DESC"])
    rest = client.search_mcp_servers(max_results=1, order_by=["name DESC"], page_token=page.token)
    result = dict(
        empty=[empty.status, empty.description, empty.icons[0]["source"], empty.workspace],
        first=[first.status, first.server_json["x-extra"], first.tools[0].input_schema, first.source],
        second=[second.version, second.tools, second.connect_options["npx"].hidden], changed=changed.display_name,
        server=[server.latest_version, server.status, server.aliases, server.tags, server.description,
                sorted(e.resolved_version.version for e in server.access_endpoints)],
        version=client.get_mcp_server_version(name, second.version).tags,
        alias=[client.get_mcp_server_version_by_alias(name, "prod").version, client.get_latest_mcp_server_version(name).version],
        moved=[moved.server_alias, moved.url, moved.transport_type, read.resolved_version.version],
        updated=[updated.status, updated.tools[0].name],
        pages=[[s.name for s in page], [s.name for s in rest], rest.token],
        filtered=[s.name for s in client.search_mcp_servers("status = 'active' AND tags.team = 'a/b'")],
        versions=[v.version for v in client.search_mcp_server_versions(name, "version > '1.0.0'", order_by=["version DESC"])],
        endpoints=[len(client.search_mcp_access_endpoints()), len(client.search_mcp_access_endpoints(name, server_alias="latest"))],
    )
    """)
    both = ["1.0.0", "1.1.0+b1"]
    assert found == {
        "empty": [None, "e", "server", "default"],
        "first": ["active", [1, None], {"type": "object"}, "https://acme.example"],
        "second": ["1.1.0+b1", [], True], "changed": "Search",
        "server": ["1.1.0+b1", "active", {"prod": "1.0.0"}, {"team": "a/b"}, "finds", both],
        "version": {"k/1": "v"}, "alias": both, "moved": ["latest", "https://mcp.acme.example/mcp/2", "sse", "1.1.0+b1"],
        "updated": ["active", "find"], "pages": [[NAME], ["io.github.acme/empty"], None], "filtered": [NAME],
        "versions": ["1.1.0+b1"], "endpoints": [2, 1],
    }  # fmt: skip
    with live_server.client() as client:  # a name with a bare slash, as other programs send it
        assert client.get(f"{AT}/{NAME}/versions/1.0.0").json()["aliases"] == ["prod"]
        assert client.get(f"{AT}/{NAME}").json()["display_name"] == "Search"
    for program, code, words in (
        ("client.get_mcp_server('x.y/none')", "RESOURCE_DOES_NOT_EXIST", "'x.y/none' not found"),
        ("client.create_mcp_server('plain')", "INVALID_PARAMETER_VALUE", "reverse-dns"),
        ("client.create_mcp_server('io.github.acme/empty')", "RESOURCE_ALREADY_EXISTS", "already exists"),
        ("client.delete_mcp_server(name)", "INVALID_PARAMETER_VALUE", "still has an active version"),
        ("client.search_mcp_servers('size = 1')", "INVALID_PARAMETER_VALUE", "Invalid attribute key 'size'"),
    ):
        with pytest.raises(ClientError, match=words) as caught:
            mlflow.run(program)
        assert caught.value.code == code
    left = mlflow.run("""
    client.delete_mcp_access_endpoint(name, fixed.id)
    client.delete_mcp_server_alias(name, "prod")
    for version in ("1.0.0", second.version):
        client.update_mcp_server_version(name, version, status="deprecated")
        client.delete_mcp_server_version(name, version)
    client.delete_mcp_server(name)
    result = [[s.name for s in client.search_mcp_servers()], len(client.search_mcp_access_endpoints())]
    """)
    assert left == [["io.github.acme/empty"], 0]


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b'{"server_json": {}}', b'{"server_json": {"name": "a.b/cc", "version": 1}}', b'{"server_json": "\\ud800"}',
     b'{"server_json": {"name": "a.b/cc", "version": "1.0.0"}, "status": "deleted"}', b"[" * 5_000,
     b'{"server_json": {"name": "a.b/cc", "version": "1.0.0", "icons": [{"src": 1}]}}',
     b'{"server_json": {"name": "a.b/dd", "version": "1.0.0"}}'],
)  # fmt: skip
def test_bad_bodies(live_server: LiveServer, body: bytes) -> None:
    with live_server.client() as client:
        reply = client.post(f"{AT}/a.b%2Fcc/versions", content=body, headers={"Content-Type": "application/json"})
        assert (reply.status_code, reply.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE"), reply.text
        assert client.get(f"{AT}/a.b%2Fcc").status_code == 404


# --- skills ---------------------------------------------------------------------------------------------------------
SKILLS = "/api/3.0/mlflow/skills"
TEXT = "---\nname: review\ndescription: Review code.\n---\n# How\n"
ICON = bytes(range(256)) * 2_600  # more than two pieces, and no text


def test_every_method_for_skills(mlflow: MlflowPeer) -> None:
    found: dict[str, Any] = mlflow.run("""
    from mlflow.genai import GitSource, OCISource, ZipSource
    git = GitSource("https://git.acme.example/skills.git", ref="v1", subpath="skills/review")
    seen = {}
    for org in ("", "acme.io"):
        at = dict(name="review", organization=org)
        empty = client.create_skill(**at, description="d", icons=[{"src": "https://acme.example/i.png"}])
        first = client.create_skill_version(**at, source=git, digest="a" * 64)
        second = client.create_skill_version(**at, source=OCISource("ghcr.io/acme/skills:v1"), status="draft")
        third = client.create_skill_version(**at, source="https://acme.example/s.zip", status="draft")
        changed = client.update_skill(**at, description="Review code")
        client.set_skill_alias(**at, alias="prod", version=1)
        client.set_skill_alias(**at, alias="old", version=1)
        client.delete_skill_alias(**at, alias="old")
        client.set_skill_tag(**at, key="team/a", value="x")
        client.set_skill_tag(**at, key="gone", value="true")
        client.delete_skill_tag(**at, key="gone")
        client.set_skill_version_tag(**at, version=1, key="k/1", value="v")
        client.set_skill_version_tag(**at, version=1, key="gone", value="v")
        client.delete_skill_version_tag(**at, version=1, key="gone")
        skill, version = client.get_skill(**at), client.get_skill_version(**at, version=1)
        moved = client.update_skill_version(**at, version=2, status="active")
        latest = client.get_latest_skill_version(**at)
        client.delete_skill_version(**at, version=3)
        fourth = client.create_skill_version(**at, source=ZipSource("https://acme.example/s.zip"))
        page = client.search_skill_versions(**at, order_by=["version DESC"], max_results=2)
        rest = client.search_skill_versions(**at, order_by=["version DESC"], max_results=2, page_token=page.token)
        seen[org] = dict(
            empty=[empty.organization, empty.latest_version, empty.status, empty.icons[0]["src"]],
            first=[first.version, first.source.to_dict(), first.digest[:2], first.status],
            types=[second.source_type, third.source_type, third.source.to_dict()],
            skill=[changed.description, skill.latest_version, skill.status, skill.source_type, skill.aliases, skill.tags],
            version=[version.aliases, version.tags], latest=[moved.status, latest.version], number=fourth.version,
            alias=client.get_skill_version_by_alias(**at, alias="prod").version,
            pages=[[v.version for v in page], [v.version for v in rest], rest.token],
            old=[v.version for v in client.search_skill_versions(**at, filter_string="version < 3 AND source_type = 'oci'")],
        )
    bulk = [dict(name=name, source=git.url, ref="main", subpath=name, digest="b" * 64) for name in ("lint", "debug")]
    made = client.bulk_register_skills(skill_definitions=bulk, organization="acme.io")
    again = client.bulk_register_skills(skill_definitions=bulk, organization="acme.io")
    result = dict(
        seen=seen, bulk=[[v.name, v.version] for v in made], again=[v.version for v in again],
        all=[[s.organization, s.name] for s in client.search_skills()],
        some=[s.name for s in client.search_skills(filter_string="organization = 'acme.io' AND search_text ILIKE '%CODE%'")],
        named=[[s.organization, s.name] for s in client.search_skills(include_skill_identities=["review", "@acme.io/lint", "no"])],
        none=len(client.search_skills(include_skill_identities=[])),
        ordered=[s.name for s in client.search_skills(filter_string="tags.`team/a` = 'x' AND status = 'active'", order_by=["organization DESC"])],
    )
    """)
    for org in ("", "acme.io"):
        assert found["seen"][org] == {
            "empty": [org, None, None, "https://acme.example/i.png"],
            "first": [1, {"url": "https://git.acme.example/skills.git", "ref": "v1", "subpath": "skills/review"}, "aa", "active"],
            "types": ["oci", "zip", {"url": "https://acme.example/s.zip"}],
            "skill": ["Review code", 1, "active", "git", {"prod": 1}, {"team/a": "x"}], "version": [["prod"], {"k/1": "v"}],
            "latest": ["active", 2], "number": 4, "alias": 1, "pages": [[4, 2], [1], None], "old": [2],
        }  # fmt: skip
    assert found["bulk"] == [["lint", 1], ["debug", 1]] and found["again"] == [1, 1]
    assert found["all"] == [["", "review"], ["acme.io", "debug"], ["acme.io", "lint"], ["acme.io", "review"]]
    assert (
        found["some"] == ["review"] and found["named"] == [["", "review"], ["acme.io", "lint"]] and found["none"] == 0
    )
    assert found["ordered"] == ["review", "review"]
    for program, code, words in (
        ("client.get_skill(name='none')", "RESOURCE_DOES_NOT_EXIST", "'none' not found"),
        ("client.create_skill(name='review')", "RESOURCE_ALREADY_EXISTS", "already exists"),
        (
            "client.delete_skill_version(name='review', version=1)",
            "INVALID_PARAMETER_VALUE",
            "Invalid status transition",
        ),
        ("client.set_skill_alias(name='review', alias='x', version=9)", "RESOURCE_DOES_NOT_EXIST", "'9' not found"),
        ("client.search_skills(filter_string='size = 1')", "INVALID_PARAMETER_VALUE", "Invalid attribute key 'size'"),
        ("client.search_skills(max_results=5000)", "INVALID_PARAMETER_VALUE", "max_results"),
    ):
        with pytest.raises(ClientError, match=words) as caught:
            mlflow.run(program)
        assert caught.value.code == code
    left = mlflow.run("""
    for name in ("review", "lint", "debug"):
        client.delete_skill(name=name, organization="acme.io")
    client.delete_skill(name="review")
    result = len(client.search_skills())
    """)
    assert left == 0


def test_skills_are_uploaded_and_pulled(mlflow: MlflowPeer, live_server: LiveServer, tmp_path: Path) -> None:
    """What the client uploads is pulled by it, and read by Langfuse's clients and the browser; and the other way round."""
    folder = tmp_path / "review"
    (folder / "assets" / "ä").mkdir(parents=True)
    (folder / "SKILL.md").write_text(TEXT)
    (folder / "assets" / "icon.png").write_bytes(ICON)
    (folder / "assets" / "ä" / "empty.txt").write_bytes(b"")
    found = mlflow.run(f"""
    import mlflow.genai as genai
    made = genai.register_skill(source={str(folder)!r}, organization="acme")
    again = genai.register_skill(source={str(folder)!r}, organization="acme", status="draft")
    client.set_skill_alias(name="review", organization="acme", alias="production", version=1)
    client.set_skill_tag(name="review", organization="acme", key="pdf", value="true")
    client.set_skill_tag(name="review", organization="acme", key="team", value="x")
    path = genai.pull("skills:/@acme/review@production", destination={str(tmp_path / "pulled")!r})
    result = [made.version, made.source_type, made.digest == again.digest, again.status, made.source.artifact_path]
    """)
    assert found[:4] == [1, "mlflow", True, "draft"]
    assert _tree(tmp_path / "pulled") == _tree(folder)
    with live_server.client() as client:
        [row] = client.get("/api/public/unstable/skills").json()["data"]
        assert [row[key] for key in ("name", "description", "tags", "latestVersion", "productionVersion")] == [
            "@acme/review", "Review code.", ["pdf"], 2, 1,
        ]  # fmt: skip
        version = client.get("/api/public/unstable/skills/%40acme%2Freview?version=1").json()
        files = {file["path"]: file for file in version["files"]}
        assert files["assets/icon.png"]["contentLength"] == len(ICON) and version["frontmatter"]["name"] == "review"
        hashes = {"sha256Hashes": files["SKILL.md"]["sha256Hash"]}
        assert (
            client.get("/api/public/unstable/skills/files/content", params=hashes).json()["data"][0]["content"] == TEXT
        )
        base = "/api/twinlens/v1/projects/default/skills"
        detail = client.get(f"{base}/%40acme%2Freview").json()
        assert [(v["version"], v["status"], v["labels"]) for v in detail["versions"]] == [
            (2, "draft", ["latest"]), (1, "active", ["production"]),
        ]  # fmt: skip
        text = client.get(f"{base}/%40acme%2Freview/versions/1/file", params={"path": "SKILL.md"}).json()["text"]
        assert text == TEXT
        at = f"/api/2.0/mlflow-artifacts/artifacts/{found[4].removeprefix('mlflow-artifacts:/')}"
        part = client.get(f"{at}/assets/icon.png", headers={"Range": "bytes=262140-262150"})
        assert (part.status_code, part.content) == (206, ICON[262_140:262_151])
        assert client.put(f"{at}/SKILL.md", content=b"x").status_code == 403
        assert client.delete(f"{at}/SKILL.md").status_code == 403
        assert client.get(f"{at}/none").status_code == 404

        body = {"files": [{"path": "SKILL.md", "content": TEXT}, {"path": "a/b.py", "content": "print('ä')"}]}
        client.post("/api/public/unstable/skills", json=body).raise_for_status()
        client.patch("/api/public/unstable/skills/review", json={"tags": ["office"]}).raise_for_status()
        client.patch("/api/public/unstable/skills/review/versions/1", json={"labels": ["staging"]}).raise_for_status()
    pulled = mlflow.run(f"""
    genai.pull("skills:/review@staging", destination={str(tmp_path / "other")!r})
    skill = client.get_skill(name="review")
    client.delete_skill(name="review", organization="acme")
    result = [skill.tags, skill.aliases, skill.description, skill.source_type, client.get_latest_skill_version(name="review").digest]
    """)
    assert pulled[:4] == [{"office": "true"}, {"staging": 1}, "Review code.", "mlflow"] and len(pulled[4]) == 64
    assert _tree(tmp_path / "other") == {"SKILL.md": TEXT.encode(), "a/b.py": "print('ä')".encode()}
    with live_server.client() as client:
        assert client.get(f"{at}/SKILL.md").status_code == 404
        assert client.delete("/api/public/unstable/skills/review/versions/1").status_code == 200


def _tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _archive(**files: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


@pytest.mark.parametrize(
    ("metadata", "content", "status"),
    [
        ({}, _archive(**{"../x": b""}), 400),
        ({}, b"no archive", 400),
        ({}, _archive(), 400),
        ({"digest": "0" * 64}, _archive(a=b"x"), 400),
        ({"source": "https://x.example/a.zip"}, _archive(a=b"x"), 400),
        ({"name": "other"}, _archive(a=b"x"), 400),
        ({"status": "deleted"}, _archive(a=b"x"), 400),
        ({"unknown": 1}, _archive(a=b"x"), 400),
        ({}, None, 400),
        ({"ref": "x" * 2_000_000}, _archive(a=b"x"), 413),
    ],
)
def test_refused_uploads(live_server: LiveServer, metadata: dict[str, Any], content: bytes | None, status: int) -> None:
    files = {"metadata": (None, json.dumps(metadata), "application/json")}
    if content is not None:
        files["content"] = ("content.tar.gz", content, "application/gzip")  # pyright: ignore[reportArgumentType]
    with live_server.client() as client:
        reply = client.post(f"{SKILLS}/hostile/versions", files=files)
        assert (reply.status_code, reply.json()["error_code"]) == (status, "INVALID_PARAMETER_VALUE"), reply.text
        assert client.get(f"{SKILLS}/hostile").status_code == 404


@pytest.mark.parametrize(
    ("verb", "path", "body"),
    [
        ("POST", "", {"name": "Bad_Name"}),
        ("POST", "", {"name": "x", "organization": "@"}),
        ("POST", "/hostile/versions", {"source": "/etc/passwd"}),
        ("POST", "/hostile/versions", {"source": "runs:/1/skill"}),
        ("POST", "/hostile/versions", {"source": "https://user:pass@git.example/x.git"}),
        ("POST", "/hostile/versions", {"source": "https://x.example/a.zip?X-Amz-Signature=1"}),
        ("POST", "/hostile/versions", {"source": "https://x.example/a.git", "subpath": "../.."}),
        ("POST", "/hostile/versions", {"source": "-oProxyCommand=x", "source_type": "git"}),
        ("POST", "/hostile/versions", {"status": "active"}),
        ("POST", "/bulk-register", {"skills": []}),
        ("GET", "/hostile/versions/0", None),
        ("GET", "/%2e%2e", None),
    ],
)
def test_refused_requests(live_server: LiveServer, verb: str, path: str, body: dict[str, Any] | None) -> None:
    with live_server.client() as client:
        reply = client.request(verb, SKILLS + path, json=body)
        assert (reply.status_code, reply.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE"), reply.text
        assert "hostile" not in client.get(SKILLS).text
