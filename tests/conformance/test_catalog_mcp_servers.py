"""The MCP server registry on both engines: versions and what is latest, aliases, endpoints, searches, projects apart."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from twinlens.domain.errors import AlreadyExists, InvalidArgument, NotFound
from twinlens.domain.lifecycle import Status
from twinlens.domain.mcp_server import McpContent, McpEndpoint, McpServer
from twinlens.features.audit import Audit
from twinlens.features.mcp_servers import McpSearch, McpServers
from twinlens.store.catalog.engine import Catalog

NAME = "io.github.acme/search"


def content(version: str, name: str = NAME, **more: Any) -> McpContent:
    return McpContent(server_json={"name": name, "version": version, **more}, tools=[{"name": "find", "title": None}])


def test_life_of_a_server(catalog: Catalog) -> None:
    registry = McpServers(catalog, clock=itertools.count(1_000_000, 1_000_000).__next__)

    def add(version: str, status: Status = "draft", **more: Any) -> None:
        registry.create_version("a", content(version, **more), status, "ann")

    icon = {"src": "https://acme.example/dark.png", "theme": "dark"}
    add("1.9.0", "active", description="of 1.9", icons=[icon])
    add("1.10.0-rc.2")
    add("1.10.0-rc.10")
    with pytest.raises(AlreadyExists):
        add("1.9.0")
    with pytest.raises(AlreadyExists):
        registry.create("a", McpServer(name=NAME))
    found = registry.get("a", NAME)
    assert found.latest
    assert (found.latest.version, found.shown_description, found.created_by) == ("1.9.0", "of 1.9", "ann")
    assert found.shown_icons == [icon | {"source": "version"}]
    assert found.latest.content.tools == [{"name": "find"}]

    registry.set_alias("a", NAME, "prod", "1.9.0")
    registry.set_tag("a", NAME, "team", "x")
    registry.set_tag("a", NAME, "gate", "1", version="1.9.0")
    registry.set_tag("a", NAME, "gate", "2", version="1.9.0")
    at = {"server_name": NAME, "url": "https://mcp.acme.example", "endpoint_id": ""}
    latest = registry.create_endpoint("a", McpEndpoint(**at, server_alias="latest"))
    prod = registry.create_endpoint("a", McpEndpoint(**at, server_alias="prod", transport_type="sse"))
    fixed = registry.create_endpoint("a", McpEndpoint(**at, server_version="1.10.0-rc.2"))
    row = registry.version_by_alias("a", NAME, "prod")
    assert (row.version, row.tags, row.aliases) == ("1.9.0", {"gate": "2"}, ["prod"])

    registry.update_version("a", NAME, "1.9.0", status="draft")
    assert registry.version_by_alias("a", NAME, "latest").version == "1.10.0-rc.10"
    served = registry.endpoint("a", NAME, latest.endpoint_id).resolved
    assert served and served.version == "1.10.0-rc.10" and served.content.server_json["name"] == NAME
    registry.delete_version("a", NAME, "1.9.0")  # with its alias and the endpoint that follows the alias
    with pytest.raises(NotFound):
        registry.version("a", NAME, "1.9.0")
    with pytest.raises(AlreadyExists):
        add("1.9.0")
    left = registry.get("a", NAME)
    assert [each.endpoint_id for each in left.endpoints] == [latest.endpoint_id, fixed.endpoint_id]
    assert (left.aliases, left.tags) == ({}, {"team": "x"})
    moved = registry.update_endpoint("a", NAME, fixed.endpoint_id, alias="latest")
    assert (moved.server_version, moved.server_alias) == (None, "latest")
    with pytest.raises(NotFound):
        registry.endpoint("a", NAME, prod.endpoint_id)
    for version in ("1.10.0-rc.2", "1.10.0-rc.10"):
        registry.delete_version("a", NAME, version)
    assert registry.get("a", NAME).endpoints == []  # nothing is latest
    registry.delete("a", NAME)
    assert registry.search("a", McpSearch()) == ([], 0)
    entries, _ = Audit(catalog).list("", "a")
    assert [e.action for e in entries if e.object_type == "mcp_server"] == ["delete", "update"]


def test_searches(catalog: Catalog) -> None:
    registry = McpServers(catalog, clock=itertools.count(1_000_000, 1_000_000).__next__)
    for name, status in (("xx/aa", "active"), ("xx/bb", "draft"), ("yy/cc", "active")):
        registry.create_version("a", content("1.0.0", name), status)
        registry.set_tag("a", name, "stage", status)
    registry.create("a", McpServer(name="yy/dd", display_name="Empty"))
    registry.create_endpoint(
        "a", McpEndpoint(endpoint_id="", server_name="yy/cc", url="http://localhost:1", server_version="1.0.0")
    )
    for version in ("1.0.0+x", "1.2.0", "1.10.0", "2.0.0-a"):
        registry.create_version("a", content(version, "xx/aa"))

    def names(text: str = "", *order: str, **page: int) -> list[str]:
        return [row.name for row in registry.search("a", McpSearch(filter=text, order=order, **page))[0]]

    assert names() == ["xx/aa", "xx/bb", "yy/cc", "yy/dd"]
    assert names("", "name DESC", limit=2, offset=1) == ["yy/cc", "xx/bb"]
    assert names("status != 'draft' AND name LIKE 'xx/%'") == ["xx/aa"]
    assert names("tags.stage = 'draft' OR display_name ILIKE 'empty'") == ["xx/bb", "yy/dd"]
    assert names("has_access_endpoints = 'true'") == ["yy/cc"]
    assert names("created_at >= 3 AND status IN ('active', 'deprecated')") == ["yy/cc"]

    def versions(text: str = "", *order: str) -> list[str]:
        return [row.version for row in registry.search_versions("a", "xx/aa", McpSearch(filter=text, order=order))[0]]

    assert versions("version > '1.0.0' AND version < '2.0.0'", "version") == ["1.2.0", "1.10.0", "2.0.0-a"]
    assert versions("version != '1.0.0+x'", "version DESC") == ["2.0.0-a", "1.10.0", "1.2.0", "1.0.0"]
    endpoints, total = registry.search_endpoints("a", McpSearch(filter="status = 'active' AND server_name = 'yy/cc'"))
    assert total == 1 and endpoints[0].resolved and endpoints[0].resolved.content.tools
    assert registry.search_endpoints("a", McpSearch(), name="xx/aa") == ([], 0)
    for bad in ("size = '1'", "version LIKE '1%'", "version > 'one'"):
        with pytest.raises(InvalidArgument):
            versions(bad)
    with pytest.raises(InvalidArgument):
        names("", "status")
    assert registry.search("b", McpSearch())[1] == registry.search_endpoints("b", McpSearch())[1] == 0
    with pytest.raises(NotFound):
        registry.set_tag("b", "xx/aa", "k", "v")


def test_what_is_refused(catalog: Catalog) -> None:
    registry = McpServers(catalog)
    for name in ("plain", "a/b/c", "x.y/tags", "-a/bb", "a/", "a" * 256 + "/bb"):
        with pytest.raises(InvalidArgument):
            registry.create("a", McpServer(name=name))
    for version in ("1", "1.0", "01.0.0", "1.0.0-", "latest", "1.0.99999999999", "1.0.0-" + "a" * 128):
        with pytest.raises(InvalidArgument):
            registry.create_version("a", content(version))
    for src in ("http://acme.example/i.png", "https://127.0.0.1/i.png", "https://localhost/i", "data:image/png,x"):
        with pytest.raises(InvalidArgument):
            registry.create_version("a", content("1.0.0", icons=[{"src": src}]))
    with pytest.raises(InvalidArgument):
        registry.create_version("a", content("1.0.0"), "deprecated")
    assert registry.search("a", McpSearch())[1] == 0  # nothing is left of it
    registry.create_version("a", content("1.0.0"), "active")
    with pytest.raises(InvalidArgument, match="still has an active version"):
        registry.delete("a", NAME)
    with pytest.raises(InvalidArgument, match="Invalid status transition"):
        registry.delete_version("a", NAME, "1.0.0")
    with pytest.raises(InvalidArgument, match="reserved"):
        registry.set_alias("a", NAME, "latest", "1.0.0")
    with pytest.raises(InvalidArgument, match="Exactly one"):
        registry.create_endpoint("a", McpEndpoint(endpoint_id="", server_name=NAME, url="https://x.example"))
