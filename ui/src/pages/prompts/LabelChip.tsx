import { Lock } from "lucide-react";
import { Chip } from "@/ui/Chip";

interface LabelChipProps {
  readonly label: string;
  /** Where it points; left out beside the version itself. */
  readonly version?: number;
  /** Members may not move it. */
  readonly locked?: boolean;
}

/** `production` is what clients get when they ask for nothing else, so it stands out. */
export function LabelChip({ label, version, locked }: LabelChipProps) {
  return (
    <Chip tone={label === "production" ? "ok" : label === "latest" ? "plain" : "accent"}>
      {locked ? <Lock size={11} aria-label="protected" /> : null}
      {version === undefined ? label : `${label} → ${version}`}
    </Chip>
  );
}
