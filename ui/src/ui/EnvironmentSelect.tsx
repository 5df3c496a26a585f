import { useQuery } from "@tanstack/react-query";
import { traceValuesQuery } from "@/api/queries";
import { Select } from "./Field";

interface EnvironmentSelectProps {
  readonly projectId: string;
  /** Empty: all of them. */
  readonly value: string;
  readonly onChange: (name: string) => void;
}

/** One environment of the project, or all. What names none is in `default`. */
export function EnvironmentSelect({ projectId, value, onChange }: EnvironmentSelectProps) {
  const found = useQuery(traceValuesQuery(projectId, "env", ""));
  const names = [...new Set([...(found.data?.values.map((v) => v.value) ?? []), ...(value ? [value] : [])])].sort();
  return (
    <Select
      aria-label="Environment"
      style={{ width: "auto" }}
      value={value}
      onChange={(event) => onChange(event.currentTarget.value)}
    >
      <option value="">All environments</option>
      {names.map((name) => (
        <option key={name} value={name}>
          {name}
        </option>
      ))}
    </Select>
  );
}
