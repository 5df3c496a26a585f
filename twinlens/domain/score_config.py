"""Score configs: what a score of some name may be (Langfuse's score configs)."""

from __future__ import annotations

import math

import msgspec

from twinlens.domain.errors import InvalidArgument

DATA_TYPES = ("NUMERIC", "CATEGORICAL", "BOOLEAN", "TEXT")
MAX_NAME = 35


class ScoreCategory(msgspec.Struct, frozen=True):
    """One category: what is shown, and the number that stands for it in averages."""

    label: str
    value: float


BOOLEAN_CATEGORIES = [ScoreCategory("True", 1), ScoreCategory("False", 0)]


class ScoreConfig(msgspec.Struct, kw_only=True):
    """One config. ``min_value``/``max_value`` only for NUMERIC, ``categories`` for CATEGORICAL and BOOLEAN."""

    config_id: str
    name: str
    data_type: str
    min_value: float | None = None
    max_value: float | None = None
    categories: list[ScoreCategory] | None = None
    description: str | None = None
    archived: bool = False
    created_ns: int = 0
    updated_ns: int = 0

    def check(self) -> None:
        """Raise ``InvalidArgument`` if the parts do not fit together (rules of Langfuse server v4.16)."""
        if not 1 <= len(self.name) <= MAX_NAME:
            raise InvalidArgument(f"name must be 1 to {MAX_NAME} characters")
        if self.data_type not in DATA_TYPES:
            raise InvalidArgument(f"dataType must be one of {', '.join(DATA_TYPES)}")
        if self.data_type != "NUMERIC" and (self.min_value is not None or self.max_value is not None):
            raise InvalidArgument("minValue and maxValue are only allowed for numeric score configs")
        for bound in (self.min_value, self.max_value):
            if bound is not None and not math.isfinite(bound):
                raise InvalidArgument("minValue and maxValue must be finite numbers")
        if self.min_value is not None and self.max_value is not None and self.max_value <= self.min_value:
            raise InvalidArgument("maxValue must be greater than minValue")
        if self.data_type == "CATEGORICAL":
            self._check_categories()
        elif self.data_type == "BOOLEAN":
            if self.categories not in (None, BOOLEAN_CATEGORIES):
                raise InvalidArgument("Boolean score configs have the categories True and False and no others")
            self.categories = list(BOOLEAN_CATEGORIES)
        elif self.categories:
            raise InvalidArgument("categories are only allowed for categorical score configs")

    def _check_categories(self) -> None:
        if not self.categories:
            raise InvalidArgument("categories must be an array of objects with label value pairs")
        labels = [category.label for category in self.categories]
        values = [category.value for category in self.categories]
        if len(set(labels)) < len(labels) or len(set(values)) < len(values):
            raise InvalidArgument("Duplicate category label or value: category labels and values must be unique")
