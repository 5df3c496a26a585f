"""Rewrites the ``observability:`` block of a playbook from one backend to another. Only lines of the block change."""

from __future__ import annotations

import re
from typing import Any, Literal

import yaml

from twinlens.migrate.config_edit import edit_block
from twinlens.migrate.errors import MigrationError
from twinlens.sdk.block_keys import BACKENDS

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
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "the file"
        raise MigrationError(f"{where}: {error.problem or 'not YAML'}; expected a YAML mapping") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise MigrationError(f"the file is not YAML: {error}") from error
    found = re.search(r"^([ ]*)observability:[^\n]*\n?((?:\1[ ]+[^\n]*\n?|[ ]*\n)*)", text, re.MULTILINE)
    if found is None or not isinstance(whole, dict):
        raise MigrationError("the file has no observability: block")
    indent = found[1]
    block: Any = _block(whole)
    block = dict(block) if isinstance(block, dict) else {"enabled": bool(block)}
    kept = _gathered(block)
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


def _gathered(block: dict[str, Any]) -> list[Any]:
    """Take the list of backends out of a block, and put the options of the known three, which may stand in the list or beside the
    name of a single backend, under their names. What is left of the list."""
    one: Any = block.get("backend")
    if isinstance(one, str) and one in _BACKENDS and not block.get("backends"):
        config = block.pop("config", None)
        beside = {name: block.pop(name) for name in list(block) if name in BACKENDS[one]}
        under = block.get(one)
        block[one] = beside | (config if isinstance(config, dict) else {}) | (under if isinstance(under, dict) else {})
    listed: Any = block.pop("backends", None) or one or [b for b in _BACKENDS if b in block]
    block.pop("backend", None)
    if isinstance(listed, dict):
        listed = [{name: options} if options else name for name, options in listed.items()]
    kept: list[Any] = []
    for entry in listed if isinstance(listed, list) else [listed]:
        name, own = _entry(entry)
        if name not in _BACKENDS:
            kept.append(entry)
        elif own:
            block[name] = (block[name] if isinstance(block.get(name), dict) else {}) | own
    return kept


def _entry(entry: Any) -> tuple[Any, dict[str, Any]]:
    """Name and options of one entry of the list: a name, ``{name: options}`` or ``{name: …, option: …}``."""
    if not isinstance(entry, dict):
        return entry, {}
    found: dict[str, Any] = dict(entry)
    name = found.pop("name", None) or found.pop("type", None)
    if name is None and len(found) == 1:
        name, found = next(iter(found.items()))
    return name, found if isinstance(found, dict) else {}  # pyright: ignore[reportUnnecessaryIsInstance]


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
