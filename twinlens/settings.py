"""Every setting, once: name, type, default, meaning. Values come from, later wins:

defaults < configuration file (TOML or YAML) < ``LANGFUSE_INIT_*`` < ``TWINLENS_*`` variables < command line.

Each value remembers where it came from (``Settings.origins``), and ``twinlens config show`` prints it. An unknown key is
an error that names the nearest known one, because a misspelt setting that is ignored costs hours.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path
from types import MappingProxyType
from typing import Any

PREFIX = "TWINLENS_"
_CLIENTS = frozenset({
    "capture", "config", "key", "project", "public_key", "reproduces", "run", "secret_key", "skip", "spool", "url",
})  # fmt: skip
MIB = 1 << 20
_HERE = Path("twinlens-data")


class SettingsError(ValueError):
    """A setting cannot be understood. The text names the key, its source and the remedy."""


def _setting(default: Any, help: str, *, secret: bool = False, env: str | None = None) -> Any:
    return field(default=default, metadata={"help": help, "secret": secret, "env": env})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is in force. Sizes are bytes, times are seconds unless the name says otherwise."""

    data: Path = _setting(_HERE, "Folder that holds everything: catalog, telemetry, artifacts.")  # noqa: RUF009
    host: str = _setting("127.0.0.1", "Address to listen on. Other than loopback needs a user or key (secured mode).")
    port: tuple[int, ...] = _setting((5001,), "Ports to listen on; give it several times for several ports.")
    grpc_port: int | None = _setting(None, "Port for OTLP over gRPC (usually 4317); off when not set.")
    base_url: str | None = _setting(
        None, "Public address of this server, for links; derived from the request when not set."
    )
    mode: str = _setting(
        "auto", "auto, open or secured. auto: secured as soon as the host is not loopback or a user exists."
    )
    allowed_hosts: tuple[str, ...] = _setting((), "Host names besides loopback that open mode answers to.")
    allowed_origins: tuple[str, ...] = _setting(
        (), "Web origins (https://app.example) that may call the server in open mode."
    )

    catalog_url: str | None = _setting(
        None, "SQLAlchemy URL of the catalog; default: SQLite file in the data folder.", secret=True
    )
    artifact_root: str | None = _setting(
        None,
        "Artifact location given to new experiments: file: or s3: URI for direct access; default: through this server.",
    )
    artifact_read_roots: tuple[str, ...] = _setting(
        (), "Further direct artifact locations (file: or s3: URIs) that every project may read through the server."
    )
    artifact_store: str | None = _setting(None, "Where proxied artifacts live; default: folder in the data folder.")
    telemetry_memory: str = _setting("512MB", "Memory limit of the telemetry engine.")
    telemetry_threads: int = _setting(2, "Threads of the telemetry engine.")

    queue_rows: int = _setting(50_000, "Rows that may wait to be committed before requests are answered 429.")
    queue_bytes: int = _setting(256 * MIB, "Bytes that may wait to be committed before requests are answered 429.")
    max_artifact: int | None = _setting(None, "Largest artifact upload; no limit when not set.")
    max_body: int = _setting(
        64 * MIB, "Largest request body after decompression. Artifact uploads stream, see max_artifact."
    )
    max_nesting: int = _setting(100, "Deepest nesting of JSON that is accepted.")
    max_attributes: int = _setting(1_000, "Most attributes of one span.")
    mask_pattern: str | None = _setting(
        None, "Regular expression (several: one per line) of text that is replaced before anything is stored."
    )
    mask_replacement: str = _setting("<REDACTED>", "What masked text is replaced by.")
    judge_base_url: str | None = _setting(
        None, "OpenAI-compatible server that runs evaluators' models, for example https://api.openai.com/v1."
    )
    judge_api_key: str | None = _setting(None, "Its key.", secret=True)
    judge_model: str | None = _setting(None, "Model of evaluators that name none.")
    gateway_addresses: str = _setting(
        "any", "Model providers that may be called: any (also private networks and this machine), or public."
    )
    webhook_addresses: str = _setting(
        "public", "What webhooks may call: public (HTTPS on the internet only), or any (also HTTP, private networks)."
    )
    export_folder: str | None = _setting(
        None, "Folder below which scheduled exports may write files; without it they go to object stores only."
    )
    export_addresses: str = _setting(
        "public", "Endpoints that scheduled exports may name: public (HTTPS on the internet only), or any."
    )
    retention_drops: str = _setting(
        "traces", "What goes past a project's retention: traces, or only payloads (figures and previews stay)."
    )
    retention_interval: float = _setting(3_600.0, "Seconds between two looks for what is past its project's retention.")
    shutdown_timeout: float = _setting(10.0, "Seconds that running requests get to finish at shutdown.")
    secret: str | None = _setting(
        None,
        "Key for hashing API keys and sessions and for sealing stored secrets; default: a random one in the data folder.",
        secret=True,
    )
    admin_api_key: str | None = _setting(
        None, "Key (Bearer) that manages every organization through the API.", secret=True, env="ADMIN_API_KEY"
    )
    log_level: str = _setting("warning", "debug, info, warning or error; from info on each request is logged.")

    init_org_id: str | None = _setting(None, "Organization to create at start.", env="LANGFUSE_INIT_ORG_ID")
    init_org_name: str | None = _setting(None, "Its name.", env="LANGFUSE_INIT_ORG_NAME")
    init_project_id: str | None = _setting(None, "Project to create at start.", env="LANGFUSE_INIT_PROJECT_ID")
    init_project_name: str | None = _setting(None, "Its name.", env="LANGFUSE_INIT_PROJECT_NAME")
    init_project_retention: int | None = _setting(None, "Its retention in days.", env="LANGFUSE_INIT_PROJECT_RETENTION")
    init_project_public_key: str | None = _setting(None, "Its public key.", env="LANGFUSE_INIT_PROJECT_PUBLIC_KEY")
    init_project_secret_key: str | None = _setting(
        None, "Its secret key.", secret=True, env="LANGFUSE_INIT_PROJECT_SECRET_KEY"
    )
    init_user_email: str | None = _setting(None, "User to create at start.", env="LANGFUSE_INIT_USER_EMAIL")
    init_user_name: str | None = _setting(None, "Its name.", env="LANGFUSE_INIT_USER_NAME")
    init_user_password: str | None = _setting(None, "Its password.", secret=True, env="LANGFUSE_INIT_USER_PASSWORD")

    origins: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), compare=False, repr=False)

    @property
    def local_url(self) -> str:
        """The address a program on this machine uses, without a trailing slash."""
        if self.base_url:
            return self.base_url.rstrip("/")
        host = "localhost" if self.host in ("0.0.0.0", "::", "127.0.0.1", "::1", "") else self.host  # noqa: S104
        return f"http://{host}:{self.port[0]}"

    @property
    def loopback_only(self) -> bool:
        """True when only programs of this machine can connect."""
        return is_loopback(self.host)


