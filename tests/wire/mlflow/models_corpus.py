"""Requests about logged models, the registry, prompts, artifacts and GraphQL; continues ``tracking_corpus``."""

from __future__ import annotations

from typing import Any

from tests.wire.mlflow.tracking_corpus import Step, get, post

MODELS, VERSIONS = "/registered-models", "/model-versions"
PROMPT = "mlflow.prompt.is_prompt"


def patch(path: str, body: Any, **keep: str) -> Step:
    """A PATCH with a JSON body."""
    return Step("PATCH", path, body, keep)


def delete(path: str, body: Any = None) -> Step:
    """A DELETE with a JSON body."""
    return Step("DELETE", path, {} if body is None else body)


LOGGED_MODELS = [
    post("/logged-models", {"experiment_id": "{e1}", "name": "net", "model_type": "t", "source_run_id": "{r1}", "params": [
        {"key": "layers", "value": "2"}], "tags": [{"key": "team", "value": "a"}]}, m1="model.info.model_id"),
    post("/logged-models", {"experiment_id": "{e1}", "name": "other"}, m2="model.info.model_id"),
    post("/logged-models", {"experiment_id": "{e2}", "name": "odd", "params": [{"key": "a?b", "value": "x" * 6_001}, {
        "key": "k" * 251, "value": ""}], "tags": [{"key": "a?b", "value": "x" * 8_001}]}, m3="model.info.model_id"),
    get("/logged-models/{m3}"),
    post("/logged-models", {"experiment_id": "{e1}", "name": "a/b"}),
    post("/logged-models", {"experiment_id": "nope", "name": "x"}),
    post("/logged-models", {"name": "x"}),
    get("/logged-models/{m1}"),
    get("/logged-models/m-nope"),
    patch("/logged-models/{m1}", {"model_id": "{m1}", "status": "LOGGED_MODEL_READY"}),
    patch("/logged-models/m-nope", {"model_id": "m-nope", "status": "LOGGED_MODEL_READY"}),
    patch("/logged-models/{m1}/tags", {"tags": [{"key": "k", "value": "v"}]}),
    patch("/logged-models/m-nope/tags", {"tags": [{"key": "k", "value": "v"}]}),
    delete("/logged-models/{m1}/tags/k"),
    delete("/logged-models/{m1}/tags/nope"),
    post("/logged-models/{m1}/params", {"model_id": "{m1}", "params": [{"key": "width", "value": "8"}]}),
    post("/logged-models/m-nope/params", {"model_id": "m-nope", "params": [{"key": "width", "value": "8"}]}),
    post("/runs/log-metric", {"run_id": "{r1}", "key": "f1", "value": 0.5, "timestamp": 3, "model_id": "{m1}"}),
    post("/runs/log-metric", {"run_id": "{r1}", "key": "f1", "value": 0.75, "timestamp": 4, "step": 1, "model_id": "{m1}",
        "dataset_name": "d", "dataset_digest": "abc"}),
    get("/logged-models/{m1}"),
    post("/logged-models/search", {"experiment_ids": ["{e1}"], "order_by": [{"field_name": "name", "ascending": True}]}),
    post("/logged-models/search", {"experiment_ids": ["{e1}"], "filter": "name = 'net'"}),
    post("/logged-models/search", {"experiment_ids": ["{e1}"], "filter": "params.layers = '2'"}),
    post("/logged-models/search", {"experiment_ids": ["{e1}"], "filter": "params.layers = 2 AND metrics.f1 > 0.6"}),
    post("/logged-models/search", {"experiment_ids": ["{e1}"], "filter": "tags.team = 'a'"}),
    post("/logged-models/search", {"experiment_ids": ["{e1}"], "filter": "metrics.f1 > 0.6"}),
    post("/logged-models/search", {"experiment_ids": ["{e1}"], "filter": "metrics.f1 > 0.9"}),
    post("/logged-models/search", {"experiment_ids": ["{e1}"], "filter": "metrics.f1 > 0.6", "datasets": [
        {"dataset_name": "d", "dataset_digest": "abc"}]}),
    post("/logged-models/search", {"experiment_ids": ["{e1}"], "filter": "metrics.f1 > 0.6", "datasets": [
        {"dataset_name": "zzz"}]}),
    post("/logged-models/search", {"experiment_ids": ["{e1}"], "filter": "model_type != 't'", "max_results": 10_000}),
    post("/logged-models/search", {"experiment_ids": ["{e1}"], "filter": "source_run_id NOT IN ('{r1}')"}),
    post("/logged-models/search", {"experiment_ids": ["{e1}"], "filter": "bogus.x = 'a'"}),
    post("/logged-models/search", {"experiment_ids": ["{e1}"], "filter": "name > 'a'"}),
    post("/logged-models/search", {"experiment_ids": ["{e1}"], "order_by": [{"field_name": "bogus.x"}]}),
    post("/logged-models/search", {"experiment_ids": ["{e1}"], "datasets": [{}]}),
    post("/logged-models/search", {"experiment_ids": ["{e1}"], "page_token": "garbage"}),
    delete("/logged-models/{m2}"),
    get("/logged-models/{m2}"),
    delete("/logged-models/{m2}"),
    delete("/logged-models/m-nope"),
    post("/logged-models/search", {"experiment_ids": ["{e1}"]}),
]  # fmt: skip

