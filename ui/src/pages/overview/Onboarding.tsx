import { Tabs } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { useLive } from "@/api/live";
import { sessionQuery } from "@/api/queries";
import type { LiveEvent } from "@/api/types";
import { shortId } from "@/base/format";
import { Code } from "@/ui/Snippet";
import css from "@/ui/Snippet.module.css";
import { snippets } from "./snippets";

interface OnboardingProps {
  readonly projectId: string;
  /** What this page waits for. */
  readonly first?: "trace" | "run";
}

/** An empty page shows how to fill it, and turns into the first event when that arrives. */
export function Onboarding({ projectId, first = "trace" }: OnboardingProps) {
  const session = useQuery(sessionQuery);
  const [tab, setTab] = useState<string>(first === "run" ? "mlflow" : "langfuse");
  const [event, setEvent] = useState<LiveEvent | null>(null);
  useLive((events) => {
    const found = events.find((e) => e.kind === "trace" || e.kind === "run" || e.kind === "metric");
    if (found) setEvent((was) => was ?? found);
  });
  if (!session.data) return null;
  const all = snippets(session.data, projectId);
  return (
    <div className={css.box}>
      <h2>{first === "run" ? "Log your first run" : "Send your first event"}</h2>
      <p className={css.lead}>
        {session.data.keys.needed
          ? "Point a client you already use at this server, with a key of this project."
          : "Point a client you already use at this server. No account and no key are needed."}
      </p>
      <Tabs value={tab} onChange={(value) => setTab(value ?? "langfuse")} keepMounted={false}>
        <Tabs.List>
          {all.map((s) => (
            <Tabs.Tab key={s.id} value={s.id}>
              {s.label}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        {all.map((s) => (
          <Tabs.Panel key={s.id} value={s.id}>
            <Code code={s.code} />
          </Tabs.Panel>
        ))}
      </Tabs>
      <div className={css.wait} data-done={event !== null} role="status">
        {event === null ? (
          <>
            <span className={css.ping} aria-hidden="true" />
            Waiting for the first event…
          </>
        ) : event.kind === "trace" ? (
          <>
            First trace received:
            <Link to="/project/$projectId/traces/$traceId" params={{ projectId, traceId: event.id }}>
              {event.trace?.name ?? shortId(event.id)}
            </Link>
          </>
        ) : (
          <>
            First run received:
            <Link
              to="/project/$projectId/experiments/$experimentId/runs/$runId"
              params={{ projectId, experimentId: event.experiment_id ?? "0", runId: event.id }}
            >
              {shortId(event.id)}
            </Link>
          </>
        )}
      </div>
    </div>
  );
}
