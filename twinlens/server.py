"""The composition root: builds the object graph from ``Settings`` and serves it. Nothing else constructs stores.

Start-up is on the clock (≤ 1.5 s to the first answer), so what is heavy and rarely needed (Alembic, argon2, gRPC) is
imported where it is used.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import uvicorn
from litestar import Litestar, Response
from litestar.config.app import AppConfig
from litestar.datastructures import State
from litestar.exceptions import NotFoundException
from litestar.plugins import PluginProtocol
from litestar.plugins.core import MsgspecDIPlugin
from litestar.types import ASGIApp, ControllerRouterHandler, Receive, Scope, Send

from twinlens import __version__
from twinlens.domain.errors import InvalidState, NotFound
from twinlens.domain.trace import Span
from twinlens.faces import langfuse, mlflow, otlp
from twinlens.faces.guard import Guard
from twinlens.faces.http import AnyRequest
from twinlens.faces.later import Later
from twinlens.faces.paths import KeepSlashes
from twinlens.faces.web import Web
from twinlens.features.access import Access
from twinlens.features.annotation import AnnotationQueues
from twinlens.features.artifact_transfers import ArtifactTransfers
from twinlens.features.artifacts import Artifacts
from twinlens.features.assessments import Assessments
from twinlens.features.audit import Audit
from twinlens.features.backups import Backups
from twinlens.features.budgets import Budgets
from twinlens.features.comments import Comments
from twinlens.features.connections import ModelConnections
from twinlens.features.dashboards import Dashboards
from twinlens.features.dataset_comparison import DatasetComparisons
from twinlens.features.dataset_experiments import DatasetExperiments
from twinlens.features.datasets import Datasets
from twinlens.features.deployment_targets import Targets
from twinlens.features.deployments import Deployments
from twinlens.features.evaluation_datasets import EvaluationDatasets
from twinlens.features.evaluation_runs import EvaluationRuns
from twinlens.features.evaluation_worker import EvaluationWorker, Wake
from twinlens.features.evaluators import Evaluators
from twinlens.features.experiments import Experiments
from twinlens.features.export_worker import ExportWorker
from twinlens.features.garbage import Garbage
from twinlens.features.gateway import Gateway
from twinlens.features.gateway_calls import GatewayCalls
from twinlens.features.gateway_checks import GatewayChecks
from twinlens.features.gateway_judges import GatewayJudges
from twinlens.features.guardrails import Guardrails
from twinlens.features.issues import Issues
from twinlens.features.judge import settings_connections
from twinlens.features.judge_jobs import JudgeJobs
from twinlens.features.lineage import Lineage
from twinlens.features.live import LiveBus
from twinlens.features.logged_models import LoggedModels
from twinlens.features.mcp_servers import McpServers
from twinlens.features.media import MediaLibrary
from twinlens.features.members import Members
from twinlens.features.metrics import Metrics
from twinlens.features.observed import Observed
from twinlens.features.overview import Overviews
from twinlens.features.permissions import Permissions
from twinlens.features.prices import Prices
from twinlens.features.project_removal import ProjectRemoval
from twinlens.features.projects import Projects
from twinlens.features.prompt_models import PromptModels
from twinlens.features.prompt_usage import PromptUsage
from twinlens.features.prompts import Prompts
from twinlens.features.record_reader import RecordReader
from twinlens.features.record_writer import RecordWriter
from twinlens.features.registry import Registry
from twinlens.features.resources import Resources
from twinlens.features.reviews import Reviews
from twinlens.features.run_scores import RunScores
from twinlens.features.runs import Runs
from twinlens.features.scheduled_exports import ScheduledExports
from twinlens.features.score_configs import ScoreConfigs
from twinlens.features.scores import Scores
from twinlens.features.secrets import Hasher, instance_key
from twinlens.features.services import Services
from twinlens.features.sessions import Sessions
from twinlens.features.skill_files import SkillFiles
from twinlens.features.skill_registry import SkillRegistry
from twinlens.features.skills import Skills
from twinlens.features.trace_files import TraceFiles
from twinlens.features.traces import Traces
from twinlens.features.transfer import Transfer
from twinlens.features.webhook_worker import WebhookWorker
from twinlens.features.webhooks import Webhooks
from twinlens.ingest.enrich import Enricher
from twinlens.ingest.logs import apply_logs
from twinlens.ingest.mask import Masker
from twinlens.ingest.pricing import Pricer
from twinlens.ingest.writer import Writer, WriterLimits
from twinlens.settings import Settings
from twinlens.store.blobs.folder import FolderBlobStore
from twinlens.store.blobs.interface import BlobStore
from twinlens.store.catalog.engine import Catalog
from twinlens.store.catalog.prices import PriceRows
from twinlens.store.catalog.schema import prepare
from twinlens.store.lock import FolderLock
from twinlens.store.secrets import Sealer
from twinlens.store.telemetry.duckdb import DuckDBTelemetry

log = logging.getLogger("twinlens.server")

NATIVE = "/api/twinlens/"  #: where the native API lives
_WARM_AFTER = 0.3  #: seconds from the first answer to building what it did not need


class Instance:
    """Everything that runs in one process on one data folder.

    Raises:
        Conflict: another process owns the data folder.
        InvalidState: the settings would let strangers in.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._closers: list[Callable[[], object]] = []
        self.lock = FolderLock(settings.data)
        self._closers.append(self.lock.release)
        try:
            self.services = self._build()
        except BaseException:
            self.close()
            raise

    def _build(self) -> Services:
        settings = self.settings
        catalog = self.catalog = Catalog(settings.catalog_url or settings.data.resolve() / "catalog.db")
        self._closers.append(catalog.close)
        prepare(catalog)
        key = settings.secret or instance_key(settings.data)
        hasher, sealer = Hasher(key), Sealer(key)
        projects = Projects(catalog, hasher)
        projects.seed(settings)
        access = Access(settings, catalog, projects, hasher)
        check_exposure(settings, access, projects)
        live = LiveBus()
        telemetry = DuckDBTelemetry.open(
            settings.data.resolve() / "telemetry.duckdb", settings.telemetry_memory, settings.telemetry_threads
        )
        self._closers.append(telemetry.close)
        self._closers.append(telemetry.checkpoint)
        price_rows = PriceRows(catalog)
        masker = Masker((settings.mask_pattern or "").splitlines(), settings.mask_replacement)
        enricher = Enricher(Pricer(price_rows.list), masker)

        def reprice(project_id: str, span: Span) -> Span:
            enricher.price(span, project_id)
            return span

        limits = WriterLimits(queue_rows=settings.queue_rows, queue_bytes=settings.queue_bytes)
        observed = Observed(catalog, telemetry)
        wake = Wake()

        def committed(project_ids: Iterable[str]) -> None:
            observed.note(project_ids)
            wake.committed()

        ingest = Writer(telemetry, live, limits=limits, apply_logs=apply_logs, reprice=reprice, committed=committed)
        ingest.start()
        self._closers.append(ingest.close)
        observed.start(project.id for project in projects.list())
        self._closers.append(observed.close)
        blobs = _blobs(settings)
        permissions = Permissions(catalog, projects)
        skills = Skills(catalog, permissions)
        artifacts = Artifacts(
            blobs, root=settings.artifact_root, read_roots=settings.artifact_read_roots, max_bytes=settings.max_artifact,
            others=SkillFiles(skills),
        )  # fmt: skip
        metrics = Metrics(catalog, telemetry, ingest, live)
        metrics.start()
        self._closers.append(metrics.close)
        run_scores = RunScores(telemetry, ingest)
        experiments = Experiments(catalog, live, run_scores, artifact_root=settings.artifact_root)
        runs = Runs(catalog, experiments, metrics, run_scores, live)
        logged_models = LoggedModels(catalog, experiments, live, metrics=metrics)
        webhooks = Webhooks(catalog, sealer, anywhere=settings.webhook_addresses == "any")
        prompts = Prompts(catalog, live, webhooks=webhooks, permissions=permissions)
        registry = Registry(
            catalog, runs, logged_models, live, lambda project_id, name: _is_prompt(prompts, project_id, name),
            webhooks=webhooks, permissions=permissions,
        )  # fmt: skip
        webhook_worker = WebhookWorker(catalog, webhooks)
        webhook_worker.start()
        self._closers.append(webhook_worker.close)
        exports = ScheduledExports(
            catalog, sealer, folder=Path(settings.export_folder) if settings.export_folder else None,
            anywhere=settings.export_addresses == "any", secured=lambda: access.secured,
        )  # fmt: skip
        export_worker = ExportWorker(catalog, exports, telemetry)
        export_worker.start()
        self._closers.append(export_worker.close)
        score_configs = ScoreConfigs(catalog)
        members = Members(catalog, projects)

        def may_review(project_id: str, name: str) -> bool:
            return not access.secured or members.knows(project_id, name)

        annotation = AnnotationQueues(catalog, score_configs, known=may_review)
        datasets = Datasets(catalog)
        traces = Traces(telemetry, ingest, live, annotation)
        assessments = Assessments(telemetry, ingest, traces)
        evaluation_runs = EvaluationRuns(runs, experiments, datasets, traces, telemetry)
        deployments = Deployments(catalog, Targets(registry, prompts, logged_models, runs), live)
        dataset_experiments = DatasetExperiments(datasets, telemetry, evaluation_runs)
        evaluators = Evaluators(catalog, wake.changed)
        prices = Prices(price_rows, enricher, ingest, telemetry, Audit(catalog))
        gateway, connections = Gateway(catalog, experiments), ModelConnections(catalog, sealer, evaluators)
        guardrails, budgets = Guardrails(catalog, evaluators), Budgets(catalog, webhooks, secured=access.secured)
        checks = GatewayChecks(guardrails, lambda *wanted: judges(*wanted))
        calls = GatewayCalls(
            gateway, connections, budgets, checks, prices, ingest, anywhere=settings.gateway_addresses == "any"
        )
        from_settings = settings_connections(settings.judge_base_url, settings.judge_api_key, settings.judge_model)
        judges = GatewayJudges(calls, gateway, connections, from_settings)
        worker = EvaluationWorker(catalog, evaluators, telemetry, ingest, judges, wake)
        worker.start()
        self._closers.append(worker.close)
        judge_jobs = JudgeJobs(catalog, traces, telemetry, ingest, runs, judges)
        judge_jobs.start()
        self._closers.append(judge_jobs.close)

        def forget(project_id: str) -> None:
            for feature in (experiments, prompts):
                feature.forget(project_id)

        removal = ProjectRemoval(catalog, projects, ingest, telemetry, blobs, forget)
        removal.start()
        self._closers.append(removal.close)
        garbage = Garbage(
            catalog, telemetry, ingest, projects, runs, traces, artifacts,
            keep_headers=settings.retention_drops == "payloads", interval_s=settings.retention_interval,
        )  # fmt: skip
        garbage.start()
        self._closers.append(garbage.close)
        return Services(
            settings=settings,
            access=access,
            projects=projects,
            removal=removal,
            members=members,
            permissions=permissions,
            resources=Resources(runs, logged_models, telemetry),
            audit=Audit(catalog),
            backups=Backups(settings, catalog, ingest, hasher),
            ingest=ingest,
            telemetry=telemetry,
            live=live,
            traces=traces,
            trace_files=TraceFiles(traces, ingest, prices),
            assessments=assessments,
            overviews=Overviews(telemetry),
            prices=prices,
            experiments=experiments,
            runs=runs,
            metrics=metrics,
            registry=registry,
            logged_models=logged_models,
            artifacts=artifacts,
            artifact_transfers=ArtifactTransfers(blobs, artifacts, hasher),
            prompts=prompts,
            prompt_usage=PromptUsage(telemetry),
            prompt_models=PromptModels(prompts, registry),
            score_configs=score_configs,
            scores=Scores(score_configs, ingest, telemetry),
            sessions=Sessions(telemetry),
            skills=skills,
            skill_registry=SkillRegistry(catalog, permissions),
            comments=Comments(catalog, telemetry),
            annotation=annotation,
            reviews=Reviews(annotation, ingest, telemetry),
            issues=Issues(catalog, telemetry, assessments),
            mcp_servers=McpServers(catalog),
            dashboards=Dashboards(catalog, telemetry),
            datasets=datasets,
            dataset_experiments=dataset_experiments,
            dataset_comparisons=DatasetComparisons(datasets, dataset_experiments, telemetry),
            evaluation_runs=evaluation_runs,
            evaluators=evaluators,
            judge_jobs=judge_jobs,
            connections=connections,
            gateway=gateway,
            gateway_calls=calls,
            budgets=budgets,
            guardrails=guardrails,
            evaluation_datasets=EvaluationDatasets(catalog, datasets, experiments),
            webhooks=webhooks,
            exports=exports,
            export_worker=export_worker,
            media=MediaLibrary(catalog, blobs, hasher),
            deployments=deployments,
            observed=observed,
            garbage=garbage,
            lineage=Lineage(catalog, telemetry, traces, deployments),
            transfer=Transfer(
                catalog,
                RecordReader(catalog, telemetry, metrics),
                RecordWriter(catalog, experiments, metrics, artifacts, prices, ingest),
                artifacts,
            ),
        )

    def close(self) -> None:
        """Finish what was accepted, fold logs into files, release the folder. Safe to call twice."""
        while self._closers:
            close = self._closers.pop()
            try:
                close()
            except Exception:
                log.exception("closing down: %s failed, going on", getattr(close, "__qualname__", close))


