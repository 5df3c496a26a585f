"""MLflow's own browser page, unmodified, against Twinlens: every request it makes is answered, and the data shows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.mlflow_page import MlflowPage
from tests.servers import LiveServer
from tests.wire.mlflow.peer import MlflowPeer
from tests.wire.mlflow.recording import proven_routes, routes_of_test

__all__ = ["proven_routes", "routes_of_test"]

pytestmark = [pytest.mark.peer, pytest.mark.slow]

SEED = """
import math, time
import numpy as np
import pandas as pd
from sklearn.linear_model import LinearRegression
from mlflow.models import infer_signature
from mlflow.entities import Metric, Param
mlflow.set_experiment("page")
exp = mlflow.get_experiment_by_name("page").experiment_id
ids = []
for index in range(3):
    with mlflow.start_run(run_name=f"train-{index}", tags={"team": "vision"}) as run:
        mlflow.log_params({"lr": 0.1 / (index + 1), "depth": index})
        now = int(time.time() * 1000)
        client.log_batch(run.info.run_id, metrics=[Metric("loss", math.exp(-s / 10) + index, now + s, s) for s in range(30)])
        mlflow.log_metric("accuracy", 0.8 + index / 100)
        mlflow.log_text("hello page", "notes/readme.txt")
        mlflow.log_dict({"a": 1}, "conf.json")
        ids.append(run.info.run_id)
X = np.arange(10.0).reshape(-1, 1); model = LinearRegression().fit(X, X[:, 0])
with mlflow.start_run(run_name="with-model") as run:
    mlflow.log_input(mlflow.data.from_pandas(pd.DataFrame({"x": X[:, 0]}), name="numbers"), context="training")
    info = mlflow.sklearn.log_model(model, name="lin", signature=infer_signature(X, model.predict(X)), input_example=X[:2], registered_model_name="page-model")
    mlflow.log_metric("rmse", 0.01, model_id=info.model_id)
    model_run = run.info.run_id
client.set_registered_model_alias("page-model", "champion", 1)
mlflow.genai.register_prompt("page-prompt", "Answer {{question}} shortly.", commit_message="first")
mlflow.genai.register_prompt("page-prompt", "Answer {{question}} in one word.", commit_message="second")
mlflow.genai.set_prompt_alias("page-prompt", "production", 2)

@mlflow.trace(span_type="LLM", name="chat")
def chat(messages):
    span = mlflow.get_current_active_span()
    span.set_attribute("mlflow.chat.tokenUsage", {"input_tokens": 120, "output_tokens": 30, "total_tokens": 150})
    span.set_attribute("mlflow.llm.model", "gpt-4o-mini")
    span.set_attribute("mlflow.llm.provider", "openai")
    return {"role": "assistant", "content": "Paris"}

@mlflow.trace(span_type="AGENT", name="page-agent")
def agent(question):
    mlflow.update_current_trace(tags={"team": "geo"}, metadata={"mlflow.trace.user": "ada", "mlflow.trace.session": "s-1"})
    return chat([{"role": "user", "content": question}])["content"]
traces = []
for q in ("What is the capital of France?", "And of Spain?"):
    agent(q); traces.append(mlflow.get_last_active_trace_id())
mlflow.flush_trace_async_logging()
mlflow.log_feedback(trace_id=traces[0], name="helpful", value=True, rationale="short")
mlflow.log_expectation(trace_id=traces[0], name="answer", value="Paris")
data = mlflow.genai.datasets.create_dataset(name="page-data", experiment_id=exp)
data.merge_records([{"inputs": {"question": "What is two and two?"}, "expectations": {"answer": "four"}}])
store = mlflow.tracking._tracking_service.utils._get_store()
from mlflow.entities import GatewayEndpointModelConfig, GatewayModelLinkageType
from mlflow.entities.gateway_budget_policy import BudgetAction, BudgetDuration, BudgetDurationUnit, BudgetTargetScope, BudgetUnit
secret = store.create_gateway_secret("page-key", {"api_key": "sk-0123456789"}, provider="openai")
served = store.create_gateway_model_definition("page-served", secret.secret_id, "openai", "gpt-4o-mini")
primary = GatewayEndpointModelConfig(served.model_definition_id, GatewayModelLinkageType.PRIMARY)
endpoint = store.create_gateway_endpoint("page-endpoint", [primary])
store.create_budget_policy(BudgetUnit.USD, 7, BudgetDuration(BudgetDurationUnit.WEEKS, 1), BudgetTargetScope.GLOBAL, BudgetAction.REJECT)
result = {"endpoint": endpoint.endpoint_id, "experiment": exp, "runs": ids, "run": ids[0], "trace": traces[0], "model_run": model_run, "model": info.model_id, "traces": traces}
"""
#: Requests that MLflow's own server refuses too, and why.
EXPECTED = {
    "GET /ajax-api/2.0/mlflow/users/current": "the page asks whether there are users; a server without sign-in has no such path",
}


@dataclass
class Walk:
    """One open page over one seeded server."""

    page: Page
    proxy: MlflowPage
    data: dict[str, Any]
    errors: list[str]

    def go(self, path: str) -> Page:
        """Follow a link inside the page; ``{experiment}`` and other names of the data are filled in."""
        path = re.sub(r"\{(\w+)\}", lambda found: str(self.data[found[1]]), path)
        self.page.goto(f"{self.proxy.url}/#{path}")
        return self.page

    def shows(self, *texts: str) -> None:
        """All texts become visible."""
        for text in texts:
            expect(self.page.get_by_text(text).locator("visible=true").first).to_be_visible(timeout=60_000)

    def check(self) -> None:
        """No request failed, no error in the console."""
        failed = [each for each in self.proxy.failed if not each.startswith(tuple(EXPECTED))]
        assert failed == []
        assert self.errors == []


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory, live_server: LiveServer
) -> Iterator[tuple[MlflowPage, dict[str, Any]]]:
    """MLflow's page in front of a server with runs, a model, a prompt and traces."""
    with MlflowPeer(live_server.url, tmp_path_factory.mktemp("peer")) as peer:
        data = peer.run(SEED)
    with MlflowPage(live_server.url) as proxy:
        yield proxy, data


