"""Settings: sources, precedence, origins, mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from twinlens.settings import FIELDS, Settings, SettingsError, describe, is_loopback, load


def test_defaults() -> None:
    settings = load(env={})
    assert settings == Settings()
    assert set(settings.origins.values()) == {"default"}
    assert settings.local_url == "http://localhost:5001"


def test_later_sources_win_and_are_named(tmp_path: Path) -> None:
    file = tmp_path / "twinlens.toml"
    file.write_text('host = "127.0.0.2"\nport = [5001, 3000]\nlog-level = "info"\nmax_body = "8 MiB"\n')
    env = {"TWINLENS_CONFIG": str(file), "TWINLENS_LOG_LEVEL": "error", "TWINLENS_PORT": "7000 7001", "PATH": "/bin"}
    settings = load(env=env, overrides={"port": [8000], "host": None})
    assert (settings.host, settings.origins["host"]) == ("127.0.0.2", str(file))
    assert (settings.log_level, settings.origins["log_level"]) == ("error", "TWINLENS_LOG_LEVEL")
    assert (settings.port, settings.origins["port"]) == ((8000,), "command line")
    assert settings.max_body == 8 << 20


def test_yaml_file(tmp_path: Path) -> None:
    file = tmp_path / "twinlens.yaml"
    file.write_text("port: [5001, 3000]\ndata: ~/somewhere\n")
    settings = load(file, env={})
    assert settings.port == (5001, 3000)
    assert settings.data == Path.home() / "somewhere"


def test_langfuse_variables_and_their_own_names() -> None:
    env = {"LANGFUSE_INIT_PROJECT_ID": "shop", "LANGFUSE_INIT_ORG_ID": "acme", "TWINLENS_INIT_ORG_ID": "other"}
    settings = load(env=env)
    assert (settings.init_project_id, settings.origins["init_project_id"]) == ("shop", "LANGFUSE_INIT_PROJECT_ID")
    assert settings.init_org_id == "other"


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"TWINLENS_PROT": "1"}, ["TWINLENS_PROT", "'port'"]),
        ({"TWINLENS_ALOWED_HOSTS": "x"}, ["allowed_hosts"]),
        ({"TWINLENS_XYZZY": "1"}, ["config show"]),
        ({"TWINLENS_PORT": "abc"}, ["port", "TWINLENS_PORT", "'abc'"]),
        ({"TWINLENS_PORT": "70000"}, ["70000", "65535"]),
        ({"TWINLENS_MODE": "closed"}, ["auto, open or secured"]),
        ({"TWINLENS_MAX_BODY": "many"}, ["max_body"]),
        ({"LANGFUSE_INIT_PROJECT_PUBLIC_KEY": "pk"}, ["go together"]),
        ({"TWINLENS_CONFIG": "/does/not/exist.toml"}, ["/does/not/exist.toml"]),
    ],
)
def test_mistakes_are_told(env: dict[str, str], words: list[str]) -> None:
    with pytest.raises(SettingsError) as caught:
        load(env=env)
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize("text", ["= 1", "[1, 2", "prot = 1"])
def test_broken_files_are_told(tmp_path: Path, text: str) -> None:
    file = tmp_path / "broken.toml"
    file.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load(file, env={})
    assert "broken.toml" in str(caught.value)


def test_secrets_are_not_shown() -> None:
    secret = {"TWINLENS_SECRET": "hush", "TWINLENS_CATALOG_URL": "postgresql+psycopg://u:hush@h/d"}
    rows = describe(load(env=secret))
    assert {row[0] for row in rows} == set(FIELDS)
    assert "hush" not in str(rows)
    with pytest.raises(SettingsError) as caught:
        load(env={"TWINLENS_SECRET": "hush", "TWINLENS_INIT_USER_PASSWORD": "hush", "TWINLENS_PORT": "x"})
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True), ("LOCALHOST.", True), ("a.localhost", True), ("127.0.0.1", True), ("127.9.9.9", True),
        ("::1", True), ("[::1]", True), ("0.0.0.0", False), ("::", False), ("192.168.0.1", False), ("", False),
        ("localhost.evil.example", False), ("127.0.0.1.evil.example", False), ("evil.example", False),
    ],
)  # fmt: skip
def test_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_variables_of_agents_are_no_settings(tmp_path: Path) -> None:
    """One shell may hold what the SDK reads and start the server; a mistake in a setting is still told."""
    playbook = tmp_path / "playbook.yaml"
    playbook.write_text("name: developer\nobservability: {backends: [twinlens]}\n")
    names = ("URL", "PUBLIC_KEY", "SPOOL", "CAPTURE", "KEY", "PROJECT", "SKIP")
    env = {f"TWINLENS_{name}": "x" for name in names} | {"TWINLENS_CONFIG": str(playbook), "TWINLENS_PORT": "5005"}
    assert load(env=env).port == load(env={"TWINLENS_PORT": "5005"}).port
    with pytest.raises(SettingsError, match="TWINLENS_POTR"):
        load(env=env | {"TWINLENS_POTR": "1"})
    with pytest.raises(SettingsError, match="name"):
        load(playbook)
