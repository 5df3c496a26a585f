"""What the identifiers of MLflow's grammar mean when runs or experiments are searched.

The expressions name the fields of ``store.catalog.run_search``: attributes ``run_id name status artifact_uri user_id start_ms
end_ms``, keyed ``metric param tag``, and ``dataset_name dataset_digest dataset_context``. Experiments have ``experiment_id
name created_ms updated_ms`` and keyed ``tag``. Allowed operators and messages follow MLflow 3.18 (``SearchUtils``,
``SearchExperimentsUtils``).
"""

from __future__ import annotations

from typing import Any, cast

from twinlens.domain.errors import InvalidArgument
from twinlens.query.mlflow_filter import Clause, SortKey, parse_filter, parse_order_by
from twinlens.store.telemetry.query import Cmp, Expr, Op, Order

_ENTITIES = {
    "metric": "metric", "metrics": "metric",
    "param": "param", "params": "param", "parameter": "param", "parameters": "param",
    "tag": "tag", "tags": "tag",
    "attribute": "attribute", "attributes": "attribute", "attr": "attribute", "run": "attribute",
    "dataset": "dataset", "datasets": "dataset",
}  # fmt: skip
_RUN_TEXTS = {
    "run_id": "run_id", "run_name": "name", "run name": "name", "Run name": "name", "Run Name": "name",
    "status": "status", "artifact_uri": "artifact_uri", "user_id": "user_id",
}  # fmt: skip
_RUN_NUMBERS = {"start_time": "start_ms", "end_time": "end_ms", "created": "start_ms", "Created": "start_ms"}
_DATASETS = {"name": "dataset_name", "digest": "dataset_digest", "context": "dataset_context"}

_NUMERIC = {"=", "!=", ">", ">=", "<", "<="}
_TEXTUAL = {"=", "!=", "LIKE", "ILIKE"}
_NULLS = {"IS NULL", "IS NOT NULL"}
_LISTS = {"IN", "NOT IN"}


def check_op(clause: Clause, allowed: set[str]) -> Op:
    """The clause's operator in the query model's spelling.

    Raises:
        InvalidArgument: not among ``allowed``.
    """
    if clause.op not in allowed:
        raise InvalidArgument(f"Invalid comparator '{clause.op}' not one of '{sorted(allowed)}' in: {clause.text}")
    return cast("Op", {"RLIKE": "regex"}.get(clause.op, clause.op.lower()))


def text_value(clause: Clause, what: str) -> Any:
    """The clause's value, which must be quoted text (a list of it for IN, nothing for IS)."""
    if clause.op in _NULLS:
        return None
    values = clause.value if isinstance(clause.value, list) else [clause.value]
    if not all(isinstance(value, str) for value in values):
        example = "" if "attributes" in what else " (e.g. 'my-value')"
        raise InvalidArgument(
            f"Expected a quoted string value for {what}{example}. Got value {clause.value} in: {clause.text}"
        )
    return clause.value


def number_value(clause: Clause, what: str) -> int | float:
    """The clause's value, which must be a bare number."""
    if not isinstance(clause.value, int | float):
        raise InvalidArgument(f"Expected numeric value type for {what}. Found {clause.value!r} in: {clause.text}")
    return clause.value


def _entity(name: str | None, valid: dict[str, str]) -> str:
    if name is None:
        return "attribute"
    entity = valid.get(name)
    if entity is None:
        names = ["parameter" if each == "param" else each for each in dict.fromkeys(valid.values())]
        raise InvalidArgument(f"Invalid entity type '{name}'. Valid values are {names}")
    return entity


def _resolve_run(clause: Clause) -> Expr:
    entity, key = _entity(clause.entity, _ENTITIES), clause.key
    match entity:
        case "metric":
            value = float(number_value(clause, "metric"))
            return Cmp("metric", check_op(clause, _NUMERIC), value, key)
        case "param" | "tag":
            text = text_value(clause, "parameter" if entity == "param" else entity)
            return Cmp(entity, check_op(clause, _TEXTUAL | _NULLS), text, key)
        case "dataset":
            if key not in _DATASETS:
                raise InvalidArgument(f"Invalid dataset key '{key}' specified. Valid keys are '{sorted(_DATASETS)}'")
            return Cmp(_DATASETS[key], check_op(clause, _TEXTUAL | _LISTS), text_value(clause, "dataset attributes"))
        case _:
            return _run_attribute(clause, key)


