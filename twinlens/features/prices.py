"""Price rows of a project, and the prices of what is already stored."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from twinlens.domain.clock import Clock, now_ns
from twinlens.domain.errors import InvalidArgument, NotFound
from twinlens.domain.ids import check_id, new_uuid
from twinlens.domain.otlp import RawLog
from twinlens.domain.price import Price, PriceTier
from twinlens.domain.trace import MODEL_KINDS, Span, TracePatch
from twinlens.features.audit import Audit
from twinlens.ingest.batch import Batch
from twinlens.ingest.enrich import Enricher
from twinlens.ingest.writer import Ingest
from twinlens.store.catalog.prices import PriceRows
from twinlens.store.telemetry.interface import TelemetryStore
from twinlens.store.telemetry.query import Cmp, Expr, Order, Query, all_of

PAGE = 1_000
MAX_PATTERN = 1_000


class RepriceReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a re-pricing run found. Money is USD."""

    spans_seen: int
    spans_changed: int
    cost_before: float
    cost_after: float


class Prices:
    """Price rows, and mask → count → price for every face.

    Args:
        rows: the catalog's price rows.
        enricher: its ``Pricer`` must load from ``rows``; it is told when they change.
        ingest: takes the re-priced spans.
        telemetry: read for re-pricing.
    """

    def __init__(
        self,
        rows: PriceRows,
        enricher: Enricher,
        ingest: Ingest,
        telemetry: TelemetryStore,
        audit: Audit,
        clock: Clock = now_ns,
    ) -> None:
        self._audit = audit
        self._rows = rows
        self._enricher = enricher
        self._ingest = ingest
        self._telemetry = telemetry
        self._clock = clock

    def enrich(self, project_id: str, spans: Sequence[Span], patches: Sequence[TracePatch] = ()) -> None:
        """See ``ingest.enrich.Enricher.enrich``: every face runs it on what it has normalised."""
        self._enricher.enrich(spans, project_id, patches)

    def mask_logs(self, project_id: str, logs: Sequence[RawLog]) -> None:
        """Mask log records in place, as ``enrich`` does with spans."""
        self._enricher.masker.logs(logs)

    @property
    def ready(self) -> bool:
        """Whether the bundled price list is loaded; until then the first priced span waits for it."""
        return self._enricher.pricer.ready

    def warm(self) -> None:
        """Load the bundled price list (half a second, 40 MB); call it off the event loop."""
        self._enricher.pricer.warm()

    # --- rows --------------------------------------------------------------------------------------------------
    def list(self, project_id: str) -> list[Price]:
        """The project's own rows by model name, newest start first."""
        return self._rows.list(project_id)

    def get(self, project_id: str, price_id: str) -> Price:
        """One row.

        Raises:
            NotFound: no such row in this project.
        """
        found = self._rows.get(project_id, price_id)
        if found is None:
            raise NotFound(f"price {price_id} not found")
        return found

    def create(self, project_id: str, price: Price) -> Price:
        """Add a row; an empty id is replaced by a new one. It holds from the next span on.

        Raises:
            InvalidArgument: not a usable row.
        """
        now = self._clock()
        price = msgspec.structs.replace(price, id=price.id or new_uuid(), created_ns=now, updated_ns=now)
        check(price)
        if self._rows.get(project_id, price.id) is not None:
            raise InvalidArgument(f"price {price.id} exists")
        with self._audit.together():
            self._rows.insert(project_id, price)
            self._audit.record("create", "price", price.id, project_id=project_id, model=price.model_name)
        self._enricher.pricer.invalidate(project_id)
        return price

    def update(self, project_id: str, price: Price) -> Price:
        """Replace a row.

        Raises:
            NotFound: no such row.
            InvalidArgument: not a usable row.
        """
        old = self.get(project_id, price.id)
        price = msgspec.structs.replace(price, created_ns=old.created_ns, updated_ns=self._clock())
        check(price)
        with self._audit.together():
            if not self._rows.update(project_id, price):
                raise NotFound(f"price {price.id} not found")
            self._audit.record("update", "price", price.id, project_id=project_id, model=price.model_name)
        self._enricher.pricer.invalidate(project_id)
        return price

    def put(self, project_id: str, price: Price) -> None:
        """Add or replace a row with its id and times.

        Raises:
            InvalidArgument: not a usable row.
        """
        check(price)
        if not self._rows.update(project_id, price):
            self._rows.insert(project_id, price)
        self._enricher.pricer.invalidate(project_id)

    def delete(self, project_id: str, price_id: str) -> None:
        """Remove a row. What it has priced keeps its cost until it is re-priced.

        Raises:
            NotFound: no such row.
        """
        with self._audit.together():
            if not self._rows.delete(project_id, price_id):
                raise NotFound(f"price {price_id} not found")
            self._audit.record("delete", "price", price_id, project_id=project_id)
        self._enricher.pricer.invalidate(project_id)

    # --- stored spans ------------------------------------------------------------------------------------------
    def reprice(
        self,
        project_id: str,
        *,
        start_ns: int | None = None,
        end_ns: int | None = None,
        model: str | None = None,
        dry_run: bool = False,
    ) -> RepriceReport:
        """Compute the cost of stored model spans again with today's rows. Costs that clients sent are not touched.

        Works page by page and commits each page, so it may be stopped and run again. Blocking; not for the event loop.

        Args:
            start_ns: only spans that start at or after.
            end_ns: only spans that start before.
            model: only spans that report exactly this model.
            dry_run: compute the report and change nothing.

        Raises:
            Busy, StoreUnavailable: as ``Ingest.submit_sync``; pages before that are stored.
        """
        where = all_of(
            Cmp("kind", "in", sorted(MODEL_KINDS)),
            Cmp("cost_source", "!=", "client"),
            None if start_ns is None else Cmp("start_ns", ">=", start_ns),
            None if end_ns is None else Cmp("start_ns", "<", end_ns),
            None if model is None else Cmp("model", "=", model),
        )
        seen = changed = 0
        before = after = 0.0
        for spans in self._pages(project_id, where):
            updates: list[Span] = []
            for span in spans:
                seen += 1
                before += span.total_cost
                fresh = msgspec.structs.replace(span)
                self._enricher.price(fresh, project_id)
                after += fresh.total_cost
                if (fresh.cost, fresh.price_id, fresh.usage) != (span.cost, span.price_id, span.usage):
                    changed += 1
                    updates.append(_update(fresh))
            if updates and not dry_run:
                self._ingest.submit_sync(Batch(project_id=project_id, spans=updates))
        return RepriceReport(spans_seen=seen, spans_changed=changed, cost_before=before, cost_after=after)

    def _pages(self, project_id: str, where: Expr):
        """Pages in the order of start times, which re-pricing does not change."""
        cursor: str | None = None
        while True:
            page = self._telemetry.spans(
                Query(
                    project_id=project_id,
                    where=where,
                    order=(Order("start_ns", descending=False),),
                    limit=PAGE,
                    cursor=cursor,
                    with_io=True,
                )
            )
            yield page.rows
            cursor = page.next_cursor
            if cursor is None:
                return