REGISTRY = [
    post(f"{MODELS}/create", {"name": "clf", "description": "d", "tags": [{"key": "team", "value": "a"}]}),
    post(f"{MODELS}/create", {"name": "clf"}),
    post(f"{MODELS}/create", {"name": ""}),
    post(f"{MODELS}/create", {"name": "a/b"}),
    post(f"{MODELS}/create", {"name": "second"}),
    get(f"{MODELS}/get", {"name": "clf"}),
    get(f"{MODELS}/get", {"name": "nope"}),
    get(f"{MODELS}/get"),
    post(f"{VERSIONS}/create", {"name": "clf", "source": "runs:/{r1}/model", "run_id": "{r1}", "description": "one", "tags": [
        {"key": "v", "value": "1"}]}),
    post(f"{VERSIONS}/create", {"name": "clf", "source": "models:/{m1}", "model_id": "{m1}"}),
    post(f"{VERSIONS}/create", {"name": "nope", "source": "runs:/{r1}/model", "run_id": "{r1}"}),
    post(f"{VERSIONS}/create", {"name": "clf"}),
    post(f"{VERSIONS}/create", {"name": "clf", "source": "file:///etc", "run_id": "{r1}"}),
    post(f"{VERSIONS}/create", {"name": "clf", "source": "mlflow-artifacts:/../../x", "run_id": "{r1}"}),
    *(post(f"{VERSIONS}/create", {"name": "clf", "source": source, "run_id": "{r1}"}) for source in (
        "http://models.example/x", "https://models.example/x", "ftp://models.example/x", "hdfs://models.example/x",
        "abfss://files@account.example/x", "mlflow-artifacts://models.example/x")),
    post(f"{VERSIONS}/create", {"name": "second", "source": "s3://bucket/x"}),
    get(f"{VERSIONS}/get", {"name": "clf", "version": "1"}),
    get(f"{VERSIONS}/get", {"name": "clf", "version": "9"}),
    get(f"{VERSIONS}/get", {"name": "clf", "version": "x"}),
    get(f"{VERSIONS}/get", {"name": "clf"}),
    get(f"{VERSIONS}/get-download-uri", {"name": "clf", "version": "1"}),
    get(f"{VERSIONS}/get-download-uri", {"name": "clf", "version": "9"}),
    patch(f"{VERSIONS}/update", {"name": "clf", "version": "1", "description": "new"}),
    patch(f"{VERSIONS}/update", {"name": "clf", "version": "9", "description": "new"}),
    patch(f"{MODELS}/update", {"name": "clf", "description": "new"}),
    patch(f"{MODELS}/update", {"name": "nope", "description": "new"}),
    post(f"{VERSIONS}/set-tag", {"name": "clf", "version": "1", "key": "k", "value": "v"}),
    post(f"{VERSIONS}/set-tag", {"name": "clf", "version": "9", "key": "k", "value": "v"}),
    post(f"{VERSIONS}/set-tag", {"name": "clf", "version": "1", "value": "v"}),
    delete(f"{VERSIONS}/delete-tag", {"name": "clf", "version": "1", "key": "k"}),
    delete(f"{VERSIONS}/delete-tag", {"name": "clf", "version": "1", "key": "nope"}),
    post(f"{MODELS}/set-tag", {"name": "clf", "key": "k", "value": "v"}),
    post(f"{MODELS}/set-tag", {"name": "nope", "key": "k", "value": "v"}),
    delete(f"{MODELS}/delete-tag", {"name": "clf", "key": "k"}),
    post(f"{MODELS}/alias", {"name": "clf", "alias": "champion", "version": "1"}),
    post(f"{MODELS}/alias", {"name": "clf", "alias": "latest", "version": "1"}),
    post(f"{MODELS}/alias", {"name": "clf", "alias": "v3", "version": "1"}),
    post(f"{MODELS}/alias", {"name": "clf", "alias": "a b", "version": "1"}),
    post(f"{MODELS}/alias", {"name": "clf", "alias": "x", "version": "9"}),
    get(f"{MODELS}/alias", {"name": "clf", "alias": "champion"}),
    get(f"{MODELS}/alias", {"name": "clf", "alias": "nope"}),
    get(f"{MODELS}/get", {"name": "clf"}),
    delete(f"{MODELS}/alias", {"name": "clf", "alias": "champion"}),
    delete(f"{MODELS}/alias", {"name": "clf", "alias": "champion"}),
    post(f"{VERSIONS}/transition-stage", {"name": "clf", "version": "1", "stage": "production", "archive_existing_versions": False}),
    post(f"{VERSIONS}/transition-stage", {"name": "clf", "version": "2", "stage": "Production", "archive_existing_versions": True}),
    post(f"{VERSIONS}/transition-stage", {"name": "clf", "version": "1", "stage": "bogus", "archive_existing_versions": False}),
    post(f"{VERSIONS}/transition-stage", {"name": "clf", "version": "1", "stage": "None", "archive_existing_versions": True}),
    post(f"{MODELS}/get-latest-versions", {"name": "clf"}),
    post(f"{MODELS}/get-latest-versions", {"name": "clf", "stages": ["Production"]}),
    post(f"{MODELS}/get-latest-versions", {"name": "clf", "stages": ["bogus"]}),
    get(f"{MODELS}/get-latest-versions", {"name": "nope"}),
    get(f"{MODELS}/search"),
    get(f"{MODELS}/search", {"max_results": 1}),
    get(f"{MODELS}/search", {"max_results": 1001}),
    get(f"{MODELS}/search", {"filter": "name LIKE 'c%'"}),
    get(f"{MODELS}/search", {"filter": "name ILIKE 'C%'"}),
    get(f"{MODELS}/search", {"filter": "tags.team = 'a'"}),
    get(f"{MODELS}/search", {"filter": f"tags.`{PROMPT}` != 'true'"}),
    get(f"{MODELS}/search", {"filter": "bogus = 'a'"}),
    get(f"{MODELS}/search", {"order_by": ["name DESC"]}),
    get(f"{MODELS}/search", {"order_by": ["bogus"]}),
    get(f"{VERSIONS}/search", {"filter": "name = 'clf'"}),
    get(f"{VERSIONS}/search"),
    get(f"{VERSIONS}/get", {"name": "clf", "version": "-1"}),
    get(f"{VERSIONS}/search", {"filter": "run_id = '{r1}'"}),
    get(f"{VERSIONS}/search", {"filter": "tags.v = '1'"}),
    get(f"{VERSIONS}/search", {"filter": "bogus = '1'"}),
    get(f"{VERSIONS}/search", {"filter": "name = 'clf'", "order_by": ["version_number ASC"]}),
    get(f"{VERSIONS}/search", {"filter": "version_number > 1"}),
    get(f"{VERSIONS}/search", {"filter": "version_number = 'x'"}),
    get(f"{VERSIONS}/search", {"filter": "version_number = '1' AND name = 'clf'"}),
    get(f"{VERSIONS}/search", {"filter": "run_id = ''"}),
    get(f"{VERSIONS}/search", {"filter": "run_id != '{r1}'"}),
    post(f"{MODELS}/rename", {"name": "second", "new_name": "renamed"}),
    post(f"{MODELS}/rename", {"name": "nope", "new_name": "renamed2"}),
    post(f"{MODELS}/rename", {"name": "renamed", "new_name": "clf"}),
    delete(f"{VERSIONS}/delete", {"name": "clf", "version": "2"}),
    delete(f"{VERSIONS}/delete", {"name": "clf", "version": "2"}),
    get(f"{VERSIONS}/get", {"name": "clf", "version": "2"}),
    delete(f"{MODELS}/delete", {"name": "renamed"}),
    delete(f"{MODELS}/delete", {"name": "renamed"}),
    delete(f"{MODELS}/delete"),
]  # fmt: skip

