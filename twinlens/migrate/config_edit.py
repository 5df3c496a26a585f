"""Changes lines of an ``observability:`` block and leaves the others, with their comments, as they are.

PyYAML tells at which line and column each key and value stands; the text between is only cut and joined.
"""

from __future__ import annotations

from typing import Any

import yaml

_KNOWN = ("mlflow", "langfuse", "twinlens")
#: Options that mean the same in each backend: a comment beside one goes along.
_LABELS = frozenset({"experiment_name", "project"})


def edit_block(text: str, to: str, backends: list[Any], options: dict[str, Any]) -> str | None:
    """The text with other backends and options, or None where the block is not a block mapping.

    Args:
        backends: what ``backends`` is to say.
        options: of ``to``; they take the place of those of the other known backends.
    """
    block = _find(yaml.compose(text, Loader=yaml.SafeLoader))
    if not isinstance(block, yaml.MappingNode) or block.flow_style or not block.value:
        return None
    lines = text.splitlines(keepends=True)
    indent = " " * block.start_mark.column
    entries = {key.value: (key, value) for key, value in block.value}
    listed = entries.get("backends") or entries.get("backend")
    cuts: list[tuple[int, int, list[str]]] = []  #: first line, line behind the last, what is there instead
    if listed is None:
        first = _last(entries["enabled"][1]) + 1 if "enabled" in entries else block.start_mark.line
        cuts.append((first, first, [f"{indent}backends: {_flow(backends)}\n"]))
    else:
        cuts.append((*_lines(*listed), _backends(lines, indent, *listed, backends)))
    old = [name for name in _KNOWN if name in entries and name != to]
    if to in entries and isinstance(entries[to][1], yaml.MappingNode) and entries[to][1].value:
        new: list[str] = []
    else:
        new = _options(lines, indent, to, options, [entries[name] for name in old])
        old += [to] if to in entries else []
    old.sort(key=lambda name: entries[name][0].start_mark.line)
    for name in old:
        cuts.append((*_lines(*entries[name]), new))
        new = []
    if new:
        behind = cuts[0][1]
        cuts.append((behind, behind, new))
    for first, end, instead in sorted(cuts, key=lambda cut: cut[:2], reverse=True):
        lines[first:end] = instead
    return "".join(lines)


def _find(node: Any) -> Any:
    """The value of ``observability`` at the top or under ``spec``."""
    for name in ("observability", "spec"):
        for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
            if key.value == name:
                return value if name == "observability" else _find(value)
    return None


def _last(node: yaml.Node) -> int:
    """The last line of a value; the mark of a block collection is behind the comments that follow it."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last: Any = node.value[-1]
        return _last(last[1] if isinstance(last, tuple) else last)
    end = node.end_mark
    return end.line - 1 if end.column == 0 and end.line > node.start_mark.line else end.line


def _lines(key: yaml.Node, value: yaml.Node) -> tuple[int, int]:
    return key.start_mark.line, _last(value) + 1


def _comment(lines: list[str], node: yaml.Node) -> str:
    """What stands behind a value on its last line, with the blanks before it."""
    rest = lines[_last(node)][node.end_mark.column :].rstrip("\n") if _last(node) == node.end_mark.line else ""
    return rest if rest.lstrip().startswith("#") else ""


def _flow(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10**6).splitlines()[0]


def _backends(lines: list[str], indent: str, key: yaml.Node, value: yaml.Node, backends: list[Any]) -> list[str]:
    """The lines of ``backends``: items that stay keep theirs."""
    if isinstance(value, yaml.SequenceNode) and not value.flow_style and value.value:
        dash = lines[value.value[0].start_mark.line].index("-")
        kept: list[str] = []
        for item in value.value:
            if item.value not in _KNOWN:
                kept += lines[item.start_mark.line : _last(item) + 1]
        first = value.value[0]
        head = lines[key.start_mark.line : first.start_mark.line]
        head[0] = head[0].replace("backend:", "backends:", 1)
        return [
            *head,
            f"{' ' * dash}- {backends[0]}{_comment(lines, first) if first.value == backends[0] else ''}\n",
            *kept,
        ]
    comment = _comment(lines, value) if not isinstance(value, yaml.MappingNode) else ""
    return [f"{indent}backends: {_flow(backends)}{comment}\n"]


def _options(
    lines: list[str], indent: str, to: str, options: dict[str, Any], old: list[tuple[yaml.Node, yaml.Node]]
) -> list[str]:
    """The lines of the new options; comments above and beside options that have the same meaning go along."""
    beside: dict[str, str] = {}
    above: dict[str, list[str]] = {}
    for backend, value in old:
        if isinstance(value, yaml.MappingNode) and not value.flow_style:
            before = backend.start_mark.line + 1
            for key, each in value.value:
                name = "label" if key.value in _LABELS else key.value
                beside[name] = _comment(lines, each)
                above[name] = [
                    line.strip() for line in lines[before : key.start_mark.line] if line.strip().startswith("#")
                ]
                before = _last(each) + 1
    found = [f"{indent}{to}:\n"]
    for name, value in options.items():
        known = "label" if name in _LABELS else name
        found += [f"{indent}  {comment}\n" for comment in above.get(known, [])]
        found.append(f"{indent}  {name}: {_flow(value)}{beside.get(known, '')}\n")
    return found
