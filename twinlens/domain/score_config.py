"""Score configs: what a score of some name may be (Langfuse's score configs, MLflow's label schemas)."""

from __future__ import annotations

import math

import msgspec

from twinlens.domain.errors import InvalidArgument

DATA_TYPES = ("NUMERIC", "CATEGORICAL", "BOOLEAN", "TEXT")
MAX_NAME = 35
MAX_SCHEMA_NAME = 250  #: of a config that belongs to an experiment, where the name is the question itself
MAX_LABEL = 64
MAX_INSTRUCTION = 1_000


class ScoreCategory(msgspec.Struct, frozen=True):
    """One category: what is shown, and the number that stands for it in averages."""

    label: str
    value: float


BOOLEAN_CATEGORIES = [ScoreCategory("True", 1), ScoreCategory("False", 0)]


class ScoreForm(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """How a person is asked, beyond the type of the answer (MLflow's label schema)."""

    kind: str = "feedback"  #: or ``expectation``: the answer says what would have been right
    enable_comment: bool = False
    multi_select: bool = False  #: CATEGORICAL: several categories may be chosen
    max_length: int | None = None  #: TEXT: characters
    positive_label: str | None = None  #: BOOLEAN: what True is called
    negative_label: str | None = None
    standard: bool = False  #: the question that every experiment has; nobody can change it
    created_by: str | None = None


class ScoreConfig(msgspec.Struct, kw_only=True):
    """One config. ``min_value``/``max_value`` only for NUMERIC, ``categories`` for CATEGORICAL and BOOLEAN.

    ``experiment_id`` is None for a config of the whole project. Names are unique within an experiment; configs of the
    whole project may share one, as in Langfuse.
    """

    config_id: str
    name: str
    data_type: str
    min_value: float | None = None
    max_value: float | None = None
    categories: list[ScoreCategory] | None = None
    description: str | None = None
    archived: bool = False
    experiment_id: str | None = None
    form: ScoreForm = ScoreForm()
    created_ns: int = 0
    updated_ns: int = 0

    def check(self) -> None:
        """Raise ``InvalidArgument`` if the parts do not fit together (rules of Langfuse server v4.16, MLflow 3.17)."""
        longest = MAX_NAME if self.experiment_id is None else MAX_SCHEMA_NAME
        if not 1 <= len(self.name) <= longest:
            raise InvalidArgument(f"name must be 1 to {longest} characters")
        self._check_form()
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

    def _check_form(self) -> None:
        form = self.form
        if form.kind not in ("feedback", "expectation"):
            raise InvalidArgument("type must be feedback or expectation")
        if form.max_length is not None and form.max_length < 1:
            raise InvalidArgument(f"max_length must be at least 1; got {form.max_length}")
        if self.experiment_id is not None and len(self.description or "") > MAX_INSTRUCTION:
            raise InvalidArgument(f"instruction must be at most {MAX_INSTRUCTION} characters")
        labels = (form.positive_label, form.negative_label)
        if labels == (None, None):
            return
        if not all(label is not None and 1 <= len(label) <= MAX_LABEL for label in labels) or labels[0] == labels[1]:
            raise InvalidArgument(
                f"positive_label and negative_label must be two different texts of 1 to {MAX_LABEL} characters"
            )
