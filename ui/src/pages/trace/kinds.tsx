import {
  Bot,
  Box,
  Braces,
  Database,
  Gauge,
  Link2,
  type LucideIcon,
  MessageSquare,
  Repeat,
  Search,
  Shapes,
  Shield,
  Sparkles,
  Wrench,
  Zap,
} from "lucide-react";

/** Icon and colour of a kind of span. Colour groups, the icon tells apart: nothing depends on colour alone. */
const KINDS: Record<string, { readonly icon: LucideIcon; readonly color: string }> = {
  generation: { icon: Sparkles, color: "var(--kind-generation)" },
  agent: { icon: Bot, color: "var(--kind-agent)" },
  workflow: { icon: Repeat, color: "var(--kind-agent)" },
  task: { icon: Shapes, color: "var(--kind-agent)" },
  chain: { icon: Link2, color: "var(--kind-agent)" },
  tool: { icon: Wrench, color: "var(--kind-tool)" },
  retriever: { icon: Search, color: "var(--kind-retriever)" },
  reranker: { icon: Gauge, color: "var(--kind-retriever)" },
  memory: { icon: Database, color: "var(--kind-retriever)" },
  embedding: { icon: Braces, color: "var(--kind-embedding)" },
  evaluator: { icon: Gauge, color: "var(--kind-evaluator)" },
  guardrail: { icon: Shield, color: "var(--kind-guardrail)" },
  event: { icon: Zap, color: "var(--kind-other)" },
  parser: { icon: Braces, color: "var(--kind-other)" },
  trace: { icon: MessageSquare, color: "var(--kind-other)" },
};

export function kindColor(kind: string): string {
  return KINDS[kind]?.color ?? "var(--kind-other)";
}

export function KindIcon({ kind, size = 14 }: { readonly kind: string; readonly size?: number }) {
  const Icon = KINDS[kind]?.icon ?? Box;
  return <Icon size={size} color={kindColor(kind)} role="img" aria-label={kind} style={{ flex: "none" }} />;
}
