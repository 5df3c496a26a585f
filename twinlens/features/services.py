"""The object graph that faces receive. Built by ``twinlens.server`` and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
    from twinlens.features.deployments import Deployments
    from twinlens.features.evaluation_datasets import EvaluationDatasets
    from twinlens.features.evaluation_runs import EvaluationRuns
    from twinlens.features.evaluators import Evaluators
    from twinlens.features.experiments import Experiments
    from twinlens.features.export_worker import ExportWorker
    from twinlens.features.garbage import Garbage
    from twinlens.features.gateway import Gateway
    from twinlens.features.gateway_calls import GatewayCalls
    from twinlens.features.guardrails import Guardrails
    from twinlens.features.issues import Issues
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
    from twinlens.features.registry import Registry
    from twinlens.features.resources import Resources
    from twinlens.features.reviews import Reviews
    from twinlens.features.runs import Runs
    from twinlens.features.scheduled_exports import ScheduledExports
    from twinlens.features.score_configs import ScoreConfigs
    from twinlens.features.scores import Scores
    from twinlens.features.sessions import Sessions
    from twinlens.features.skill_registry import SkillRegistry
    from twinlens.features.skills import Skills
    from twinlens.features.trace_files import TraceFiles
    from twinlens.features.traces import Traces
    from twinlens.features.transfer import Transfer
    from twinlens.features.webhooks import Webhooks
    from twinlens.ingest.writer import Ingest
    from twinlens.settings import Settings
    from twinlens.store.telemetry.interface import TelemetryStore


@dataclass(frozen=True, kw_only=True)
class Services:
    """Everything a face may use."""

    settings: Settings
    access: Access
    projects: Projects
    removal: ProjectRemoval
    members: Members
    permissions: Permissions
    resources: Resources
    audit: Audit
    backups: Backups
    ingest: Ingest
    telemetry: TelemetryStore  #: reads only; writes go through ``ingest``
    live: LiveBus
    traces: Traces
    trace_files: TraceFiles
    assessments: Assessments
    overviews: Overviews
    prices: Prices
    experiments: Experiments
    runs: Runs
    metrics: Metrics
    registry: Registry
    logged_models: LoggedModels
    artifacts: Artifacts
    artifact_transfers: ArtifactTransfers
    prompts: Prompts
    prompt_usage: PromptUsage
    prompt_models: PromptModels
    score_configs: ScoreConfigs
    scores: Scores
    sessions: Sessions
    skills: Skills
    skill_registry: SkillRegistry
    comments: Comments
    annotation: AnnotationQueues
    reviews: Reviews
    issues: Issues
    mcp_servers: McpServers
    dashboards: Dashboards
    datasets: Datasets
    dataset_experiments: DatasetExperiments
    dataset_comparisons: DatasetComparisons
    evaluation_datasets: EvaluationDatasets
    evaluation_runs: EvaluationRuns
    evaluators: Evaluators
    judge_jobs: JudgeJobs
    connections: ModelConnections
    gateway: Gateway
    gateway_calls: GatewayCalls
    budgets: Budgets
    guardrails: Guardrails
    webhooks: Webhooks
    exports: ScheduledExports
    export_worker: ExportWorker
    media: MediaLibrary
    deployments: Deployments
    observed: Observed
    lineage: Lineage
    transfer: Transfer
    garbage: Garbage
