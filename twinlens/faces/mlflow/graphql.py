"""The GraphQL that MLflow's browser page asks: runs, experiments, metric samples, model versions, artifacts, data sets.

The schema is MLflow's own as far as queries of its page reach, its resolvers are the handlers of the REST calls: a GraphQL
field is the camel-case name of the REST field. Rules of the wire (MLflow 3.18, ``server/graphql``): 64-bit integers are texts,
a NaN is null, errors stand in ``errors`` as plain messages with status 200, one request has few root fields and aliases.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

import msgspec

from twinlens.domain.errors import TwinlensError
from twinlens.faces.http import in_thread
from twinlens.faces.mlflow import artifacts, experiments, metrics, registry, runs
from twinlens.faces.mlflow.errors import MlflowError, invalid
from twinlens.faces.mlflow.params import Params
from twinlens.faces.mlflow.resources import targets
from twinlens.faces.mlflow.wire import Call, Reply, RpcTable

if TYPE_CHECKING:
    from graphql import DocumentNode, GraphQLResolveInfo, GraphQLSchema, SelectionSetNode

rpcs = RpcTable()

MAX_DEPTH = 10
MAX_SELECTIONS = 1_000
MAX_ROOT_FIELDS = 10
MAX_ALIASES = 10
MAX_QUERY = 100_000  #: characters

_SCHEMA = """
directive @component(name: String!) on QUERY | MUTATION

type Query {
  test(inputString: String): Test
  mlflowGetExperiment(input: MlflowGetExperimentInput): MlflowGetExperimentResponse
  mlflowGetRun(input: MlflowGetRunInput): MlflowGetRunResponse
  mlflowSearchRuns(input: MlflowSearchRunsInput): MlflowSearchRunsResponse
  mlflowGetMetricHistoryBulkInterval(input: MlflowGetMetricHistoryBulkIntervalInput): MlflowGetMetricHistoryBulkIntervalResponse
  mlflowListArtifacts(input: MlflowListArtifactsInput): MlflowListArtifactsResponse
  mlflowSearchModelVersions(input: MlflowSearchModelVersionsInput): MlflowSearchModelVersionsResponse
}
type Mutation {
  testMutation(inputString: String): Test
  mlflowSearchRuns(input: MlflowSearchRunsInput): MlflowSearchRunsResponse
  mlflowSearchDatasets(input: MlflowSearchDatasetsInput): MlflowSearchDatasetsResponse
}

scalar LongString
type Test { output: String }
type ApiError { code: String, message: String, helpUrl: String, traceId: String }
type MlflowPair { key: String, value: String }

input MlflowGetExperimentInput { experimentId: String }
type MlflowGetExperimentResponse { experiment: MlflowExperiment, apiError: ApiError }
type MlflowExperiment {
  experimentId: String, name: String, artifactLocation: String, lifecycleStage: String, lastUpdateTime: LongString,
  creationTime: LongString, tags: [MlflowPair!], effectiveTraceArchivalRetention: String, workspace: String
}

input MlflowGetRunInput { runId: String, runUuid: String }
input MlflowSearchRunsInput {
  experimentIds: [String], filter: String, runViewType: MlflowViewType, maxResults: Int, orderBy: [String], pageToken: String
}
enum MlflowViewType { ACTIVE_ONLY DELETED_ONLY ALL }
type MlflowGetRunResponse { run: MlflowRun, apiError: ApiError }
type MlflowSearchRunsResponse { runs: [MlflowRun!], nextPageToken: String, apiError: ApiError }
type MlflowRun {
  info: MlflowRunInfo, data: MlflowRunData, inputs: MlflowRunInputs, outputs: MlflowRunOutputs, experiment: MlflowExperiment, modelVersions: [MlflowModelVersion!]
}
enum MlflowRunStatus { RUNNING SCHEDULED FINISHED FAILED KILLED }
type MlflowRunInfo {
  runId: String, runUuid: String, runName: String, experimentId: String, userId: String, status: MlflowRunStatus,
  startTime: LongString, endTime: LongString, artifactUri: String, lifecycleStage: String
}
type MlflowRunData { metrics: [MlflowMetric!], params: [MlflowPair!], tags: [MlflowPair!] }
type MlflowMetric {
  key: String, value: Float, timestamp: LongString, step: LongString, datasetName: String, datasetDigest: String,
  modelId: String, runId: String
}
type MlflowRunInputs { datasetInputs: [MlflowDatasetInput!], modelInputs: [MlflowModelInput!] }
type MlflowDatasetInput { tags: [MlflowPair!], dataset: MlflowDataset }
type MlflowDataset { name: String, digest: String, sourceType: String, source: String, schema: String, profile: String }
type MlflowModelInput { modelId: String }
type MlflowRunOutputs { modelOutputs: [MlflowModelOutput!] }
type MlflowModelOutput { modelId: String, step: LongString }

