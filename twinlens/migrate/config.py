"""Rewrites the ``observability:`` block of a playbook from one backend to another. Only lines of the block change."""

from __future__ import annotations

import re
from typing import Any, Literal

import yaml

from twinlens.migrate.config_edit import edit_block
from twinlens.migrate.errors import MigrationError

Backend = Literal["mlflow", "langfuse", "twinlens"]
_BACKENDS = ("mlflow", "langfuse", "twinlens")
#: Where each backend listens when the block does not say.
_ADDRESS = {"mlflow": "http://localhost:5000", "langfuse": "http://localhost:3000", "twinlens": "http://localhost:5001"}


def rewrite(text: str, to: Backend) -> str:
    """The text with its block sending to ``to``.

    What other backends than the known three are named stays. Everything outside the block stays byte for byte, comments
    too, and inside it every line that need not change. Only a block that is no plain block mapping is written anew.

    Raises:
        MigrationError: not YAML, or no block.
    """
    try:
        whole = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise MigrationError(f"the file is not YAML: {error}") from error
    found = re.search(r"^([ ]*)observability:[^\n]*\n?((?:\1[ ]+[^\n]*\n?|[ ]*\n)*)", text, re.MULTILINE)
    if found is None or not isinstance(whole, dict):
        raise MigrationError("the file has no observability: block")
    indent = found[1]
    block: Any = _block(whole)
    block = dict(block) if isinstance(block, dict) else {"enabled": bool(block)}
    listed: Any = block.pop("backends", None) or block.pop("backend", None) or [b for b in _BACKENDS if b in block]
    names = list(listed) if isinstance(listed, list | dict) else [listed]
    kept: list[Any] = [name for name in names if name not in _BACKENDS]
    options = _options(block, to)
    for name in _BACKENDS:
        block.pop(name, None)
    block = {"enabled": block.pop("enabled", True), "backends": [to, *kept], to: options, **block}
    edited = edit_block(text, to, [to, *kept], options)
    if edited is not None and _same(edited, block):
        return edited
    dumped = yaml.safe_dump({"observability": block}, sort_keys=False, allow_unicode=True)
    lines = "".join(f"{indent}{line}\n" if line else "\n" for line in dumped.splitlines())
    tail = re.search(r"\n(?:[ ]*\n)*\Z", found[2])
    return text[: found.start()] + lines + (tail[0][1:] if tail else "") + text[found.end() :]


def _same(text: str, block: dict[str, Any]) -> bool:
    """Whether a text has this block."""
    try:
        found: Any = _block(yaml.safe_load(text))
    except (yaml.YAMLError, MigrationError):
        return False
    return isinstance(found, dict) and {"enabled": True} | found == block


def _block(whole: dict[str, Any]) -> Any:
    """The block at the top or under ``spec``."""
    spec: Any = whole.get("spec")
    if "observability" in whole:
        return whole["observability"]
    if isinstance(spec, dict) and "observability" in spec:
        return spec["observability"]
    raise MigrationError("the file has no observability: block at the top or under spec:")


def _options(block: dict[str, Any], to: Backend) -> dict[str, Any]:
    """Options of the new backend, from what the old ones said: names carry over, addresses and keys are new."""
    already: Any = block.get(to)
    if isinstance(already, dict) and already:
        return dict(already)
    said: dict[str, Any] = {}
    for name in _BACKENDS:
        options: Any = block.get(name)
        if isinstance(options, dict):
            said |= options
    label = said.get("experiment_name") or said.get("project")
    logs = {key: said[key] for key in ("log_artifacts", "log_metrics", "log_params") if key in said}
    if to == "mlflow":
        return {"tracking_uri": _ADDRESS[to], **({"experiment_name": label} if label else {}), **logs}
    keys = {"public_key": "${LANGFUSE_PUBLIC_KEY}", "secret_key": "${LANGFUSE_SECRET_KEY}"}
    if to == "langfuse":
        return {"host": _ADDRESS[to], **keys, **({"project": label} if label else {})}
    return {"url": _ADDRESS[to], **({"experiment_name": label} if label else {}), **logs}
