"""Budgets of the gateway: what was spent in the running window, who is refused, who is told.

A call under a budget that refuses reserves what it may cost before it begins, in one transaction with looking whether that much is
left to others: however many begin at once, at most the last one admitted passes the limit. When it ends, what it took takes the
reservation's place. A reservation whose end is never told (the server was killed) counts until it expires.

What calls took is counted in rows of one minute when they end, so a budget that is made in the middle of its window knows what
was spent before, a restart forgets nothing, and calls count whether or not they become traces.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

from twinlens.domain.budget import MINUTE_NS, Budget, Usage, Window
from twinlens.domain.clock import Clock, now_ns
from twinlens.domain.errors import Busy, InvalidArgument, NotFound
from twinlens.domain.gateway import not_found
from twinlens.domain.ids import new_hex
from twinlens.features.webhooks import Webhooks
from twinlens.store.catalog.engine import Catalog
from twinlens.store.catalog.gateway import GatewayTable
from twinlens.store.catalog.gateway_budgets import BudgetTable

T = TypeVar("T")
_log = logging.getLogger(__name__)
_S = 1_000_000_000
LONGEST_CALL_NS = 900 * _S  #: how long a reservation counts without a word


class BudgetExceeded(Busy):
    """A budget that refuses is used up; its window ends in ``retry_after`` seconds."""


class Budgets:
    """See the module's text. All methods block.

    Args:
        secured: whether callers are known by name; without that a budget of one caller would never apply.
        webhooks: told of budgets that a call has used up (event ``budget_policy.exceeded``).
    """

    def __init__(self, catalog: Catalog, webhooks: Webhooks, *, secured: bool, clock: Clock = now_ns) -> None:
        self._catalog = catalog
        self._secured = secured
        self._webhooks = webhooks
        self._clock = clock

    def create(self, project_id: str, draft: Budget) -> Budget:
        """Store a new budget; id and times are filled in.

        Raises:
            InvalidArgument: values do not fit together.
            NotFound: its endpoint does not exist.
        """
        now = self._clock()
        made = msgspec.structs.replace(draft, budget_id="bp-" + new_hex(), created_ns=now, updated_ns=now)
        return self._put(project_id, made)

    def update(self, project_id: str, budget_id: str, **changes: Any) -> Budget:
        """Change fields; those that are None stay. Another scope needs its own target.

        Raises:
            NotFound: the budget or its endpoint does not exist.
            InvalidArgument: values do not fit together.
        """
        before = self.get(project_id, budget_id)
        said = {name: value for name, value in changes.items() if value is not None}
        if said.get("scope", before.scope) != before.scope:
            said.setdefault("target", None)
        return self._put(project_id, msgspec.structs.replace(before, **said, updated_ns=self._clock()))

    def _put(self, project_id: str, budget: Budget) -> Budget:
        budget.target = budget.target or None
        budget.check()
        if budget.scope == "USER" and not self._secured:
            raise InvalidArgument(
                "USER-scoped budget policies require server authentication to be enabled. Without auth the gateway cannot "
                "attribute requests to a user, so the policy would never take effect."
            )
        with self._catalog.write() as connection:
            if budget.scope == "ENDPOINT" and not GatewayTable(connection, project_id).endpoints(
                endpoint_id=budget.target or ""
            ):
                raise NotFound(not_found("GatewayEndpoint", {"endpoint_id": budget.target or ""}))
            BudgetTable(connection, project_id).put(budget)
        return budget

    def get(self, project_id: str, budget_id: str) -> Budget:
        """One budget.

        Raises:
            NotFound: there is none.
        """
        found = self._read(project_id, lambda table: table.find(budget_id))
        if not found:
            raise NotFound(not_found("BudgetPolicy", {"budget_policy_id": budget_id}))
        return found[0]

    def list(self, project_id: str) -> list[Budget]:
        """All, by id."""
        return self._read(project_id, lambda table: table.find())

    def delete(self, project_id: str, budget_id: str) -> None:
        """Remove one.

        Raises:
            NotFound: there is none.
        """
        self.get(project_id, budget_id)
        with self._catalog.write() as connection:
            BudgetTable(connection, project_id).delete(budget_id)

    def windows(self, project_id: str) -> list[Window]:
        """The running window of each budget, by the budget's id."""
        return self._read(project_id, lambda table: self._windows(table, table.find()))

    def _windows(self, table: BudgetTable, budgets: list[Budget]) -> list[Window]:
        found: list[Window] = []
        for budget in budgets:
            now = self._clock()
            start, end = budget.window(now)
            of: dict[str, Any] = {
                "endpoint_id": budget.target if budget.scope == "ENDPOINT" else None,
                "user": budget.target if budget.scope == "USER" else None,
            }
            spent, reserved = table.spent(start, end, **of), table.reserved(now, **of)
            found.append(Window(budget=budget, start_ns=start, end_ns=end, spent=spent, reserved=reserved))
        return found

    def reserve(self, project_id: str, endpoint_id: str, user: str, estimate: Callable[[], float]) -> str | None:
        """Admit a call that begins, and keep what it may cost; refuse it when a budget that refuses has nothing left.

        Args:
            estimate: what the call may cost, in USD; asked only where a budget applies.

        Returns:
            The reservation for ``count``; None where no budget refuses.

        Raises:
            BudgetExceeded: with the limit and when it begins anew (wording of MLflow 3.18).
        """

        def applying(table: BudgetTable) -> list[Budget]:
            return [b for b in table.find() if b.action == "REJECT" and b.applies(endpoint_id, user)]

        if not self._read(project_id, applying):
            return None
        cost, made = estimate(), new_hex()
        with self._catalog.write() as connection:
            table = BudgetTable(connection, project_id)
            table.lock()
            self._refuse(self._windows(table, applying(table)))
            table.reserve(made, endpoint_id, user, cost, self._clock() + LONGEST_CALL_NS)
        return made

    def _refuse(self, windows: list[Window]) -> None:
        for window in windows:
            if window.full:
                budget = window.budget
                unit = budget.duration_unit.lower()
                unit = unit.removesuffix("s") if budget.duration_value == 1 else unit
                reset = datetime.fromtimestamp(window.end_ns / _S, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
                raise BudgetExceeded(
                    f"Budget limit exceeded. Limit: ${budget.amount:.2f} USD per {budget.duration_value} {unit}. "
                    f"Budget resets at {reset}. Request rejected.",
                    # what is only reserved may soon be free again
                    retry_after=max(1.0, (window.end_ns - self._clock()) / _S) if window.exceeded else 1.0,
                )

    def count(
        self, project_id: str, endpoint_id: str, user: str, *, cost: float, tokens: int, failed: bool,
        reservation: str | None = None,
    ) -> None:  # fmt: skip
        """Add a call that has ended in the place of its reservation, and tell of the budgets that it has used up."""
        now = self._clock()
        usage = Usage(
            endpoint_id=endpoint_id, user=user, minute_ns=now // MINUTE_NS * MINUTE_NS, calls=1, errors=int(failed),
            tokens=tokens, cost=cost,
        )  # fmt: skip
        with self._catalog.write() as connection:
            table = BudgetTable(connection, project_id)
            if reservation is not None:
                table.release(reservation, now)
            table.count(usage)
            budgets = [b for b in table.find() if b.applies(endpoint_id, user)] if cost > 0 else []
            used_up = [w for w in self._windows(table, budgets) if w.exceeded and w.spent - cost < w.budget.amount]
            for window in used_up:
                self._webhooks.fire(connection, project_id, "budget_policy.exceeded", _told(project_id, window))
        if used_up:
            self._webhooks.committed()
            for window in used_up:
                _log.warning("budget %s of project %s is used up", window.budget.budget_id, project_id)

    def usage(self, project_id: str, start_ns: int, end_ns: int, bucket_ns: int) -> list[Usage]:
        """What calls took, by endpoint and span of ``bucket_ns`` (a multiple of one minute), oldest first."""
        return self._read(project_id, lambda table: table.usage(start_ns, end_ns, bucket_ns))

    def _read(self, project_id: str, work: Callable[[BudgetTable], T]) -> T:
        with self._catalog.read() as connection:
            return work(BudgetTable(connection, project_id))


def _told(project_id: str, window: Window) -> dict[str, Any]:
    """What webhooks are told of a budget that is used up (MLflow 3.18)."""
    budget = window.budget
    return {
        "budget_policy_id": budget.budget_id, "budget_unit": budget.unit, "budget_amount": budget.amount,
        "current_spend": window.spent, "duration_unit": budget.duration_unit, "duration_value": budget.duration_value,
        "target_scope": budget.scope, "workspace": project_id, "target_value": budget.target,
        "window_start": window.start_ns // 1_000_000,
    }  # fmt: skip
