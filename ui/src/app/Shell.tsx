import { Menu, useMantineColorScheme } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, Outlet, useNavigate, useRouterState } from "@tanstack/react-router";
import {
  Boxes,
  Bug,
  Check,
  ChevronsUpDown,
  CircleUser,
  ClipboardCheck,
  FlaskConical,
  Gauge,
  GraduationCap,
  Keyboard,
  LayoutDashboard,
  ListTree,
  MessagesSquare,
  Monitor,
  Moon,
  Plug,
  Rocket,
  Rows3,
  Rows4,
  Scale,
  Search,
  Settings,
  Sun,
  TableProperties,
  TextQuote,
} from "lucide-react";
import { lazy, Suspense, useEffect, useState } from "react";
import { api } from "@/api/client";
import { liveStream, useLiveStatus } from "@/api/live";
import { projectsQuery, sessionQuery } from "@/api/queries";
import { keyCaps } from "@/base/hotkeys";
import { IconButton } from "@/ui/Button";
import { setDensity, useDensity } from "@/ui/density";
import { isApple, useHotkeys } from "@/ui/hotkeys";
import { Logo } from "./Logo";
import css from "./Shell.module.css";
import { useProjectId } from "./url";

const Palette = lazy(() => import("./Palette").then((m) => ({ default: m.Palette })));
const CheatSheet = lazy(() => import("./CheatSheet").then((m) => ({ default: m.CheatSheet })));

/** The pages of a project, in the groups that the navigation shows. */
const NAV = [
  {
    group: "Observe",
    pages: [
      { to: "/project/$projectId", label: "Overview", icon: Gauge, keys: "g o", exact: true },
      { to: "/project/$projectId/dashboards", label: "Dashboards", icon: LayoutDashboard, keys: "g b", exact: false },
      { to: "/project/$projectId/traces", label: "Traces", icon: ListTree, keys: "g t", exact: false },
      { to: "/project/$projectId/sessions", label: "Sessions", icon: MessagesSquare, keys: "g s", exact: false },
      { to: "/project/$projectId/issues", label: "Issues", icon: Bug, keys: "g u", exact: false },
    ],
  },
  {
    group: "Improve",
    pages: [
      { to: "/project/$projectId/annotation", label: "Annotation", icon: ClipboardCheck, keys: "g a", exact: false },
      { to: "/project/$projectId/experiments", label: "Experiments", icon: FlaskConical, keys: "g e", exact: false },
      { to: "/project/$projectId/datasets", label: "Datasets", icon: TableProperties, keys: "g i", exact: false },
      { to: "/project/$projectId/evaluators", label: "Evaluators", icon: Scale, keys: "g j", exact: false },
    ],
  },
  {
    group: "Ship",
    pages: [
      { to: "/project/$projectId/models", label: "Models", icon: Boxes, keys: "g m", exact: false },
      { to: "/project/$projectId/prompts", label: "Prompts", icon: TextQuote, keys: "g p", exact: false },
      { to: "/project/$projectId/skills", label: "Skills", icon: GraduationCap, keys: "g k", exact: false },
      { to: "/project/$projectId/mcp-servers", label: "MCP servers", icon: Plug, keys: "g c", exact: false },
      { to: "/project/$projectId/deployments", label: "Deployments", icon: Rocket, keys: "g d", exact: false },
    ],
  },
  {
    group: "",
    pages: [{ to: "/project/$projectId/settings", label: "Settings", icon: Settings, keys: "g ,", exact: false }],
  },
] as const;
const PAGES = NAV.flatMap((group) => [...group.pages]);