@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine and nothing else. Names are not resolved."""
    name = host.strip().rstrip(".").lower()
    if name.startswith("[") and name.endswith("]"):
        name = name[1:-1]
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


#: The settings by name, without ``origins``.
FIELDS = {f.name: f for f in fields(Settings) if f.name != "origins"}


def env_name(name: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + name.upper()


def load(
    file: str | Path | None = None, env: Mapping[str, str] | None = None, overrides: Mapping[str, Any] | None = None
) -> Settings:
    """Collect the settings from all sources.

    Args:
        file: TOML or YAML file; without it ``TWINLENS_CONFIG`` names one.
        env: the environment (``os.environ`` when not given).
        overrides: values from the command line; ``None`` means "not given".

    Raises:
        SettingsError: unknown key, wrong type, unreadable file.
    """
    env = os.environ if env is None else env
    values: dict[str, Any] = {}
    origins = dict.fromkeys(FIELDS, "default")

    def take(name: str, raw: Any, origin: str) -> None:
        values[name] = _convert(name, raw, origin)
        origins[name] = origin

    named = env.get(PREFIX + "CONFIG") or None
    file = file or named
    if file:
        found = _read_file(Path(file))
        if file == named and ("observability" in found or "spec" in found):  # an agent's playbook, which the SDK reads
            found = {}
        for key, raw in found.items():
            take(_known(str(key).replace("-", "_").lower(), f"{file}: {key}"), raw, str(file))
    for name, spec in FIELDS.items():
        alias = spec.metadata["env"]
        if alias and env.get(alias):
            take(name, env[alias], alias)
    for key, raw in env.items():
        name = key[len(PREFIX) :].lower()
        if key.startswith(PREFIX) and (name in FIELDS or not _of_clients(name)):
            take(_known(name, key), raw, key)
    for key, raw in (overrides or {}).items():
        if raw is not None:
            take(_known(key, key), raw, "command line")
    settings = Settings(**values, origins=MappingProxyType(origins))
    _check(settings)
    return settings


def _of_clients(name: str) -> bool:
    """Whether a variable is for the SDK and the commands that ask a server; a shell may hold them beside those of the server."""
    return name in _CLIENTS or name.startswith("sdk_")


def _known(name: str, shown: str) -> str:
    if name in FIELDS:
        return name
    near = difflib.get_close_matches(name, FIELDS, n=1, cutoff=0.5)
    hint = (
        f"; did you mean {near[0]!r} ({env_name(near[0])})?" if near else "; `twinlens config show` lists all settings"
    )
    raise SettingsError(f"unknown setting {shown!r}{hint}")


def _read_file(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text("utf-8")
        if path.suffix in (".yaml", ".yml"):
            import yaml

            found = yaml.safe_load(text) or {}
        else:
            import tomllib

            found = tomllib.loads(text)
    except OSError as error:
        raise SettingsError(f"cannot read the configuration file {path}: {error.strerror}") from error
    except Exception as error:  # tomllib and yaml each have their own
        raise SettingsError(f"cannot read the configuration file {path}: {error}") from error
    if not isinstance(found, dict):
        raise SettingsError(f"the configuration file {path} must be a table of settings")
    table: dict[str, Any] = found
    return table


def _convert(name: str, raw: Any, origin: str) -> Any:
    """Bring a raw value to the field's type."""
    kind = str(FIELDS[name].type)
    try:
        if kind.startswith("tuple"):
            items = raw.replace(",", " ").split() if isinstance(raw, str) else raw
            items = items if isinstance(items, (list, tuple)) else [items]
            return tuple(int(i) if "int" in kind else str(i) for i in items)
        if raw in (None, "") and "None" in kind:
            return None
        if kind.startswith("int"):
            return _whole(raw)
        if kind == "float":
            return float(str(raw))
        if kind == "Path":
            return Path(str(raw)).expanduser()
        if isinstance(raw, (str, int, float, Path)) and not isinstance(raw, bool):
            return str(raw)
    except (TypeError, ValueError):
        pass
    shown = "…" if FIELDS[name].metadata["secret"] else repr(raw)
    raise SettingsError(f"{name} from {origin}: {shown} is not a {kind.replace(' | None', '')}")


