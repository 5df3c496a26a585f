"""``docs/conventions.md`` shows the dialect tables as they are. ``TWINLENS_UPDATE=1 pytest`` on this file rewrites them."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from twinlens.domain.trace import Span, TracePatch
from twinlens.ingest.dialects import DIALECTS, PRECEDENCE
from twinlens.ingest.dialects.plan import rows

DOC = Path(__file__).resolve().parents[3] / "docs" / "conventions.md"
BEGIN, END = "<!-- tables: written by tests/unit/ingest/test_conventions_doc.py -->\n", "<!-- end of tables -->"
#: Fields that are not of ``Span`` but become some.
COMBINED = {"system": "input", "first_token_s": "completion_start_ns", "first_token_ms": "completion_start_ns", "prompt_version_text": "prompt_version"}  # fmt: skip


def tables() -> str:
    """All dialects as Markdown."""
    parts: list[str] = []
    for dialect in DIALECTS:
        known = [
            *(f"scope `{s}`" for s in dialect.scopes),
            *(f"`{m}`" for m in (*dialect.marks, *(w + "*" for w in dialect.weak_marks))),
        ]
        parts.append(
            f"### {dialect.title} (`{dialect.name}`)\n\nSource: {dialect.source}. Recognised by {', '.join(known)}.\n"
        )
        if dialect.first_token_events:
            parts.append(f"First token: span event {', '.join(f'`{e}`' for e in dialect.first_token_events)}.\n")
        parts.append("| Field | Attribute | |\n|---|---|---|")
        for rule in dialect.rules:
            only = "some scopes or versions" if rule.when else ""
            if rule.where is not None:
                only = f"where `{rule.where[0]}` is {' or '.join(f'`{x}`' for x in rule.where[1])}"
            parts.append(f"| `{rule.field}` | `{rule.key}` | {only} |")
        parts.append("")
    parts.append("### Precedence between dialects\n")
    parts.append("Usual order: " + ", ".join(f"`{d.name}`" for d in DIALECTS) + ". Except:\n")
    for field, order in PRECEDENCE.items():
        parts.append(f"* `{field}`: " + ", ".join(f"`{o}`" for o in order))
    return "\n".join(parts) + "\n"


def test_the_document_shows_the_tables() -> None:
    text = DOC.read_text()
    head, rest = text.split(BEGIN)
    shown, tail = rest.split(END)
    if os.environ.get("TWINLENS_UPDATE"):
        DOC.write_text(f"{head}{BEGIN}\n{tables()}\n{END}{tail}")
    else:
        assert shown.strip() == tables().strip()


def test_rules_have_names_of_their_own_and_known_fields() -> None:
    found = rows()
    doubles = [k for k, n in Counter((name, rule.field) for _, name, rule in found).items() if n > 1]
    assert not doubles
    for _, name, rule in found:
        field = COMBINED.get(rule.field, rule.field)
        if field.startswith("trace."):
            assert field.removeprefix("trace.") in TracePatch.__struct_fields__, name
        else:
            assert field.split(".", 1)[0] in Span.__struct_fields__, name


def test_precedence_names_existing_rules() -> None:
    names = {name for _, name, _ in rows()} | {d.name for d in DIALECTS} | {"events"}
    for field, order in PRECEDENCE.items():
        assert set(order) <= names, field
        assert len(set(order)) == len(order), field


def test_every_dialect_is_recorded() -> None:
    """Every table is exercised by at least one recording."""
    from tests.unit.ingest import recordings

    seen = {span.dialect for name in recordings.NAMES for span in recordings.normalised(name)[0]}
    assert {d.name for d in DIALECTS} <= seen