def _is_prompt(prompts: Prompts, project_id: str, name: str) -> bool:
    """Whether a prompt has this name; MLflow keeps prompts and models in one namespace."""
    try:
        prompts.head(project_id, name)
    except NotFound:
        return False
    return True


def _blobs(settings: Settings) -> BlobStore:
    """Where proxied artifacts and media live."""
    place = settings.artifact_store
    if place is None:
        return FolderBlobStore(settings.data.resolve() / "blobs")
    if "://" not in place or place.startswith("file:"):
        return FolderBlobStore(Path(place.removeprefix("file://").removeprefix("file:")).resolve())
    from twinlens.store.blobs.object import open_object_store

    return open_object_store(place)


def check_exposure(settings: Settings, access: Access, projects: Projects) -> None:
    """Refuse to show an unprotected server to other machines.

    Raises:
        InvalidState: with the command that fixes it.
    """
    if settings.loopback_only:
        return
    if access.secured and projects.any_credentials():
        return
    data = f" --data {settings.data}"
    why = "open mode is for this machine only" if not access.secured else "nobody could sign in yet"
    raise InvalidState(
        f"refusing to listen on {settings.host}: {why}. Create a user first:\n"
        f"    twinlens user add you@example.com{data}\n"
        "(or set LANGFUSE_INIT_USER_EMAIL and LANGFUSE_INIT_USER_PASSWORD, or add a key with `twinlens key add`), "
        "then start again; or listen on this machine only:\n"
        f"    twinlens serve --host 127.0.0.1{data}"
    )


