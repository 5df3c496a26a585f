"""Where artifacts live: URIs and the folder of a project. No I/O."""

from __future__ import annotations

import hashlib
import re
from urllib.parse import unquote, urlsplit

from twinlens.domain.errors import InvalidArgument

#: Scheme of URIs that clients resolve against the server they talk to.
PROXY_SCHEME = "mlflow-artifacts"
#: Path under which the server takes and gives proxied artifacts.
PROXY_ROUTE = "/mlflow-artifacts/artifacts"
_PLAIN = re.compile(r"[a-z0-9][a-z0-9._\-]{0,99}\Z")  # lower case only: some file systems fold case
_HASHED = re.compile(r"p-[0-9a-f]{32}\Z")


def project_folder(project_id: str) -> str:
    """The name of the folder that holds all proxied artifacts of a project.

    The id itself when it is a plain word, else a hash of it, so that two projects never share a folder.
    """
    if _PLAIN.match(project_id) and not _HASHED.match(project_id) and ".." not in project_id:
        return project_id
    return "p-" + hashlib.sha256(project_id.encode()).hexdigest()[:32]


def experiment_location(root: str | None, project_id: str, experiment_id: str) -> str:
    """The artifact location that a new experiment gets.

    Args:
        root: a direct root (``file:/srv/artifacts``, ``s3://bucket/prefix``), or None for artifacts through the server.
    """
    base = f"{PROXY_SCHEME}:" if root is None else direct_root(root)
    return f"{base.rstrip('/')}/{project_folder(project_id)}/{experiment_id}"


def direct_root(root: str) -> str:
    """A configured root as a URI without a trailing slash: a plain absolute path becomes ``file://``.

    Raises:
        InvalidArgument: a relative path.
    """
    if "://" in root or root.startswith("file:"):
        return root.rstrip("/")
    if not root.startswith("/"):
        raise InvalidArgument(f"artifact root '{root}' must be a URI or an absolute path")
    return "file://" + root.rstrip("/")


def proxy_path(uri: str) -> str | None:
    """The path of a proxied artifact URI relative to the server's artifact root; None for direct URIs.

    Understands ``mlflow-artifacts:/path``, ``mlflow-artifacts://host:port/path`` and the HTTP address behind both.
    """
    parts = urlsplit(uri)
    if parts.scheme == PROXY_SCHEME:
        return parts.path.strip("/")
    if parts.scheme in ("http", "https") and PROXY_ROUTE + "/" in parts.path:
        return unquote(parts.path.split(PROXY_ROUTE + "/", 1)[1]).strip("/")
    return None


def split_direct(uri: str) -> tuple[str, str, str]:
    """Scheme, authority and path without leading slash of a direct URI. A plain path is ``file``."""
    parts = urlsplit(uri)
    if not parts.scheme or len(parts.scheme) == 1:
        return "file", "", uri.lstrip("/")
    authority = "" if parts.scheme == "file" and parts.netloc == "localhost" else parts.netloc
    path = unquote(parts.path) if parts.scheme == "file" else parts.path
    return parts.scheme.lower(), authority.lower() if parts.scheme == "file" else authority, path.strip("/")


def inside(uri: str, root: str) -> str | None:
    """The rest of ``uri`` below ``root`` (empty for the root itself), or None when it lies elsewhere.

    Compares whole segments; ``..`` anywhere is elsewhere.
    """
    scheme, authority, path = split_direct(uri)
    root_scheme, root_authority, root_path = split_direct(root)
    if (scheme, authority) != (root_scheme, root_authority) or ".." in path.split("/"):
        return None
    if path == root_path or not root_path:
        return "" if path == root_path else path
    return path[len(root_path) + 1 :] if path.startswith(root_path + "/") else None


def is_traversal(uri: str) -> bool:
    """Whether a URI climbs (``..``) or hides a NUL or backslash, plainly or behind any layers of percent-encoding."""
    form = uri
    for _ in range(10):
        if ".." in re.split(r"[/\\]", form) or "\x00" in form:
            return True
        decoded = unquote(form)
        if decoded == form:
            return False
        form = decoded
    return True
