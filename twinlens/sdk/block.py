"""Reads the ``observability:`` block from a playbook, tolerantly: one warning for what it cannot use, never a failure.

The block may stand at the top level or under ``spec:``; ``backends`` may be a list, a scalar or a map, options may stand under
the backend's name or beside it, switches may be booleans or maps. ``${NAME}`` and ``${NAME:-default}`` in values are read
from the environment.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from twinlens.sdk.block_keys import BACKENDS, BLOCK, Key

if TYPE_CHECKING:
    from pathlib import Path

_VARIABLE = r"\$\{(\w+)(?::-([^}]*))?\}"
_TRUE = {"true", "yes", "on", "1"}
_FALSE = {"false", "no", "off", "0", ""}


class Remark(NamedTuple):
    """Something the reader of the block should tell its author. ``line`` counts from 1; 0 when unknown."""

    path: str
    message: str
    line: int = 0

    def __str__(self) -> str:
        where = f"line {self.line}, " if self.line else ""
        return f"{where}{self.path}: {self.message}"


class Written(NamedTuple):
    """One key as its author wrote it. ``path`` is dotted and starts below the block; ``line`` counts from 1."""

    path: str
    value: Any
    line: int


class Backend(NamedTuple):
    """One place that telemetry goes to, with its options as the block's author wrote them (types corrected)."""

    name: str
    options: dict[str, Any]


class Block:
    """The block, understood. (A plain class: loading ``dataclasses`` would cost 3 ms of every agent's start.)"""

    def __init__(
        self, *, enabled: bool = True, backends: list[Backend] | None = None, capture_content: bool = True,
        sample_rate: float = 1.0, mask: list[str] | None = None, source: str = "",
    ) -> None:  # fmt: skip
        self.enabled = enabled
        self.backends = backends or []
        self.capture_content = capture_content
        self.sample_rate = sample_rate
        self.mask = mask or []
        self.source = source  #: where it was read from
        self.found = False  #: a block was there at all
        self.service_name: str | None = None
        self.tags: list[str] = []
        self.spool: dict[str, Any] = {}
        self.variants: dict[str, dict[str, Any]] = {}  #: of an A/B test, with their configurations
        self.remarks: list[Remark] = []
        self.written: list[Written] = []  #: its keys, in the order of the file
        self.document: dict[str, Any] = {}  #: the whole file

    def backend(self, name: str) -> Backend | None:
        """The backend of that name, or None."""
        return next((b for b in self.backends if b.name == name), None)


class BlockError(ValueError):
    """The file is no YAML. The message names file, line and what was expected."""


def read(source: str | Path | Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None) -> Block:
    """Understand a playbook, a block, or the file that ``TWINLENS_CONFIG`` names.

    Args:
        source: a path, or a mapping that is or holds the block; None reads ``TWINLENS_CONFIG`` (absent: an empty block).
        environ: for ``${NAME}``; the process environment by default.

    Raises:
        BlockError: the file cannot be read or is not YAML.
    """
    env = os.environ if environ is None else environ
    if source is None:
        named = env.get("TWINLENS_CONFIG")
        if not named:
            return Block()
        source = named
    if isinstance(source, Mapping):
        return _Reader("", {}, env).understand(dict(source))
    from pathlib import Path  # here, because a block given as a mapping need not pay for them

    import yaml

    path = Path(source)
    try:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(path.read_text("utf-8"))
        node = loader.get_single_node()
        document = None if node is None else loader.construct_document(node)
    except (OSError, UnicodeDecodeError) as error:
        raise BlockError(f"{path}: cannot be read: {error}") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise BlockError(f"{path}{line}: {error.problem or 'not YAML'}; expected a YAML mapping") from error
    except yaml.YAMLError as error:
        raise BlockError(f"{path}: not YAML: {error}") from error
    if document is not None and not isinstance(document, dict):
        raise BlockError(
            f"{path}, line 1: expected a YAML mapping with an observability: block, found {type(document).__name__}"
        )
    return _Reader(str(path), dict(_lines(node)), env).understand(document or {})


def _lines(node: Any, path: str = "") -> Iterator[tuple[str, int]]:
    """(dotted path, line) of every key of a composed document."""
    if isinstance(getattr(node, "value", None), list) and node.id == "mapping":
        for key, value in node.value:
            here = f"{path}.{key.value}" if path else str(key.value)
            yield here, key.start_mark.line + 1
            yield from _lines(value, here)