def _update(span: Span) -> Span:
    """An update that says nothing but usage and cost."""
    return Span(
        trace_id=span.trace_id,
        span_id=span.span_id,
        partial=True,
        given=frozenset({"usage", "cost"}),
        usage=span.usage,
        usage_source=span.usage_source,
        cost=span.cost,
        cost_source=span.cost_source,
        price_id=span.price_id,
    )


def check(price: Price) -> None:
    """Whether a row can be used.

    Raises:
        InvalidArgument: with what is wrong.
    """
    check_id(price.id, "price id")
    if not price.model_name.strip():
        raise InvalidArgument("model name must not be empty")
    _check_pattern(price.match_pattern, "match pattern")
    if not price.tiers:
        raise InvalidArgument("a price needs at least one tier")
    if sum(t.is_default for t in price.tiers) > 1:
        raise InvalidArgument("only one tier can be the default")
    for tier in price.tiers:
        _check_tier(tier)


def _check_tier(tier: PriceTier) -> None:
    if not tier.prices and not tier.is_default:  # a model may have no price and only be counted
        raise InvalidArgument(f"tier {tier.name!r} has no prices")
    for key, usd in tier.prices.items():
        if not 0 <= usd < float("inf"):
            raise InvalidArgument(f"price of {key!r} in tier {tier.name!r} must be a number and not negative")
    for condition in tier.conditions:
        if condition.parameter is None and condition.usage_pattern is None:
            raise InvalidArgument(f"a condition of tier {tier.name!r} needs usage_pattern or parameter")
        if condition.usage_pattern is not None:
            _check_pattern(condition.usage_pattern, "usage pattern")


def _check_pattern(pattern: str, what: str) -> None:
    if not pattern or len(pattern) > MAX_PATTERN:
        raise InvalidArgument(f"{what} must have 1 to {MAX_PATTERN} characters")
    try:
        re.compile(pattern)
    except re.error as error:
        raise InvalidArgument(f"{what} {pattern!r} is not a regular expression: {error}") from None
