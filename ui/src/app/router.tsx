import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  Outlet,
  redirect,
} from "@tanstack/react-router";
import { sessionQuery } from "@/api/queries";
import { queryClient } from "@/api/query-client";
import { parseSearch, type Search, writeSearch } from "@/base/search";
import { Failure } from "@/ui/State";
import { Toasts } from "@/ui/Toasts";
import { Crash, Missing } from "./Crash";
import { Shell } from "./Shell";

const rootRoute = createRootRoute({
  validateSearch: (search): Search => search as Search,
  component: () => (
    <>
      <Outlet />
      <Toasts />
    </>
  ),
  errorComponent: Crash,
  notFoundComponent: Missing,
});

const indexRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/",
  beforeLoad: async () => {
    const session = await queryClient.ensureQueryData(sessionQuery);
    if (!session.signed_in) throw redirect({ to: "/login" });
    throw redirect({ to: "/project/$projectId", params: { projectId: session.default_project_id } });
  },
  errorComponent: ({ error, reset }) => <Failure error={error} retry={reset} />,
});

const loginRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/login",
  component: lazyRouteComponent(() => import("@/pages/login/LoginPage"), "LoginPage"),
});

/** Addresses that name no project: `/trace/ID` (Langfuse's clients) and MLflow's hash routes, see `main.tsx`. */
const findPage = lazyRouteComponent(() => import("@/pages/find/FindPage"), "FindPage");
const findTraceRoute = createRoute({ getParentRoute: () => rootRoute, path: "/trace/$traceId", component: findPage });
const findRoute = createRoute({ getParentRoute: () => rootRoute, path: "/find", component: findPage });

const projectRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/project/$projectId",
  component: Shell,
  beforeLoad: async ({ location }) => {
    const session = await queryClient.ensureQueryData(sessionQuery);
    if (!session.signed_in) throw redirect({ to: "/login", search: { to: location.href } as never });
  },
  errorComponent: Crash,
});

const child = <P extends string>(path: P, component: ReturnType<typeof lazyRouteComponent>) =>
  createRoute({ getParentRoute: () => projectRoute, path, component, errorComponent: Crash });

const overviewRoute = child(
  "/",
  lazyRouteComponent(() => import("@/pages/overview/OverviewPage"), "OverviewPage"),
);
const tracesRoute = child(
  "/traces",
  lazyRouteComponent(() => import("@/pages/traces/TracesPage"), "TracesPage"),
);
const traceRoute = child(
  "/traces/$traceId",
  lazyRouteComponent(() => import("@/pages/trace/TracePage"), "TracePage"),
);
const sessionsRoute = child(
  "/sessions",
  lazyRouteComponent(() => import("@/pages/sessions/SessionsPage"), "SessionsPage"),
);
const sessionRoute = child(
  "/sessions/$sessionId",
  lazyRouteComponent(() => import("@/pages/sessions/SessionPage"), "SessionPage"),
);
const experimentsRoute = child(
  "/experiments",
  lazyRouteComponent(() => import("@/pages/experiments/ExperimentsPage"), "ExperimentsPage"),
);
const experimentRoute = child(
  "/experiments/$experimentId",
  lazyRouteComponent(() => import("@/pages/experiments/ExperimentPage"), "ExperimentPage"),
);
const compareRoute = child(
  "/experiments/$experimentId/compare",
  lazyRouteComponent(() => import("@/pages/experiments/ComparePage"), "ComparePage"),
);
const runRoute = child(
  "/experiments/$experimentId/runs/$runId",
  lazyRouteComponent(() => import("@/pages/run/RunPage"), "RunPage"),
);
const resultsRoute = child(
  "/experiments/results",
  lazyRouteComponent(() => import("@/pages/datasets/RunsPage"), "ResultsPage"),
);
const datasetsRoute = child(
  "/datasets",
  lazyRouteComponent(() => import("@/pages/datasets/DatasetsPage"), "DatasetsPage"),
);
const datasetRoute = child(
  "/datasets/$datasetId",
  lazyRouteComponent(() => import("@/pages/datasets/DatasetPage"), "DatasetPage"),
);
const datasetRunRoute = child(
  "/datasets/$datasetId/runs/$runId",
  lazyRouteComponent(() => import("@/pages/datasets/RunsPage"), "RunsPage"),
);
const evaluatorsRoute = child(
  "/evaluators",
  lazyRouteComponent(() => import("@/pages/datasets/EvaluatorsPage"), "EvaluatorsPage"),
);
const modelsRoute = child(
  "/models",
  lazyRouteComponent(() => import("@/pages/models/ModelsPage"), "ModelsPage"),
);
const deploymentsRoute = child(
  "/deployments",
  lazyRouteComponent(() => import("@/pages/deployments/DeploymentsPage"), "DeploymentsPage"),
);
const deploymentRoute = child(
  "/deployments/$deploymentId",
  lazyRouteComponent(() => import("@/pages/deployments/DeploymentPage"), "DeploymentPage"),
);
const modelRoute = child(
  "/models/$name",
  lazyRouteComponent(() => import("@/pages/models/ModelPage"), "ModelPage"),
);
const promptsRoute = child(
  "/prompts",
  lazyRouteComponent(() => import("@/pages/prompts/PromptsPage"), "PromptsPage"),
);
const newPromptRoute = child(
  "/prompts/new",
  lazyRouteComponent(() => import("@/pages/prompts/PromptEditor"), "PromptEditorPage"),
);
const promptRoute = child(
  "/prompts/$name",
  lazyRouteComponent(() => import("@/pages/prompts/PromptPage"), "PromptPage"),
);