class _Reader:
    def __init__(self, source: str, lines: dict[str, int], env: Mapping[str, str]) -> None:
        self.block = Block(source=source)
        self.lines = lines
        self.env = env
        self.root = ""

    def remark(self, path: str, message: str) -> None:
        full = f"{self.root}.{path}" if self.root and path else self.root or path
        self.block.remarks.append(Remark(full, message, self.lines.get(full, 0)))

    def understand(self, document: dict[str, Any]) -> Block:
        raw = self._locate(document)
        if raw is None:
            return self.block
        self.block.found = True
        if isinstance(raw, bool) or raw is None:
            self.block.enabled = bool(raw)
            return self.block
        if not isinstance(raw, dict):
            self.remark("", f"expected a mapping, found {type(raw).__name__}")
            return self.block
        self.block.written = list(self._written(raw))
        self.block.document = document
        values = {str(k): self._expand(v, str(k)) for k, v in raw.items()}
        beside = BACKENDS.get(str(values.get("backend")), {})  # the single-backend form keeps options beside the name
        for name in values:
            if name not in BLOCK and name not in beside:
                self.remark(name, _unknown(name, [*BLOCK]))
        self._general(values, document)
        self._backends(values)
        return self.block

    def _written(self, raw: dict[str, Any], above: str = "") -> Iterator[Written]:
        for key, value in raw.items():
            path = f"{above}{key}"
            yield Written(path, value, self.lines.get(f"{self.root}.{path}" if self.root else path, 0))
            if isinstance(value, dict) and not above and key in BACKENDS:
                yield from self._written(value, f"{path}.")

    def _locate(self, document: dict[str, Any]) -> Any:
        spec = document.get("spec")
        if "observability" in document:
            self.root = "observability"
            return document["observability"]
        if isinstance(spec, dict) and "observability" in spec:
            self.root = "spec.observability"
            return spec["observability"]
        if {"backends", "backend"} & set(document) or set(document) & set(BACKENDS):
            return document
        return None

    def _expand(self, value: Any, path: str) -> Any:
        if isinstance(value, dict):
            return {str(k): self._expand(v, f"{path}.{k}") for k, v in value.items()}
        if isinstance(value, list):
            return [self._expand(v, path) for v in value]
        if not isinstance(value, str) or "${" not in value:
            return value

        def replace(match: re.Match[str]) -> str:
            name = match.group(1)
            default: str | None = match.group(2)
            found: str | None = self.env.get(name, default)
            if found is None:
                self.remark(path, f"the environment variable {name} is not set")
                return ""
            return found

        return re.sub(_VARIABLE, replace, value)

    def _general(self, values: dict[str, Any], document: dict[str, Any]) -> None:
        block = self.block
        block.enabled = self._bool("enabled", values.get("enabled", True))
        tracing = values.get("tracing", True)
        if isinstance(tracing, dict):
            tracing = tracing.get("enabled", True)
        block.enabled = block.enabled and self._bool("tracing", tracing)
        block.capture_content = self._bool("capture_content", values.get("capture_content", True))
        block.tags = _tag_list(values.get("tags"))
        block.spool = self._map("spool", values.get("spool"))
        block.mask = self._texts("mask", values.get("mask"))
        metadata = document.get("metadata")
        name = values.get("service_name") or (metadata.get("name") if isinstance(metadata, dict) else None)
        block.service_name = str(name) if name else None
        block.variants = _variants(values)
        self._sampling(values)

    def _map(self, path: str, value: Any) -> dict[str, Any]:
        if value is not None and not isinstance(value, dict):
            self.remark(path, f"expected a map, found {value!r}; ignored")
        return value if isinstance(value, dict) else {}

    def _texts(self, path: str, value: Any) -> list[str]:
        """A list of texts; a single one stands for a list of one."""
        if value is None or isinstance(value, (dict, bool)):
            if value:
                self.remark(path, f"expected a list, found {type(value).__name__}; ignored")
            return []
        return [str(each) for each in value] if isinstance(value, list) else [str(value)]

    def _sampling(self, values: dict[str, Any]) -> None:
        nested = values.get("tracing")
        sampling = values.get("sampling", nested.get("sampling") if isinstance(nested, dict) else None)
        if isinstance(sampling, dict):
            sampling = sampling.get("rate", 1.0) if self._bool("sampling", sampling.get("enabled", True)) else 1.0
        if sampling is None or isinstance(sampling, bool):
            return
        try:
            rate = float(sampling)
        except (TypeError, ValueError):
            self.remark("sampling", f"expected a number from 0 to 1, found {sampling!r}; everything is kept")
            return
        if not 0 <= rate <= 1:
            self.remark("sampling", f"expected a number from 0 to 1, found {rate}; everything is kept")
            return
        self.block.sample_rate = rate

    def _backends(self, values: dict[str, Any]) -> None:
        named: Any = values.get("backends", values.get("backend"))
        if isinstance(named, str):
            named = [n.strip() for n in named.split(",") if n.strip()]
        elif isinstance(named, dict):
            named = list[Any]({k: v} for k, v in named.items())
        elif named is None:
            named = [n for n in BACKENDS if n in values and values[n] is not False]
        elif not isinstance(named, list):
            self.remark("backends", f"expected a list of names, found {type(named).__name__}")
            named = []
        for switch in ("mlflow", "langfuse"):
            if self._bool(f"enable_{switch}", values.get(f"enable_{switch}", False)) and switch not in named:
                named.append(switch)
        for entry in named:
            self._add(entry, values)
        for name in BACKENDS:
            if name in values and not self.block.backend(name):
                self.remark(name, "has options but is not listed in backends, so nothing is sent there")

    def _add(self, entry: Any, values: dict[str, Any]) -> None:
        own: Any = {}
        if isinstance(entry, dict):
            listed = entry.get("name") or entry.get("type")
            if listed:
                own = {k: v for k, v in entry.items() if k not in ("name", "type")}
            elif len(entry) == 1:
                listed, own = next(iter(entry.items()))
            entry = listed
        name = str(entry).lower().strip()
        if own is False:
            return
        if name not in BACKENDS:
            self.remark("backends", _unknown(name, [*BACKENDS], "backend"))
            return
        if self.block.backend(name):
            return
        beside: dict[str, Any] = {}
        if values.get("backend") == name:  # the single-backend form keeps its options beside the name or under config
            config = values.get("config")
            beside = {k: v for k, v in values.items() if k in BACKENDS[name]} | (
                config if isinstance(config, dict) else {}
            )
        under = values.get(name)
        if under is not None and not isinstance(under, (dict, bool)):
            self.remark(name, f"expected a map of options, found {under!r}; ignored")
        merged = beside | (under if isinstance(under, dict) else {}) | (own if isinstance(own, dict) else {})
        self.block.backends.append(Backend(name, self._options(name, merged)))

    def _options(self, backend: str, raw: dict[str, Any]) -> dict[str, Any]:
        known, result = BACKENDS[backend], {}
        for name, value in raw.items():
            key = known.get(name)
            if key is None:
                self.remark(f"{backend}.{name}", _unknown(name, [*known]))
                continue
            if value is None:
                continue
            result[name] = self._typed(f"{backend}.{name}", key, value)
        return result

    def _typed(self, path: str, key: Key, value: Any) -> Any:
        if key.kind == "bool":
            return self._bool(path, value)
        if key.kind == "str" and not isinstance(value, str):
            if isinstance(value, (dict, list)):
                self.remark(path, f"expected text, found {type(value).__name__}")
                return ""
            return str(value)
        if key.kind == "float":
            try:
                return float(value)
            except (TypeError, ValueError):
                self.remark(path, f"expected a number, found {value!r}")
                return 1.0
        if key.kind in ("map", "list") and not isinstance(value, dict if key.kind == "map" else list):
            self.remark(path, f"expected a {key.kind}, found {type(value).__name__}")
            return {} if key.kind == "map" else []
        return value

    def _bool(self, path: str, value: Any) -> bool:
        if isinstance(value, bool):
            return value
        text = str(value).strip().lower()
        if text in _TRUE:
            return True
        if text not in _FALSE:
            self.remark(path, f"expected true or false, found {value!r}; taken as false")
        return False


def _unknown(name: str, known: list[str], what: str = "key") -> str:
    import difflib  # here, because a block without mistakes need not pay for it

    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"unknown {what} {name!r}" + (
        f", did you mean {near[0]!r}?" if near else f"; known: {', '.join(sorted(known))}"
    )


def _variants(values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """``ab_testing: {variants: [{name, config}]}``, in the block itself or among the langfuse options."""
    langfuse = values.get("langfuse")
    section = values.get("ab_testing") or (langfuse.get("ab_testing") if isinstance(langfuse, dict) else None)
    if not isinstance(section, dict) or section.get("enabled") is False:
        return {}
    rows: Any = section.get("variants")
    named = [row if isinstance(row, dict) else {"name": row} for row in rows] if isinstance(rows, list) else []
    return {
        str(row["name"]): row["config"] if isinstance(row.get("config"), dict) else {}
        for row in named
        if row.get("name")
    }


def _tag_list(tags: Any) -> list[str]:
    if isinstance(tags, dict):
        return [f"{k}:{v}" for k, v in tags.items()]
    if isinstance(tags, list):
        return [str(t) for t in tags]
    return [str(tags)] if tags else []