def _run_attribute(clause: Clause, key: str) -> Expr:
    if clause.op in _NULLS:
        raise InvalidArgument(
            f"IS NULL / IS NOT NULL is only supported for tags and params, not for 'attribute' '{key}'"
        )
    if key in _RUN_NUMBERS:
        value = number_value(clause, f"numeric attribute: {key}")
        return Cmp(_RUN_NUMBERS[key], check_op(clause, _NUMERIC), value)
    if key not in _RUN_TEXTS:
        valid = sorted(_RUN_TEXTS | _RUN_NUMBERS)
        raise InvalidArgument(f"Invalid attribute key '{key}' specified. Valid keys are '{valid}'")
    value = text_value(clause, "attributes")
    if clause.op in _LISTS and key != "run_id":
        raise InvalidArgument("Only ['run_id'] attributes support comparison with a list of quoted string values.")
    return Cmp(_RUN_TEXTS[key], check_op(clause, _TEXTUAL | _LISTS), value)


def run_filter(text: str | None) -> Expr:
    """Filter of ``runs/search``."""
    return parse_filter(text, _resolve_run)


def _run_order(item: str) -> Order:
    sort = parse_order_by(item)
    entity = _entity(sort.entity, _ENTITIES)
    if entity in ("metric", "param", "tag"):
        return Order(entity, sort.descending, sort.key)
    found = (_RUN_TEXTS | _RUN_NUMBERS).get(sort.key) if entity == "attribute" else None
    if found is None:
        raise InvalidArgument(
            f"Invalid attribute key '{sort.key}' specified. Valid keys are '{sorted(_RUN_TEXTS | _RUN_NUMBERS)}'"
        )
    return Order(found, sort.descending)


def _unique(orders: list[Order], items: list[str]) -> tuple[Order, ...]:
    fields = [(order.field, order.key) for order in orders]
    if len(set(fields)) != len(fields):
        raise InvalidArgument(f"`order_by` contains duplicate fields: {items}")
    return tuple(orders)


def run_order(items: list[str]) -> tuple[Order, ...]:
    """Order of ``runs/search``; the store appends ``start_ms`` (newest first) and the run id."""
    return _unique([_run_order(item) for item in items], items)


_EXPERIMENT_ENTITIES = {
    "attribute": "attribute",
    "attr": "attribute",
    "attributes": "attribute",
    "tag": "tag",
    "tags": "tag",
}
_EXPERIMENT_NUMBERS = {"creation_time": "created_ms", "last_update_time": "updated_ms"}
_EXPERIMENT_ORDER = {"name": "name", "experiment_id": "experiment_id", **_EXPERIMENT_NUMBERS}


def _resolve_experiment(clause: Clause) -> Expr:
    entity, key = _entity(clause.entity, _EXPERIMENT_ENTITIES), clause.key
    if entity == "tag":
        return Cmp("tag", check_op(clause, _TEXTUAL | _NULLS), text_value(clause, "tag"), key)
    if key == "name":
        return Cmp("name", check_op(clause, _TEXTUAL), text_value(clause, "attributes"))
    if key == "experiment_id":
        op = check_op(clause, {"=", "!="} | _LISTS)
        return Cmp("experiment_id", op, text_value(clause, "attributes"))
    if key in _EXPERIMENT_NUMBERS:
        value = number_value(clause, f"numeric attribute: {key}")
        return Cmp(_EXPERIMENT_NUMBERS[key], check_op(clause, _NUMERIC), value)
    raise InvalidArgument(f"Invalid attribute key '{key}' specified. Valid keys are '{sorted(_EXPERIMENT_ORDER)}'")


def experiment_filter(text: str | None) -> Expr:
    """Filter of ``experiments/search``."""
    return parse_filter(text, _resolve_experiment)


def experiment_order(items: list[str]) -> tuple[Order, ...]:
    """Order of ``experiments/search``; the store appends the id."""

    def one(item: str) -> Order:
        sort: SortKey = parse_order_by(item)
        if (
            sort.entity is not None and _EXPERIMENT_ENTITIES.get(sort.entity) != "attribute"
        ) or sort.key not in _EXPERIMENT_ORDER:
            raise InvalidArgument(
                f"Invalid attribute key '{sort.key}' specified. Valid keys are '{sorted(_EXPERIMENT_ORDER)}'"
            )
        return Order(_EXPERIMENT_ORDER[sort.key], sort.descending)

    return _unique([one(item) for item in items], items)