class _Litestar(Litestar):
    """Litestar without its support for pydantic models, which costs a tenth of a second at start and has no use here."""

    @staticmethod
    def _get_default_plugins(plugins: list[PluginProtocol]) -> list[PluginProtocol]:
        plugins.append(MsgspecDIPlugin())
        return plugins


class App:
    """The ASGI application over an instance. ``warm`` builds what the first answer need not wait for."""

    def __init__(self, instance: Instance) -> None:
        services = instance.services
        routers = [mlflow.router(services), langfuse.router(services), otlp.router(services)]
        faces = Later(_litestar(services, routers), NATIVE, lambda: _native(services))
        self.warm = faces.warm
        self._app = Guard(Web(faces), services.settings, secured=services.access.secured)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        await self._app(scope, receive, send)


def _native(services: Services) -> ASGIApp:
    from twinlens.faces import native

    return KeepSlashes(_litestar(services, [native.router(services)]), NATIVE.encode())


def _litestar(services: Services, routers: Sequence[ControllerRouterHandler]) -> Litestar:
    return _Litestar.from_config(
        AppConfig(
            route_handlers=list(routers),
            state=State({"services": services}),
            openapi_config=None,
            request_max_body_size=services.settings.max_body,
            logging_config=None,
            exception_handlers={NotFoundException: _not_found},
        )
    )


