import { usePageSearch, useProjectId, useSetSearch } from "@/app/url";
import { Bar, PageHeader, page } from "@/ui/Page";
import { Segmented } from "@/ui/Segmented";
import { AuditLog } from "./AuditLog";
import { Connections } from "./Connections";
import { Exports } from "./Exports";
import { Gateway } from "./Gateway";
import { General } from "./General";
import { Keys } from "./Keys";
import { Members } from "./Members";
import { ProtectedLabels } from "./ProtectedLabels";
import css from "./Settings.module.css";
import { Webhooks } from "./Webhooks";

const TABS = [
  { value: "general", label: "General" },
  { value: "keys", label: "API keys" },
  { value: "members", label: "Members" },
  { value: "labels", label: "Protected labels" },
  { value: "connections", label: "Model connections" },
  { value: "gateway", label: "Gateway" },
  { value: "webhooks", label: "Webhooks" },
  { value: "exports", label: "Exports" },
  { value: "audit", label: "Audit log" },
] as const;

type Tab = (typeof TABS)[number]["value"];
const PARTS = {
  general: General,
  keys: Keys,
  members: Members,
  labels: ProtectedLabels,
  connections: Connections,
  gateway: Gateway,
  webhooks: Webhooks,
  exports: Exports,
  audit: AuditLog,
};

/** Everything about a project that is set rather than recorded; one part at a time. */
export function SettingsPage() {
  const projectId = useProjectId();
  const { tab } = usePageSearch();
  const setSearch = useSetSearch();
  const shown: Tab = TABS.find((t) => t.value === tab)?.value ?? "general";
  const Part = PARTS[shown];
  return (
    <>
      <PageHeader title="Settings" name="Settings" />
      <Bar label="Parts">
        <Segmented<Tab>
          label="Part of the settings"
          value={shown}
          options={TABS}
          onChange={(value) => setSearch({ tab: value === "general" ? undefined : value })}
        />
      </Bar>
      <div className={page.scroll}>
        <div className={css.page}>
          <Part key={projectId} projectId={projectId} />
        </div>
      </div>
    </>
  );
}