input MlflowGetMetricHistoryBulkIntervalInput { runIds: [String], metricKey: String, startStep: Int, endStep: Int, maxResults: Int }
type MlflowGetMetricHistoryBulkIntervalResponse { metrics: [MlflowMetric!], apiError: ApiError }

input MlflowListArtifactsInput { runId: String, runUuid: String, path: String, pageToken: String }
type MlflowListArtifactsResponse { rootUri: String, files: [MlflowFileInfo!], nextPageToken: String, apiError: ApiError }
type MlflowFileInfo { path: String, isDir: Boolean, fileSize: LongString }

input MlflowSearchModelVersionsInput { filter: String, maxResults: LongString, orderBy: [String], pageToken: String }
type MlflowSearchModelVersionsResponse { modelVersions: [MlflowModelVersion!], nextPageToken: String, apiError: ApiError }
enum MlflowModelVersionStatus { PENDING_REGISTRATION FAILED_REGISTRATION READY }
type MlflowModelVersion {
  name: String, version: String, creationTimestamp: LongString, lastUpdatedTimestamp: LongString, userId: String,
  currentStage: String, description: String, source: String, runId: String, status: MlflowModelVersionStatus, statusMessage: String,
  tags: [MlflowPair!], runLink: String, aliases: [String], modelId: String, modelParams: [MlflowModelParam!], modelMetrics: [MlflowMetric!]
}
type MlflowModelParam { name: String, value: String }

input MlflowSearchDatasetsInput { experimentIds: [String] }
type MlflowSearchDatasetsResponse { datasetSummaries: [MlflowDatasetSummary!], apiError: ApiError }
type MlflowDatasetSummary { experimentId: String, name: String, digest: String, context: String }
"""

_ROOTS: dict[str, Callable[[Call], Any]] = {
    "mlflowGetExperiment": experiments.get,
    "mlflowGetRun": runs.get,
    "mlflowSearchRuns": runs.search,
    "mlflowGetMetricHistoryBulkInterval": metrics.get_history_bulk_interval,
    "mlflowListArtifacts": artifacts.list_run,
    "mlflowSearchModelVersions": registry.search_versions,
    "mlflowSearchDatasets": experiments.search_datasets,
}


def _snake(name: str) -> str:
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in name)


@lru_cache(maxsize=1)
def _schema() -> GraphQLSchema:
    from graphql import build_schema

    return build_schema(_SCHEMA)


async def _root(_source: Any, info: GraphQLResolveInfo[Any], **given: Any) -> Any:
    """Answer a field of ``Query`` or ``Mutation`` as the REST call of the same name does."""
    if info.field_name.startswith("test"):
        return {"output": given.get("inputString")}
    call = cast("Call", info.context)
    fields = {name: value for name, value in (given.get("input") or {}).items() if value is not None}
    inner = Call(call.services, call.project_id, call.user, call.request, Params(fields), {})
    inner.who = call.who
    await in_thread(_permit, inner, info.field_name)
    if info.field_name == "mlflowListArtifacts":
        return await cast("Awaitable[Any]", artifacts.list_run(inner))
    answer = await in_thread(_ROOTS[info.field_name], inner)
    return msgspec.to_builtins(answer)  # structs in it are objects too


#: These leave out what the caller may not read.
_SEARCHES = frozenset({"mlflowSearchRuns", "mlflowSearchModelVersions"})


def _permit(call: Call, field: str) -> None:
    """Judge who has grants by what the field is about.

    Raises:
        PermissionDenied: not with these resources.
    """
    if call.caller.grants:
        if field not in _SEARCHES:
            call.services.permissions.check(call.caller, "read", targets(call, "", call.params))
    else:
        call.caller.require("read")


async def _experiment(run: dict[str, Any], call: Call) -> Any:
    found = await in_thread(call.services.experiments.get, call.project_id, run["info"]["experiment_id"])
    return experiments.experiment_json(found)


async def _versions(run: dict[str, Any], call: Call) -> Any:
    params = Params({"filter": f"run_id='{run['info']['run_id']}'"})
    inner = Call(call.services, call.project_id, call.user, call.request, params, {}, who=call.who)
    found = cast("dict[str, Any]", await in_thread(registry.search_versions, inner))
    return found.get("model_versions", [])


def _field(source: Any, info: GraphQLResolveInfo[Any], **given: Any) -> Any:
    """Resolve one field: at the root by a call, below from the call's answer."""
    if not isinstance(source, dict):
        return _root(source, info, **given)
    value = cast("dict[str, Any]", source)
    if info.parent_type.name == "MlflowRun" and info.field_name == "experiment":
        return _experiment(value, info.context)
    if info.parent_type.name == "MlflowRun" and info.field_name == "modelVersions":
        return _versions(value, info.context)
    found = value.get(_snake(info.field_name))
    named = str(info.return_type)
    if found is None and named.startswith("["):
        return []  # an omitted list is an empty one here
    if named == "Float" and (isinstance(found, str) or (isinstance(found, float) and not math.isfinite(found))):
        return None
    return str(found) if named == "LongString" and found is not None else found