def _not_found(request: AnyRequest, _: NotFoundException) -> Response[str]:
    """HTML, not JSON: MLflow's client falls back to older calls when a path is not there, and that is how it tells."""
    body = (
        "<!doctype html>\n<title>404 Not Found</title>\n<h1>Not Found</h1>\n<p>This server has no such address.</p>\n"
    )
    return Response(body, status_code=404, media_type="text/html")


def listen(settings: Settings) -> list[socket.socket]:
    """Bind every port.

    Raises:
        InvalidState: a port is taken or the address is not this machine's.
    """
    sockets: list[socket.socket] = []
    for port in settings.port:
        try:
            family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
            sock = socket.socket(family)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((settings.host or "0.0.0.0", port))  # noqa: S104 - checked by check_exposure
            sock.listen(2048)
            sock.set_inheritable(True)
        except OSError as error:
            for open_one in sockets:
                open_one.close()
            raise InvalidState(
                f"cannot listen on {settings.host}:{port}: {error.strerror}. "
                "Choose another port with --port, or stop the program that uses this one."
            ) from error
        sockets.append(sock)
    return sockets


class _Server(uvicorn.Server):
    """Ends live streams first, so that they do not hold up the shutdown; says when it is ready."""

    def __init__(
        self, config: uvicorn.Config, instance: Instance, app: App, ready: Callable[[list[str]], None]
    ) -> None:
        super().__init__(config)
        self._instance = instance
        self._warm = app.warm
        self._ready = ready
        self._grpc: Any = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready(await self._start_grpc())
            asyncio.get_running_loop().call_later(_WARM_AFTER, self._warm_up)

    def _warm_up(self) -> None:
        threading.Thread(target=self._warm, name="twinlens-warm", daemon=True).start()

    async def _start_grpc(self) -> list[str]:
        """Receive OTLP over gRPC too, when a port is set; its address."""
        settings = self._instance.settings
        if settings.grpc_port is None:
            return []
        try:
            from twinlens.faces.otlp.grpc import serve_grpc
        except ImportError:
            raise InvalidState("--grpc-port needs gRPC: pip install 'twinlens[server,grpc]'") from None
        self._grpc, port = await serve_grpc(self._instance.services, settings.host, settings.grpc_port)
        return [f"grpc://{_name(settings)}:{port}"]

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._instance.services.live.close()
        if self._grpc is not None:
            await self._grpc.stop(self._instance.settings.shutdown_timeout)
        await super().shutdown(sockets)


