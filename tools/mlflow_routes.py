"""Lists the routes of MLflow's server from the installed package, for docs/compatibility/mlflow.md.

    PYTHONPATH=.envs/mlflow318 .envs/mlflow/bin/python tools/mlflow_routes.py > docs/compatibility/mlflow_routes.tsv

RPCs come from the descriptors of its protocol, the rest from its route tables. Run it when the pinned MLflow changes.
Columns: area, call, verb, version, path. Version is empty for a path at the root; ``ajax`` marks paths for browsers only.
"""

from __future__ import annotations

import os
import re
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("MLFLOW_TRACKING_URI", "sqlite:///:memory:")

#: Area by the beginning of the path, the first that fits.
AREAS = (
    (r"/v1/traces|/mlflow/get-trace-artifact|/mlflow/(unified-traces|get-online-trace)", "Traces"),
    (r"/mlflow/traces/\{\w+\}/assessments", "Assessments"),
    (r"/mlflow/traces", "Traces"),
    (r"/mlflow/experiments", "Experiments"),
    (r"/mlflow/(runs|metrics)", "Runs and metrics"),
    (r"/mlflow/logged-models", "Logged models"),
    (r"/mlflow/(registered-models|model-versions)", "Model registry and prompts"),
    (r"/mlflow-artifacts|/mlflow/(artifacts|upload-artifact)|/get-artifact|/model-versions/get-artifact", "Artifacts"),
    (r"/mlflow/datasets", "Evaluation datasets"),
    (r"/mlflow/(scorers?|genai|jobs|prompt-optimization)|/jobs", "Scorers and jobs"),
    (r"/mlflow/webhooks", "Webhooks"),
    (r"/mlflow/(label-schemas|review-queues|issues)", "Review and issues"),
    (r"/mlflow/gateway|/gateway", "AI gateway"),
    (r"/mlflow/(mcp-servers|skills)", "MCP servers and skills"),
    (r"/mlflow/(users|roles)|/signup", "Users and permissions"),
    (r"/mlflow/workspaces", "Workspaces"),
    (r"", "Server and page"),
)
#: What stands before the paths of a router, by the beginning of its name.
PREFIXES = {"mcp": "/api/3.0/mlflow/mcp-servers", "skill": "/api/3.0/mlflow/skills"}
#: What tables of routes do not name: verb, path -> call.
NAMES = {
    "GET /graphql": "graphql", "POST /graphql": "graphql", "POST /v1/traces": "exportTraces (OTLP)",
    "GET /mlflow/metrics/get-history-bulk": "getMetricHistoryBulk", "GET /get-artifact": "getArtifact",
}  # fmt: skip

Route = tuple[str, str, str, str]  # call, verb, version, path


def plain(path: str) -> str:
    """Parameters as ``{name}``, without converters, types and messages."""
    path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", path)
    path = re.sub(r"\{(?:\w+\.)?(\w+)(?::\w+)?\}", r"{\1}", path)
    return path if path.startswith("/") else "/" + path


def split(path: str) -> tuple[str, str]:
    """A path with prefix -> version, rest."""
    found = re.match(r"/(ajax-api|api)/(\d\.\d)(?=/)", path)
    if not found:
        return "", plain(path)
    return ("ajax " if found[1] == "ajax-api" else "") + found[2], plain(path[found.end() :])


def rpcs() -> Iterator[Route]:
    """What the protocol's descriptors declare."""
    from mlflow.protos import databricks_pb2, mlflow_artifacts_pb2, model_registry_pb2, service_pb2, webhooks_pb2

    for service in (
        service_pb2.MlflowService, model_registry_pb2.ModelRegistryService, mlflow_artifacts_pb2.MlflowArtifactsService,
        webhooks_pb2.WebhookService,
    ):  # fmt: skip
        for method in service.DESCRIPTOR.methods:
            for endpoint in method.GetOptions().Extensions[databricks_pb2.rpc].endpoints:
                yield method.name, endpoint.method, f"{endpoint.since.major}.0", plain(endpoint.path)


def tables() -> Iterator[Route]:
    """What is registered by hand: Flask rules, FastAPI routers, constants of the application that signs in
    (which is not imported: that needs more packages)."""
    import mlflow.server.fastapi_app as fast
    from fastapi import APIRouter
    from mlflow.server import app

    for rule in app.url_map.iter_rules():
        for verb in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            yield rule.endpoint, verb, *split(rule.rule)
    for name, router in vars(fast).items():
        if isinstance(router, APIRouter):
            prefix = next((prefix for start, prefix in PREFIXES.items() if name.startswith(start)), "")
            for route in router.routes:
                handler: Any = route
                for verb in handler.methods:
                    yield handler.name, verb, *split(prefix + handler.path)
    verbs = {
        "UPDATE": "PATCH",
        "DELETE": "DELETE",
        "GET": "GET",
        "LIST": "GET",
        "REMOVE": "DELETE",
        "UNASSIGN": "DELETE",
    }
    for name, path in runpy.run_path(str(Path(fast.__file__).parent / "auth" / "routes.py")).items():
        if isinstance(path, str) and path.startswith("/api/") and not name.startswith("_"):
            words = name.lower().split("_")
            if words[0] == "online":  # its name says no verb, and the application's own rules have it
                continue
            verb = verbs.get(name.split("_")[0], "POST")
            yield words[0] + "".join(map(str.title, words[1:])), verb, *split(path)


def main() -> None:
    """Print one line a route."""
    found: dict[tuple[str, str, str], str] = {}
    shapes: set[tuple[str, str, str]] = set()
    for call, verb, version, path in (*rpcs(), *tables()):
        shape = (verb, version.removeprefix("ajax "), re.sub(r"\{\w+\}", "{}", path.rstrip("/") or "/"))
        if shape in shapes or path == "/mlflow/demo" or re.search(r"/static-files|/build/|^/$|2.0mlflow", path):
            continue
        shapes.add(shape)
        call = NAMES.get(f"{verb} {path}", call.strip("_"))
        words = [word for word in call.removesuffix("_handler").removeprefix("serve_").split("_") if word]
        found[verb, version, path] = words[0] + "".join(word[:1].upper() + word[1:] for word in words[1:])
    order = [name for _, name in dict.fromkeys(AREAS)]
    lines = [
        (next(area for start, area in AREAS if re.match(start, path)), call, verb, version, path)
        for (verb, version, path), call in found.items()
    ]
    lines.sort(key=lambda line: order.index(line[0]))
    sys.stdout.writelines("\t".join(line) + "\n" for line in lines)


if __name__ == "__main__":
    main()