@pytest.fixture(scope="module")
def context(browser: Browser) -> Iterator[BrowserContext]:
    """One visitor: the page is 20 MB of script, which a new one would have to load and compile for every test."""
    context = browser.new_context(viewport={"width": 1400, "height": 900}, reduced_motion="reduce")
    # The page's introductions would cover it.
    context.add_init_script(
        "for (const key of Object.keys(localStorage)) { if (key.includes('modal')) localStorage.setItem(key, 'true') }"
    )
    yield context
    context.close()


@pytest.fixture
def walk(context: BrowserContext, site: tuple[MlflowPage, dict[str, Any]]) -> Iterator[Walk]:
    """A fresh page; what it asked and logged is checked at the end."""
    page, errors = context.new_page(), list[str]()
    # Failed requests are told by the proxy, with their answers; the notice about resizing is the browser's own.
    ignored = ("Failed to load resource", "ResizeObserver loop")
    page.on(
        "console",
        lambda m: errors.append(m.text) if m.type == "error" and not any(i in m.text for i in ignored) else None,
    )
    page.on("pageerror", lambda error: errors.append(str(error)) if "ResizeObserver" not in str(error) else None)
    site[0].failed.clear()
    found = Walk(page, *site, errors)
    yield found
    page.close()
    found.check()


def test_experiments_and_runs(walk: Walk) -> None:
    walk.go("/experiments")
    walk.shows("page", "Default")
    walk.go("/experiments/{experiment}/runs")
    walk.shows("train-0", "train-1", "train-2", "with-model", "numbers")
    walk.go("/experiments/{experiment}/runs?compareRunsMode=CHART")
    walk.shows("Model metrics", "loss", "accuracy")


def test_one_run(walk: Walk) -> None:
    walk.go("/experiments/{experiment}/runs/{model_run}")
    walk.shows("with-model", "Finished", "page-model", "rmse", "numbers")
    walk.go("/experiments/{experiment}/runs/{run}/model-metrics")
    walk.shows("Model metrics", "loss")
    page = walk.go("/experiments/{experiment}/runs/{run}/artifacts")
    page.get_by_text("conf.json").first.click()
    walk.shows('"a": 1')


def test_compare(walk: Walk) -> None:
    runs, experiments = json.dumps(walk.data["runs"]), json.dumps([walk.data["experiment"]])
    walk.go(f"/compare-runs?runs={runs}&experiments={experiments}")
    walk.shows("Comparing 3 Runs from 1 Experiment", "train-2", "accuracy")


def test_models(walk: Walk) -> None:
    walk.go("/experiments/{experiment}/models")
    walk.shows("lin")
    walk.go("/experiments/{experiment}/models/{model}")
    walk.shows("rmse", "Ready", "with-model")
    walk.go("/experiments/{experiment}/models/{model}/artifacts")
    walk.page.get_by_text("MLmodel").first.click()
    walk.shows("python_function")
    walk.go("/models/page-model")
    walk.shows("Version 1", "champion")
    walk.go("/models/page-model/versions/1")
    walk.shows("Inputs (1)", "with-model")


def test_prompts(walk: Walk) -> None:
    walk.go("/prompts")
    walk.shows("page-prompt")
    walk.go("/prompts/page-prompt")
    walk.shows("Version 2", "production", "in one word.")


def test_traces(walk: Walk) -> None:
    walk.go("/experiments/{experiment}/traces")
    walk.shows("And of Spain?", "Paris")
    walk.go("/experiments/{experiment}/traces?selectedEvaluationId={trace}")
    walk.shows("page-agent", "chat", "What is the capital of France?", "150")
    walk.go("/experiments/{experiment}/traces?groupBy=session")
    walk.shows("s-1")
    walk.go("/experiments/{experiment}/chat-sessions/s-1")
    walk.shows("What is the capital of France?")
    walk.go("/experiments/{experiment}/overview/usage")
    walk.shows("Latency", "p99")
    walk.go("/experiments/{experiment}/judges")
    walk.shows("Judges")


def test_evaluation_datasets(walk: Walk) -> None:
    walk.go("/experiments/{experiment}/datasets")
    walk.page.get_by_text("page-data").first.click()
    walk.shows("What is two and two?")


def test_gateway(walk: Walk) -> None:
    walk.go("/gateway")
    walk.shows("page-endpoint", "gpt-4o-mini")
    walk.go("/gateway/endpoints/{endpoint}")
    walk.shows("Primary Model", "OpenAI / gpt-4o-mini")
    walk.go("/gateway/budgets")
    walk.shows("$7", "Weekly", "Reject")
    page = walk.go("/gateway/endpoints/create")
    page.get_by_placeholder("Search for a provider...").fill("anthropic")
    page.get_by_role("option", name="Anthropic").first.click()
    walk.shows("API Key")