def serve(settings: Settings, ready: Callable[[Instance, Sequence[str]], None] | None = None) -> None:
    """Run until SIGINT or SIGTERM. ``ready`` is called with the base URLs once requests are answered.

    Raises:
        Conflict, InvalidState: as ``Instance`` and ``listen``.
    """
    logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    instance = Instance(
        settings
    )  # before the ports: who starts a second server should hear of the first, not of its port
    sockets: list[socket.socket] = []
    try:
        sockets = listen(settings)
        app = App(instance)
        config = uvicorn.Config(
            app,  # pyright: ignore[reportArgumentType] - Litestar's and uvicorn's ASGI types differ
            loop="uvloop" if sys.platform != "win32" else "asyncio",
            http="httptools",
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=settings.log_level in ("debug", "info"),
            server_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=int(settings.shutdown_timeout),
        )
        # What start-up has made stays; the collector need not look at it again, and need not look often.
        gc.freeze()
        gc.set_threshold(20_000, 20, 20)
        gc.enable()
        urls = [_url(settings, sock) for sock in sockets]
        instance.lock.describe(url=urls[0], version=__version__)
        server = _Server(config, instance, app, lambda more: ready(instance, [*urls, *more]) if ready else None)
        # uvicorn raises the signal again when it is done; that must not end the process before the stores are closed.
        signal.signal(signal.SIGTERM, lambda *_: None)
        with contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=sockets)
    finally:
        instance.close()
        for sock in sockets:
            sock.close()
        gc.unfreeze()  # extension modules count at exit what is left of theirs


def _url(settings: Settings, sock: socket.socket) -> str:
    return f"http://{_name(settings)}:{sock.getsockname()[1]}"


def _name(settings: Settings) -> str:
    return "localhost" if settings.loopback_only or settings.host in ("0.0.0.0", "::", "") else settings.host  # noqa: S104