def _whole(raw: Any) -> int:
    if isinstance(raw, bool) or (isinstance(raw, float) and not raw.is_integer()):
        raise ValueError(raw)
    if isinstance(raw, str):
        text = raw.strip().upper().removesuffix("IB").removesuffix("B")
        for suffix, factor in (("K", 1 << 10), ("M", 1 << 20), ("G", 1 << 30)):
            if text.endswith(suffix):
                return int(text[:-1]) * factor
        return int(text.replace("_", ""))
    return int(raw)


def _check(settings: Settings) -> None:
    if settings.mode not in ("auto", "open", "secured"):
        raise SettingsError(f"mode from {settings.origins['mode']}: must be auto, open or secured")
    if settings.retention_drops not in ("traces", "payloads"):
        raise SettingsError(f"retention_drops from {settings.origins['retention_drops']}: must be traces or payloads")
    if settings.gateway_addresses not in ("public", "any"):
        raise SettingsError(f"gateway_addresses from {settings.origins['gateway_addresses']}: must be public or any")
    if settings.webhook_addresses not in ("public", "any"):
        raise SettingsError(f"webhook_addresses from {settings.origins['webhook_addresses']}: must be public or any")
    if settings.export_addresses not in ("public", "any"):
        raise SettingsError(f"export_addresses from {settings.origins['export_addresses']}: must be public or any")
    if settings.retention_interval <= 0:
        raise SettingsError("retention_interval must be more than 0 seconds")
    if settings.log_level not in ("debug", "info", "warning", "error"):
        raise SettingsError(f"log_level from {settings.origins['log_level']}: must be debug, info, warning or error")
    for port in (*settings.port, settings.grpc_port or 0):
        if not 0 <= port <= 65_535:
            raise SettingsError(f"port {port} is not between 0 and 65535")
    if not settings.port:
        raise SettingsError("at least one port is needed")
    if bool(settings.init_project_public_key) != bool(settings.init_project_secret_key):
        raise SettingsError("init_project_public_key and init_project_secret_key go together: set both or none")


def describe(settings: Settings) -> list[tuple[str, str, str, str]]:
    """Rows of (name, value, origin, help) for ``twinlens config show``; secrets are masked."""
    rows: list[tuple[str, str, str, str]] = []
    for name, spec in FIELDS.items():
        value = getattr(settings, name)
        if isinstance(value, tuple):
            shown = ", ".join(map(str, value))  # pyright: ignore[reportUnknownVariableType]
        elif value is None:
            shown = ""
        else:
            shown = "(set, hidden)" if spec.metadata["secret"] else str(value)
        rows.append((name, shown, settings.origins.get(name, "default"), spec.metadata["help"]))
    return rows