def _check(document: DocumentNode) -> None:
    """Refuse queries that are deeper or wider than any page's.

    Raises:
        MlflowError: what is too much.
    """
    from graphql import (
        FieldNode,
        FragmentDefinitionNode,
        FragmentSpreadNode,
        InlineFragmentNode,
        OperationDefinitionNode,
    )

    fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
    selections = 0

    def walk(chosen: SelectionSetNode | None, depth: int, inside: frozenset[str]) -> tuple[int, int]:
        """Fields and aliases of one level, fragments included."""
        nonlocal selections
        if chosen is None:
            return 0, 0
        if depth > MAX_DEPTH:
            raise invalid(f"Query exceeds maximum depth of {MAX_DEPTH}")
        fields = aliases = 0
        for node in chosen.selections:
            selections += 1
            if selections > MAX_SELECTIONS:
                raise invalid(f"Query exceeds maximum total selections of {MAX_SELECTIONS}")
            if isinstance(node, FieldNode):
                fields, aliases = fields + 1, aliases + (node.alias is not None)
                walk_aliases = walk(node.selection_set, depth + 1, inside)[1]
                if walk_aliases > MAX_ALIASES:
                    raise invalid(f"GraphQL queries should have at most {MAX_ALIASES} aliases, got {walk_aliases}.")
            elif isinstance(node, InlineFragmentNode):
                more = walk(node.selection_set, depth, inside)
                fields, aliases = fields + more[0], aliases + more[1]
            elif (
                isinstance(node, FragmentSpreadNode) and node.name.value not in inside and node.name.value in fragments
            ):
                more = walk(fragments[node.name.value].selection_set, depth, inside | {node.name.value})
                fields, aliases = fields + more[0], aliases + more[1]
        return fields, aliases

    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode):
            roots, aliases = walk(definition.selection_set, 1, frozenset())
            if roots > MAX_ROOT_FIELDS:
                raise invalid(f"GraphQL queries should have at most {MAX_ROOT_FIELDS} root fields, got {roots}.")
            if aliases > MAX_ALIASES:
                raise invalid(f"GraphQL queries should have at most {MAX_ALIASES} aliases, got {aliases}.")


@rpcs.rpc("GET", "", "/graphql", scope="known")
@rpcs.rpc("POST", "", "/graphql", scope="known")
async def graphql(call: Call) -> Reply:
    """Execute one query."""
    from graphql import GraphQLError, parse, validate
    from graphql.execution import ExecutionResult, execute

    query = call.params.required("query")
    if len(query) > MAX_QUERY:
        raise invalid(f"The query has more than {MAX_QUERY} characters.")
    variables = call.params.raw("variables")
    try:
        document = parse(query, max_tokens=10 * MAX_SELECTIONS)
        _check(document)
    except (GraphQLError, MlflowError) as error:
        return {"data": None, "errors": [error.message]}
    problems = validate(_schema(), document, max_errors=5)
    if problems:
        return {"data": None, "errors": [problem.message for problem in problems]}
    running = execute(
        _schema(), document, context_value=call, field_resolver=_field,
        variable_values=cast("dict[str, Any]", variables) if isinstance(variables, dict) else None,
        operation_name=call.params.text("operationName"),
    )  # fmt: skip
    result = running if isinstance(running, ExecutionResult) else await running
    messages: list[str] = []
    for error in result.errors or []:
        original = error.original_error
        if original is not None and not isinstance(original, MlflowError | TwinlensError | GraphQLError):
            raise original
        messages.append(error.message)
    return {"data": result.data, "errors": messages or None}