_IS_PROMPT = {"key": PROMPT, "value": "true"}
PROMPTS = [
    post(f"{MODELS}/create", {"name": "greet", "tags": [_IS_PROMPT]}),
    post(f"{MODELS}/create", {"name": "greet"}),
    post(f"{MODELS}/create", {"name": "clf", "tags": [_IS_PROMPT]}),
    post(f"{VERSIONS}/create", {"name": "greet", "source": "dummy-source", "description": "first", "tags": [
        _IS_PROMPT, {"key": "mlflow.prompt.text", "value": "Hi {{name}}"}, {"key": "_mlflow_prompt_type", "value": "text"}]}),
    post(f"{VERSIONS}/create", {"name": "greet", "source": "dummy-source", "tags": [
        _IS_PROMPT, {"key": "mlflow.prompt.text", "value": '[{"role": "user", "content": "Hi"}]'},
        {"key": "_mlflow_prompt_type", "value": "chat"}]}),
    get(f"{MODELS}/get", {"name": "greet"}),
    get(f"{VERSIONS}/get", {"name": "greet", "version": "1"}),
    get(f"{VERSIONS}/get", {"name": "greet", "version": "9"}),
    post(f"{MODELS}/alias", {"name": "greet", "alias": "prod", "version": "1"}),
    get(f"{MODELS}/alias", {"name": "greet", "alias": "prod"}),
    get(f"{MODELS}/search", {"filter": f"tags.`{PROMPT}` = 'true'"}),
    get(f"{MODELS}/search", {"filter": f"name LIKE 'g%' AND tags.`{PROMPT}` = 'true'"}),
    get(f"{MODELS}/search", {"filter": "name LIKE 'g%'"}),
    get(f"{VERSIONS}/search", {"filter": f"name = 'greet' AND tags.`{PROMPT}` = 'true'"}),
    get(f"{VERSIONS}/search", {"filter": "name = 'greet'"}),
    post(f"{VERSIONS}/set-tag", {"name": "greet", "version": "1", "key": "lang", "value": "en"}),
    post(f"{VERSIONS}/set-tag", {"name": "greet", "version": "1", "key": "_mlflow_prompt_model_config", "value": '{"temperature": 0.3}'}),
    get(f"{VERSIONS}/get", {"name": "greet", "version": "1"}),
    delete(f"{VERSIONS}/delete", {"name": "greet", "version": "2"}),
    delete(f"{MODELS}/alias", {"name": "greet", "alias": "prod"}),
]  # fmt: skip