/** The frame around every page of a project: navigation, project switcher, palette, live status. */
export function Shell() {
  const projectId = useProjectId();
  const navigate = useNavigate();
  const [open, setOpen] = useState<"palette" | "keys" | null>(null);
  const path = useRouterState({ select: (s) => s.location.pathname });

  useEffect(() => {
    liveStream.follow(projectId);
    return () => liveStream.follow(null);
  }, [projectId]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: overlays close when the page changes
  useEffect(() => setOpen(null), [path]);

  useHotkeys([
    { keys: "mod+k", label: "Search and commands", group: "Everywhere", inFields: true, run: () => setOpen("palette") },
    { keys: "?", label: "This list", group: "Everywhere", run: () => setOpen("keys") },
    ...PAGES.map((item) => ({
      keys: item.keys,
      label: `Go to ${item.label.toLowerCase()}`,
      group: "Everywhere",
      run: () => void navigate({ to: item.to, params: { projectId } }),
    })),
  ]);

  return (
    <div className={css.shell}>
      <a className={css.skip} href="#main">
        Skip to content
      </a>
      <aside className={css.side}>
        <Link to="/project/$projectId" params={{ projectId }} className={css.brand} aria-label="Twinlens: overview">
          <Logo />
          <span className={css.label}>Twinlens</span>
        </Link>
        <ProjectSwitcher projectId={projectId} />
        <button type="button" className={css.item} onClick={() => setOpen("palette")} title="Search and commands">
          <Search size={16} aria-hidden="true" />
          <span className={css.label}>Search</span>
          <kbd className={css.keys}>{keyCaps("mod+k", isApple).join(isApple ? "" : " ")}</kbd>
        </button>
        <nav aria-label="Pages">
          {NAV.map(({ group, pages }) => (
            <div key={group} className={css.group}>
              {group ? <span className={css.heading}>{group}</span> : null}
              {pages.map((item) => (
                <Link
                  key={item.to}
                  to={item.to}
                  params={{ projectId }}
                  activeOptions={{ exact: item.exact, includeSearch: false }}
                  className={css.item}
                  title={item.label}
                >
                  <item.icon size={16} aria-hidden="true" />
                  <span className={css.label}>{item.label}</span>
                </Link>
              ))}
            </div>
          ))}
        </nav>
        <div className={css.grow} />
        <LiveLabel />
        <UserMenu />
        <div className={css.foot}>
          <ThemeToggle />
          <DensityToggle />
          <IconButton label="Keyboard shortcuts" keys="?" onClick={() => setOpen("keys")}>
            <Keyboard size={16} aria-hidden="true" />
          </IconButton>
        </div>
      </aside>
      <main className={css.main} id="main" tabIndex={-1}>
        <Outlet />
      </main>
      <Suspense fallback={null}>
        {open === "palette" ? (
          <Palette projectId={projectId} onClose={() => setOpen(null)} onKeys={() => setOpen("keys")} />
        ) : null}
        {open === "keys" ? <CheatSheet onClose={() => setOpen(null)} /> : null}
      </Suspense>
    </div>
  );
}

function ProjectSwitcher({ projectId }: { readonly projectId: string }) {
  const projects = useQuery(projectsQuery);
  const navigate = useNavigate();
  const name = projects.data?.projects.find((p) => p.id === projectId)?.name ?? projectId;
  return (
    <Menu width={220}>
      <Menu.Target>
        <button type="button" className={css.project} aria-label={`Project ${name}. Switch project`}>
          <span className={css.badge} data-letter={name.slice(0, 1).toUpperCase()} aria-hidden="true" />
          <span className={`${css.label} ${css.grow} ellipsis`}>{name}</span>
          <ChevronsUpDown size={14} className={`${css.label} muted`} aria-hidden="true" />
        </button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>Projects</Menu.Label>
        {(projects.data?.projects ?? []).map((p) => (
          <Menu.Item
            key={p.id}
            onClick={() => void navigate({ to: "/project/$projectId", params: { projectId: p.id } })}
            rightSection={p.id === projectId ? <Check size={14} aria-label="current" /> : null}
          >
            {p.name}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}

/** Who is signed in, on a server that asks for it. */
function UserMenu() {
  const session = useQuery(sessionQuery);
  const navigate = useNavigate();
  const queries = useQueryClient();
  if (session.data?.mode !== "secured" || !session.data.signed_in) return null;
  const name = session.data.user ?? "Signed in";
  return (
    <Menu width={200} position="top-start">
      <Menu.Target>
        <button type="button" className={css.item} aria-label={`Signed in as ${name}`}>
          <CircleUser size={16} aria-hidden="true" />
          <span className={`${css.label} ellipsis`}>{name}</span>
        </button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item
          onClick={async () => {
            await api.post("/sign-out", {});
            liveStream.follow(null);
            queries.clear();
            await navigate({ to: "/login" });
          }}
        >
          Sign out
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}

const LIVE_TEXT = { live: "Live", connecting: "Connecting…", reconnecting: "Reconnecting…", off: "Paused" } as const;

function LiveLabel() {
  const status = useLiveStatus();
  return (
    <div className={css.live} data-live={status} role="status">
      <i aria-hidden="true" />
      <span className={css.label}>{LIVE_TEXT[status]}</span>
    </div>
  );
}

function ThemeToggle() {
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const next = colorScheme === "auto" ? "light" : colorScheme === "light" ? "dark" : "auto";
  const Icon = colorScheme === "auto" ? Monitor : colorScheme === "light" ? Sun : Moon;
  const name = { auto: "as the system", light: "light", dark: "dark" }[colorScheme];
  return (
    <IconButton
      label={`Theme: ${name}. Switch to ${next === "auto" ? "system" : next}`}
      onClick={() => setColorScheme(next)}
    >
      <Icon size={16} aria-hidden="true" />
    </IconButton>
  );
}

function DensityToggle() {
  const density = useDensity();
  const next = density === "compact" ? "comfortable" : "compact";
  const Icon = density === "compact" ? Rows4 : Rows3;
  return (
    <IconButton label={`Rows: ${density}. Switch to ${next}`} onClick={() => setDensity(next)}>
      <Icon size={16} aria-hidden="true" />
    </IconButton>
  );
}
