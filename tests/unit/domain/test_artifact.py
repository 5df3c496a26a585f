"""Artifact URIs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinlens.domain import artifact


@given(st.text(), st.text())
def test_projects_never_share_a_folder(one: str, other: str) -> None:
    folders = artifact.project_folder(one), artifact.project_folder(other)
    assert (folders[0] == folders[1]) == (one == other)
    assert "/" not in folders[0]
    assert folders[0] not in ("", ".", "..")


def test_a_project_cannot_take_the_hashed_name_of_another() -> None:
    hashed = artifact.project_folder("a/b")
    assert artifact.project_folder(hashed) != hashed


@pytest.mark.parametrize(("uri", "path"), [
    ("mlflow-artifacts:/p/0/r", "p/0/r"),
    ("mlflow-artifacts://host:5000/p/0/", "p/0"),
    ("http://h:1/api/2.0/mlflow-artifacts/artifacts/p/x", "p/x"),
    ("https://h/prefix/api/2.0/mlflow-artifacts/artifacts/p/x", "p/x"),
    ("s3://b/p", None), ("file:///x", None), ("/x", None), ("http://h/x", None),
])  # fmt: skip
def test_proxy_path(uri: str, path: str | None) -> None:
    assert artifact.proxy_path(uri) == path


@pytest.mark.parametrize(("uri", "root", "rest"), [
    ("s3://b/a/x", "s3://b/a", "x"), ("s3://b/a", "s3://b/a", ""), ("s3://b/ab", "s3://b/a", None),
    ("s3://c/a/x", "s3://b/a", None), ("file:///r/x/y", "file:///r", "x/y"), ("/r/x", "file:///r", "x"),
    ("file://localhost/r/x", "file:///r", "x"), ("file:///r/../etc", "file:///r", None), ("file:///r/%2e%2e/etc", "file:///r", None),
    ("s3://b/x", "s3://b", "x"), ("gs://b/a/x", "s3://b/a", None),
])  # fmt: skip
def test_inside(uri: str, root: str, rest: str | None) -> None:
    assert artifact.inside(uri, root) == rest


@pytest.mark.parametrize(("uri", "bad"), [
    ("s3://b/a", False), ("s3://b/a..b", False), ("s3://b/../a", True), ("s3://b/%2e%2e/a", True), ("s3://b/%252e%252e/a", True),
    ("s3://b/a%00", True), ("a\\..\\b", True), ("runs:/x/100%", False),
])  # fmt: skip
def test_traversal(uri: str, bad: bool) -> None:
    assert artifact.is_traversal(uri) is bad


def test_locations() -> None:
    assert artifact.experiment_location(None, "default", "7") == "mlflow-artifacts:/default/7"
    assert artifact.experiment_location("s3://b/root/", "default", "7") == "s3://b/root/default/7"
    assert artifact.experiment_location("/srv/a", "default", "7") == "file:///srv/a/default/7"
