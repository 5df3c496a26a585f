"""Label schemas (API 3.0): what reviewers are asked. Langfuse's score configs are the same rows."""

from __future__ import annotations

from typing import Any

import msgspec

from twinlens.domain.errors import InvalidArgument, NotFound
from twinlens.domain.score_config import ScoreCategory, ScoreConfig, ScoreForm
from twinlens.faces.mlflow.errors import invalid
from twinlens.faces.mlflow.pages import offset_of, token_behind
from twinlens.faces.mlflow.params import Params
from twinlens.faces.mlflow.wire import Call, Reply, RpcTable, present

rpcs = RpcTable()

_AT = "/mlflow/label-schemas"
_TYPES = ("FEEDBACK", "EXPECTATION")
#: Kind of input on the wire -> data type of the score config.
_INPUTS = {"pass_fail": "BOOLEAN", "categorical": "CATEGORICAL", "numeric": "NUMERIC", "text": "TEXT"}
MAX_OPTIONS = 10


def schema_json(config: ScoreConfig, experiment_id: str) -> dict[str, Any]:
    """A config as a label schema of ``experiment_id`` (one of the whole project belongs to whichever asks)."""
    form = config.form
    match config.data_type:
        case "BOOLEAN":
            given = {
                "pass_fail": {
                    "positive_label": form.positive_label or "True", "negative_label": form.negative_label or "False",
                }
            }  # fmt: skip
        case "CATEGORICAL":
            options = [category.label for category in config.categories or []]
            given = {"categorical": {"options": options, "multi_select": form.multi_select}}
        case "NUMERIC":
            given = {"numeric": present(min_value=config.min_value, max_value=config.max_value)}
        case _:
            given = {"text": present(max_length=form.max_length)}
    return present(
        schema_id=config.config_id, experiment_id=config.experiment_id or experiment_id, name=config.name,
        type=form.kind.upper(), instruction=config.description, enable_comment=form.enable_comment, input=given,
        created_by=form.created_by, created_at=config.created_ns // 1_000_000,
        last_updated_at=config.updated_ns // 1_000_000, is_default=form.standard,
    )  # fmt: skip


def _input(item: Params | None) -> dict[str, Any]:
    """Fields of a score config and, under ``form``, of its form that an ``input`` sets."""
    given = [(name, found) for name in _INPUTS if item is not None and (found := item.object(name)) is not None]
    if len(given) != 1:
        raise invalid(f"Label schema `input` must have exactly one of {', '.join(_INPUTS)} set.")
    name, found = given[0]
    fields: dict[str, Any] = {"data_type": _INPUTS[name], "form": {}}
    match name:
        case "pass_fail":
            fields["form"] = {
                "positive_label": found.text("positive_label") or "", "negative_label": found.text("negative_label") or "",
            }  # fmt: skip
        case "categorical":
            options = found.texts("options")
            if len(options) > MAX_OPTIONS or not all(1 <= len(option) <= 64 for option in options):
                raise invalid(f"`InputCategorical.options` must be up to {MAX_OPTIONS} texts of 1 to 64 characters.")
            fields["categories"] = [ScoreCategory(option, float(index)) for index, option in enumerate(options)]
            fields["form"] = {"multi_select": found.boolean("multi_select") or False}
        case "numeric":
            fields |= {"min_value": found.number("min_value"), "max_value": found.number("max_value")}
        case _:
            fields["form"] = {"max_length": found.integer("max_length")}
    return fields


def _answer(config: ScoreConfig, experiment_id: str = "0") -> Reply:
    return {"label_schema": schema_json(config, experiment_id)}


def _get(call: Call, schema_id: str) -> ScoreConfig:
    try:
        return call.services.score_configs.get(call.project_id, schema_id)
    except NotFound:
        raise NotFound(f"Label schema with id '{schema_id}' not found.") from None


@rpcs.rpc("POST", "3.0", _AT + "/create")
def create(call: Call) -> Reply:
    """A new label schema in an experiment."""
    params = call.params
    experiment_id = params.required("experiment_id")
    call.services.experiments.get(call.project_id, experiment_id)
    fields = _input(params.object("input"))
    form = ScoreForm(
        kind=(params.enum("type", _TYPES) or "FEEDBACK").lower(), enable_comment=params.boolean("enable_comment") or False,
        created_by=call.user or None, **fields.pop("form"),
    )  # fmt: skip
    config = ScoreConfig(
        config_id="", name=params.required("name"), description=params.text("instruction"), experiment_id=experiment_id,
        form=form, **fields,
    )  # fmt: skip
    return _answer(call.services.score_configs.create(call.project_id, config))


@rpcs.rpc("GET", "3.0", _AT + "/get")
def get(call: Call) -> Reply:
    """One label schema."""
    return _answer(_get(call, call.params.required("schema_id")))


@rpcs.rpc("GET", "3.0", _AT + "/get-by-name")
def get_by_name(call: Call) -> Reply:
    """The label schema of an experiment with this name."""
    experiment_id, name = call.params.required("experiment_id"), call.params.required("name")
    call.services.experiments.get(call.project_id, experiment_id)
    for config in call.services.score_configs.of_experiment(call.project_id, experiment_id):
        if config.name == name:
            return _answer(config, experiment_id)
    raise NotFound(f"Label schema with name '{name}' not found for experiment '{experiment_id}'.")


@rpcs.rpc("GET", "3.0", _AT + "/list")
def list_schemas(call: Call) -> Reply:
    """A page of an experiment's label schemas, newest first."""
    experiment_id = call.params.required("experiment_id")
    call.services.experiments.get(call.project_id, experiment_id)
    limit, offset = call.params.max_results(100, 1_000), offset_of(call.params.text("page_token"))
    found = call.services.score_configs.of_experiment(call.project_id, experiment_id)
    shown = found[offset : offset + limit]
    return present(
        label_schemas=[schema_json(config, experiment_id) for config in shown] or None,
        next_page_token=token_behind(offset, len(shown), len(found)),
    )


@rpcs.rpc("PATCH", "3.0", _AT + "/update")
def update(call: Call) -> Reply:
    """Change what is sent; type and kind of input stay."""
    params = call.params
    stored = _get(call, params.required("schema_id"))
    changes: dict[str, Any] = {}
    form: dict[str, Any] = {}
    if params.has("name"):
        changes["name"] = params.text("name")
    if params.has("instruction"):
        changes["description"] = params.text("instruction")
    if params.has("enable_comment"):
        form["enable_comment"] = params.boolean("enable_comment")
    if params.has("input"):
        fields = _input(params.object("input"))
        if fields["data_type"] != stored.data_type:
            raise InvalidArgument("A label schema's input type cannot be changed after creation.")
        form |= fields.pop("form")
        changes |= fields
    changes["form"] = msgspec.structs.replace(stored.form, **form)
    return _answer(call.services.score_configs.update(call.project_id, stored.config_id, **changes))


@rpcs.rpc("DELETE", "3.0", _AT + "/delete")
def delete(call: Call) -> Reply:
    """Remove a label schema; none of that id is no error."""
    call.services.score_configs.delete(call.project_id, call.params.required("schema_id"))
    return None
