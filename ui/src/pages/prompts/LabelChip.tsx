import { Chip } from "@/ui/Chip";

interface LabelChipProps {
  readonly label: string;
  /** Where it points; left out beside the version itself. */
  readonly version?: number;
}

/** `production` is what clients get when they ask for nothing else, so it stands out. */
export function LabelChip({ label, version }: LabelChipProps) {
  return (
    <Chip tone={label === "production" ? "ok" : label === "latest" ? "plain" : "accent"}>
      {version === undefined ? label : `${label} → ${version}`}
    </Chip>
  );
}
