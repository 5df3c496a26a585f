"""The stages between normalising and committing that every face shares: mask, count, price."""

from __future__ import annotations

from collections.abc import Sequence

from twinlens.domain.trace import MODEL_KINDS, Span, TracePatch
from twinlens.ingest import tokens, tools
from twinlens.ingest.mask import Masker
from twinlens.ingest.pricing import Pricer

_NO_MASK = Masker(())


class Enricher:
    """Fills ``usage``, ``cost`` and their sources. Thread-safe.

    Running it again over the same span changes nothing but what changed prices change, so it may run when a span arrives
    and once more when later reports (updates, log records) have been merged into it.
    """

    def __init__(self, pricer: Pricer, masker: Masker = _NO_MASK) -> None:
        self.pricer = pricer
        self.masker = masker

    def enrich(self, spans: Sequence[Span], project_id: str, patches: Sequence[TracePatch] = ()) -> None:
        """Mask spans and patches, then count and price the spans, all in place."""
        if self.masker.active:
            self.masker.spans(spans)
            self.masker.patches(patches)
        lonely = False
        for span in spans:
            lonely = lonely or (span.model is None and span.usage_source == "client" and span.kind in MODEL_KINDS)
        if lonely:
            _borrow_models(spans)
        for span in spans:
            self.price(span, project_id)

    def price(self, span: Span, project_id: str) -> None:
        """Usage and cost of one span, in place. Spans that are no model calls cost one look at their kind.

        Updates whose create has not come yet (``partial``) are left alone: what they belong to is priced when merged.
        """
        kind = span.kind
        if kind not in MODEL_KINDS:
            if kind == "tool" and span.cost_source != "client" and not span.partial:
                self._price_tool(span, project_id)
            return
        if span.partial:
            return
        tools.note(span)
        if span.usage_source != "client":
            self._count(span, project_id)
        if span.cost_source != "client":
            quote = self.pricer.quote(span, project_id)
            if quote is None:
                if span.cost_source == "computed":
                    span.cost, span.cost_source, span.price_id = {}, "none", None
            else:
                span.cost, span.cost_source, span.price_id = quote.cost, "computed", quote.price_id

    def reprice(self, project_id: str, span: Span) -> Span:
        """``price`` in the shape the writer asks for after it has merged two reports of a span."""
        self.price(span, project_id)
        return span

    def _price_tool(self, span: Span, project_id: str) -> None:
        if not self.pricer.prices_tools(project_id):
            return
        quote = self.pricer.quote(span, project_id)
        if quote is not None:
            span.cost, span.cost_source, span.price_id = quote.cost, "computed", quote.price_id

    def _count(self, span: Span, project_id: str) -> None:
        """Estimate missing token counts, or say that they are unknown because the text was withheld."""
        if span.model is None or span.level == "ERROR" or span.cost_source == "client":
            if span.usage_source == "estimated":  # counted before this was known
                span.usage, span.usage_source = {}, "none"
            return
        asked, answered = tokens.content(span.input), tokens.content(span.output)
        if asked.withheld and answered.withheld:
            span.usage = {}
            # A span that still runs may yet bring its text, and embeddings are often wrapped by a span without content.
            finished = span.end_ns is not None and span.kind == "generation"
            span.usage_source = "masked" if finished or asked.masked or answered.masked else "none"
            return
        tokenizer = self.pricer.tokenizer(span, project_id)
        usage: dict[str, int] = {}
        if not asked.withheld:
            usage["input"] = tokens.count_content(asked, span.model, tokenizer)
        if not answered.withheld and span.kind == "generation":
            usage["output"] = tokens.count_content(answered, span.model, tokenizer, reply=True)
        if usage:
            usage["total"] = sum(usage.values())
            span.usage, span.usage_source = usage, "estimated"


def _borrow_models(spans: Sequence[Span]) -> None:
    """Where a library reports tokens on one span and the model on another below it (MLflow's DSPy autologging), bring them together.

    Only what came in one request is looked at, and only when everything below names one and the same model.
    """
    below: dict[tuple[str, str | None], list[Span]] = {}
    for span in spans:
        below.setdefault((span.trace_id, span.parent_id), []).append(span)
    for span in spans:
        if span.model is not None or span.usage_source != "client" or span.kind not in MODEL_KINDS:
            continue
        models: set[str] = set()
        seen = {span.span_id}
        waiting = [span]
        while waiting:
            above = waiting.pop()
            for child in below.get((above.trace_id, above.span_id), ()):
                if child.span_id not in seen:
                    seen.add(child.span_id)
                    waiting.append(child)
                    if child.model is not None and child.kind in MODEL_KINDS:
                        models.add(child.model)
        if len(models) == 1:
            span.model = models.pop()