const annotationRoute = child(
  "/annotation",
  lazyRouteComponent(() => import("@/pages/annotation/AnnotationPage"), "AnnotationPage"),
);
const queueRoute = child(
  "/annotation/$queueId",
  lazyRouteComponent(() => import("@/pages/annotation/QueuePage"), "QueuePage"),
);
const workRoute = child(
  "/annotation/$queueId/work",
  lazyRouteComponent(() => import("@/pages/annotation/WorkPage"), "WorkPage"),
);
const dashboardsRoute = child(
  "/dashboards",
  lazyRouteComponent(() => import("@/pages/dashboards/DashboardsPage"), "DashboardsPage"),
);
const dashboardRoute = child(
  "/dashboards/$dashboardId",
  lazyRouteComponent(() => import("@/pages/dashboards/DashboardPage"), "DashboardPage"),
);
const issuesRoute = child(
  "/issues",
  lazyRouteComponent(() => import("@/pages/issues/IssuesPage"), "IssuesPage"),
);
const issueRoute = child(
  "/issues/$issueId",
  lazyRouteComponent(() => import("@/pages/issues/IssuePage"), "IssuePage"),
);
const skillsRoute = child(
  "/skills",
  lazyRouteComponent(() => import("@/pages/skills/SkillsPage"), "SkillsPage"),
);
const skillRoute = child(
  "/skills/$name",
  lazyRouteComponent(() => import("@/pages/skills/SkillPage"), "SkillPage"),
);
const mcpServersRoute = child(
  "/mcp-servers",
  lazyRouteComponent(() => import("@/pages/mcp/McpServersPage"), "McpServersPage"),
);
const mcpServerRoute = child(
  "/mcp-servers/$name",
  lazyRouteComponent(() => import("@/pages/mcp/McpServerPage"), "McpServerPage"),
);
const settingsRoute = child(
  "/settings",
  lazyRouteComponent(() => import("@/pages/settings/SettingsPage"), "SettingsPage"),
);

const routeTree = rootRoute.addChildren([
  indexRoute,
  loginRoute,
  findTraceRoute,
  findRoute,
  projectRoute.addChildren([
    overviewRoute,
    tracesRoute,
    traceRoute,
    sessionsRoute,
    sessionRoute,
    experimentsRoute,
    experimentRoute,
    compareRoute,
    runRoute,
    resultsRoute,
    datasetsRoute,
    datasetRoute,
    datasetRunRoute,
    evaluatorsRoute,
    modelsRoute,
    modelRoute,
    annotationRoute,
    queueRoute,
    workRoute,
    deploymentsRoute,
    deploymentRoute,
    promptsRoute,
    newPromptRoute,
    promptRoute,
    dashboardsRoute,
    dashboardRoute,
    issuesRoute,
    issueRoute,
    skillsRoute,
    skillRoute,
    mcpServersRoute,
    mcpServerRoute,
    settingsRoute,
  ]),
]);

export const router = createRouter({
  routeTree,
  parseSearch,
  stringifySearch: writeSearch,
  defaultPreload: "intent",
  defaultPreloadDelay: 80,
  scrollRestoration: false,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