ARTIFACTS = [
    get("/artifacts/list", {"run_id": "{r1}"}),
    get("/artifacts/list", {"run_id": "nope"}),
    get("/artifacts/list"),
    get("/artifacts/list", {"run_id": "{r1}", "path": "../x"}),
    get("//api/2.0/mlflow-artifacts/artifacts/nope.txt"),
    get("//api/2.0/mlflow-artifacts/artifacts", {"path": "nope"}),
    get("//api/2.0/mlflow-artifacts/artifacts", {"path": "/"}),
    Step("HEAD", "//api/2.0/mlflow-artifacts/artifacts/nope.txt", {}),
    get("//get-artifact", {"run_id": "{r1}", "path": "nope"}),
    get("//ajax-api/2.0/mlflow/logged-models/{m1}/artifacts/files", {"artifact_file_path": "nope"}),
    get("/logged-models/{m1}/artifacts/directories"),
]

_RUN = '{ mlflowGetRun(input: {runId: "%s"}) { run { info { runUuid runName status startTime endTime } data { params { key value } } experiment { name tags { key value } } modelVersions { name version } } } }'
GRAPHQL = [
    post("//graphql", {"query": _RUN % "{r1}"}),
    post("//graphql", {"query": _RUN % "nope"}),
    post("//graphql", {"query": "query Q($input: MlflowGetExperimentInput!) { mlflowGetExperiment(input: $input) { experiment { name lifecycleStage tags { key value } } apiError { code } } }",
        "variables": {"input": {"experimentId": "{e1}"}}}),
    post("//graphql", {"query": "mutation { mlflowSearchRuns(input: {experimentIds: [\"{e1}\"], filter: \"params.lr = '0.1'\"}) { runs { info { runName } data { metrics { key value step } } } } }"}),
    post("//graphql", {"query": "mutation { mlflowSearchDatasets(input: {experimentIds: [\"{e1}\"]}) { datasetSummaries { name digest context } } }"}),
    post("//graphql", {"query": "{ mlflowGetMetricHistoryBulkInterval(input: {runIds: [\"{r2}\"], metricKey: \"loss\", maxResults: 30}) { metrics { key value step timestamp } } }"}),
    post("//graphql", {"query": "{ mlflowListArtifacts(input: {runId: \"{r1}\"}) { files { path isDir fileSize } } }"}),
    post("//graphql", {"query": "{ mlflowSearchModelVersions(input: {filter: \"name = 'clf'\"}) { modelVersions { name version status aliases } } }"}),
    post("//graphql", {"query": "{ test(inputString: \"x\") { output } }"}),
]  # fmt: skip
