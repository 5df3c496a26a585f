"""A pipeline without a process-wide runtime: spans are made by a provider of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from twinlens.sdk import runtime
from twinlens.sdk.backends.base import Backend
from twinlens.sdk.batch import Batch
from twinlens.sdk.block import Block


class Memory(Backend):
    """Keeps what it gets."""

    name = "memory"

    def __init__(self) -> None:
        self.batches: list[Batch] = []

    def write(self, batch: Batch) -> None:
        self.batches.append(batch)

    def spans(self) -> dict[str, dict[str, Any]]:
        """Attributes by span name (the last of each)."""
        from twinlens.sdk.encode import plain_span, spans_of

        return {s.name: plain_span(s) for b in self.batches for s in spans_of(b.request)}

    def scores(self) -> list[Any]:
        """All scores."""
        return [score for batch in self.batches for score in batch.scores]


@pytest.fixture
def memory() -> Iterator[Memory]:
    """A configured runtime that keeps everything; ``twinlens.flush()`` waits for it."""
    with_block = install_memory(Block())
    yield with_block
    runtime.install(runtime.Runtime(Block(enabled=False)))


def install_memory(block: Block) -> Memory:
    """Make a runtime with the block's settings and a memory backend current."""
    made = runtime.Runtime(block)
    backend = Memory()
    made.pipeline.backends = [backend]
    runtime.install(made)
    return backend
