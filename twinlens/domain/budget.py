"""Budgets of the gateway: how much may be spent in a fixed window, and what happens when it is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import isfinite

import msgspec

from twinlens.domain.errors import InvalidArgument

UNITS = ("MINUTES", "HOURS", "DAYS", "WEEKS", "MONTHS")
SCOPES = ("GLOBAL", "WORKSPACE", "ENDPOINT", "USER")
TARGETED = ("ENDPOINT", "USER")
ACTIONS = ("ALERT", "REJECT")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STEPS = {"MINUTES": timedelta(minutes=1), "HOURS": timedelta(hours=1), "DAYS": timedelta(days=1), "WEEKS": timedelta(weeks=1)}  # fmt: skip
MAX_LENGTH = 10_000
MINUTE_NS = 60 * 1_000_000_000


class Budget(msgspec.Struct, kw_only=True):
    """USD per window. ``GLOBAL`` and ``WORKSPACE`` both mean all endpoints of the project; ``ENDPOINT`` and ``USER`` one
    endpoint (by id) or one caller (by name), named in ``target``."""

    budget_id: str
    amount: float
    duration_unit: str
    duration_value: int
    scope: str
    action: str
    target: str | None = None
    unit: str = "USD"
    created_by: str | None = None
    updated_by: str | None = None
    created_ns: int = 0
    updated_ns: int = 0

    def check(self) -> None:
        """Raise ``InvalidArgument`` for values that do not fit together."""
        if not isfinite(self.amount) or self.amount < 0:
            raise InvalidArgument(f"budget_amount must be a number from 0, got {self.amount}")
        if self.duration_value <= 0:
            raise InvalidArgument(f"duration.value must be a positive integer, got {self.duration_value}")
        if self.duration_value > MAX_LENGTH:
            raise InvalidArgument(f"duration.value must be at most {MAX_LENGTH}, got {self.duration_value}")
        for name, value, known in (
            ("budget_unit", self.unit, ("USD",)), ("duration.unit", self.duration_unit, UNITS),
            ("target_scope", self.scope, SCOPES), ("budget_action", self.action, ACTIONS),
        ):  # fmt: skip
            if value not in known:
                raise InvalidArgument(f"Invalid {name}: {value}")
        if self.scope in TARGETED and not self.target:
            raise InvalidArgument(f"target_value is required when target_scope is {self.scope}.")
        if self.scope not in TARGETED and self.target:
            raise InvalidArgument("target_value can only be set when target_scope is ENDPOINT or USER.")

    def applies(self, endpoint_id: str, user: str) -> bool:
        """Whether a call counts towards this budget."""
        if self.scope == "ENDPOINT":
            return self.target == endpoint_id
        return self.scope != "USER" or self.target == user

    def window(self, now_ns: int) -> tuple[int, int]:
        """Start and end of the window that holds ``now_ns``, nanoseconds.

        Windows are aligned as MLflow 3.18 aligns them: to the epoch in UTC, weeks to Sundays, months to the first of January 1970.
        """
        now = _EPOCH + timedelta(microseconds=now_ns // 1_000)
        if self.duration_unit == "MONTHS":
            passed = (now.year - 1970) * 12 + now.month - 1
            first = passed // self.duration_value * self.duration_value
            return _ns(_month(first)), _ns(_month(first + self.duration_value))
        origin = _EPOCH - timedelta(days=4) if self.duration_unit == "WEEKS" else _EPOCH  # 1969-12-28 was a Sunday
        length = _STEPS[self.duration_unit] * self.duration_value
        start = origin + (now - origin) // length * length
        return _ns(start), _ns(start + length)


class Window(msgspec.Struct, kw_only=True):
    """A budget's running window: start and end in nanoseconds, USD spent so far, and USD that calls under way may cost."""

    budget: Budget
    start_ns: int
    end_ns: int
    spent: float
    reserved: float = 0.0

    @property
    def full(self) -> bool:
        """Whether nothing is left for one more call."""
        return self.spent + self.reserved >= self.budget.amount

    @property
    def exceeded(self) -> bool:
        """Whether nothing is left."""
        return self.spent >= self.budget.amount


class Usage(msgspec.Struct, kw_only=True):
    """What calls of an endpoint took in a span of time."""

    endpoint_id: str
    user: str = ""
    minute_ns: int = 0
    calls: int = 0
    errors: int = 0
    tokens: int = 0
    cost: float = 0.0


def _month(number: int) -> datetime:
    """First instant of a month counted from January 1970. The calendar ends with the year 9999."""
    year = 1970 + number // 12
    return datetime(year, number % 12 + 1, 1, tzinfo=UTC) if year < 10_000 else datetime.max.replace(tzinfo=UTC)


def _ns(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1) * 1_000
