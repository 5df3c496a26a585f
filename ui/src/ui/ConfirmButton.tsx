import { Trash2 } from "lucide-react";
import { useState } from "react";
import { Button, IconButton } from "./Button";

interface ConfirmButtonProps {
  readonly label: string;
  /** What the second press does, in one word. */
  readonly verb: string;
  readonly run: () => void;
}

/** Asks in place: the first press shows what the second will do; leaving it takes the question back. */
export function ConfirmButton({ label, verb, run }: ConfirmButtonProps) {
  const [asked, setAsked] = useState(false);
  if (!asked)
    return (
      <IconButton label={label} small onClick={() => setAsked(true)}>
        <Trash2 size={14} aria-hidden="true" />
      </IconButton>
    );
  return (
    <Button
      look="danger"
      small
      autoFocus
      onBlur={() => setAsked(false)}
      onKeyDown={(event) => {
        if (event.key === "Escape") setAsked(false);
      }}
      onClick={() => {
        setAsked(false);
        run();
      }}
    >
      {verb}
    </Button>
  );
}
