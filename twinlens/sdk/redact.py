"""Takes secrets out of command lines, environment variables, addresses and patches before they are sent anywhere."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

HIDDEN = "***"
_NAME = re.compile(r"(?i)(?:^|[_\-.])(?:api[_\-]?key|secret|passw(?:or)?d|pass|pwd|token|auth(?:orization)?|credentials?|"
                   r"private[_\-]?key|access[_\-]?key|cookie|dsn|key)(?:$|[_\-.])")  # fmt: skip
#: Values that are secrets whatever they are called.
_VALUE = re.compile(
    r"\b(?:sk-[A-Za-z0-9_\-]{12,}|(?:gh[pousr]|github_pat)_[A-Za-z0-9_]{20,}|glpat-[\w\-]{16,}|hf_[A-Za-z0-9]{20,}|"
    r"xox[abprs]-[\w\-]{10,}|AKIA[0-9A-Z]{16}|AIza[\w\-]{30,}|eyJ[\w\-]{10,}\.[\w\-]{10,}\.[\w\-]*)"
)
_USERINFO = re.compile(r"(\b[a-z][a-z0-9+.\-]*://)[^\s/@:]*(?::[^\s/@]*)?@", re.IGNORECASE)
_ASSIGNED = re.compile(
    r"(?i)([\w\-.]*(?:api_?key|secret|passw(?:or)?d|token|private_?key|access_?key)[\w\-.]*[\"']?\s*[:=]\s*[\"']?)"
    r"([^\s\"',;)}\]]{6,})"
)
_QUERY = re.compile(r"(?i)([?&][\w\-]*(?:key|secret|password|token|signature|sig)=)[^&\s]+")


def secret_name(name: str) -> bool:
    """Whether a variable or option of this name usually holds a secret."""
    return bool(_NAME.search(name.lstrip("-")))


def text(value: str) -> str:
    """``value`` without what looks like a key or a password in an address."""
    return _QUERY.sub(rf"\1{HIDDEN}", _USERINFO.sub(r"\1", _VALUE.sub(HIDDEN, value)))


def command(argv: Iterable[str]) -> list[str]:
    """A command line whose secret options have no values: ``--api-key ***``, ``--token=***``, ``TOKEN=***``."""
    clean: list[str] = []
    hide = False
    for part in argv:
        name, equals, _ = part.partition("=")
        if hide and not part.startswith("-"):
            clean.append(HIDDEN)
            hide = False
            continue
        hide = part.startswith("-") and not equals and secret_name(name)
        clean.append(f"{name}={HIDDEN}" if equals and secret_name(name) else text(part))
    return clean


def environment(values: Mapping[str, str]) -> dict[str, str]:
    """Variables with the values of secret ones hidden."""
    return {name: HIDDEN if secret_name(name) else text(value) for name, value in values.items()}


def patch(diff: str) -> tuple[str, int]:
    """A patch whose added lines hold no secrets, and how many lines were changed. It still applies: lines that the patch
    takes away or leaves must stay as they are in the repository."""
    lines = diff.split("\n")
    changed = 0
    for index, line in enumerate(lines):
        if line.startswith("+") and not line.startswith("+++"):
            clean = text(_ASSIGNED.sub(rf"\1{HIDDEN}", line))
            if clean != line:
                lines[index] = clean
                changed += 1
    return "\n".join(lines), changed


#: Names under which every value is a secret.
_HOLDERS = frozenset({"headers"})


def values(found: Any, *, secret: bool = False) -> Any:
    """Decoded YAML or JSON with the values under secret names hidden, however deep. References to variables stay."""
    if isinstance(found, Mapping):
        pairs: Any = found.items()
        return {k: values(v, secret=secret or _holds_secrets(str(k))) for k, v in pairs}
    if isinstance(found, list):
        items: Any = found
        return [values(each, secret=secret) for each in items]
    return HIDDEN if secret and _literal(str(found)) else found


def yaml_text(source: str) -> str:
    """The text of a YAML file with the values under secret names hidden: in blocks and in braces, quoted and folded. Comments and
    order stay.

    Raises:
        ValueError: it is no YAML, so nobody knows what is a secret.
    """
    import yaml

    try:
        node = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(source).get_single_node()
    except yaml.YAMLError as error:
        raise ValueError("not YAML") from error
    clean = source
    for start, end, block in sorted(set(_spots(node, secret=False, above=())), reverse=True):
        clean = clean[:start] + f'"{HIDDEN}"' + ("\n" if block and end < len(source) else "") + clean[end:]
    return clean


def _spots(node: Any, *, secret: bool, above: tuple[Any, ...]) -> Iterator[tuple[int, int, bool]]:
    """Beginning, end and whether it is a block, of every scalar that is a secret."""
    if node is None or node in above:  # an alias may lead back to what it is in
        return
    if isinstance(node.value, str):
        if secret and _literal(node.value):
            yield node.start_mark.index, node.end_mark.index, node.style in ("|", ">")
        return
    for each in node.value:
        if isinstance(each, tuple):
            key, value = each
            yield from _spots(value, secret=secret or _holds_secrets(str(key.value)), above=(*above, node))
        else:
            yield from _spots(each, secret=secret, above=(*above, node))


def _holds_secrets(name: str) -> bool:
    harmless = name == "key" or name.startswith("public") or name.endswith("_env")
    return name in _HOLDERS or (secret_name(name) and not harmless)


def _literal(value: str) -> bool:
    return bool(value) and not re.fullmatch(r"\$\{\w+(:-)?\}", value)
