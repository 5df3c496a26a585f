"""The MCP server registry with the unmodified MLflow client: every method of it, what is refused, and who may not write."""

from __future__ import annotations

from typing import Any

import pytest

from tests.servers import LiveServer
from tests.wire.mlflow.peer import ClientError, MlflowPeer

pytestmark = pytest.mark.peer
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
