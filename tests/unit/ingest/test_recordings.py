"""What the dialect tables make of each recording, compared as a whole.

After a deliberate change: ``TWINLENS_UPDATE=1 pytest tests/unit/ingest/test_recordings.py`` and read the difference.
"""

from __future__ import annotations

import json
import os

import pytest

from tests.unit.ingest import recordings
from twinlens.ingest import otlp


@pytest.mark.parametrize("name", recordings.NAMES)
def test_normalised_as_recorded(name: str) -> None:
    found = recordings.readable(name)
    path = recordings.FOLDER / f"{name}.normalised.json"
    if os.environ.get("TWINLENS_UPDATE"):
        path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    assert found == json.loads(path.read_text())


@pytest.mark.parametrize("name", recordings.NAMES)
def test_raw_data_is_kept(name: str) -> None:
    raw = recordings.raw_spans(name)
    spans, _, _ = recordings.normalised(name)
    assert [(s.attributes, s.resource, s.scope, s.events, s.links, s.name) for s in spans] == [
        (r.attributes, r.resource, r.scope, r.events, r.links, r.name) for r in raw
    ]


@pytest.mark.parametrize("name", recordings.NAMES)
def test_normalising_again_gives_the_same(name: str) -> None:
    assert recordings.normalised(name) == recordings.normalised(name)


@pytest.mark.parametrize("name", recordings.NAMES)
def test_protobuf_gives_the_same_spans(name: str) -> None:
    bodies = recordings.requests(name, "traces")
    decoded = [span for body in bodies for span in otlp.decode_spans(recordings.as_protobuf(body))]
    assert decoded == recordings.raw_spans(name)
