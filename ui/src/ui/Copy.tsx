import { Check, Copy as CopyIcon, Link2 } from "lucide-react";
import { useEffect, useState } from "react";
import { IconButton } from "./Button";
import { toast } from "./toast";

/** Put text on the clipboard; also where the asynchronous API is refused (plain http on another host). */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    area.style.position = "fixed";
    area.style.opacity = "0";
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

interface CopyButtonProps {
  readonly text: string | (() => string);
  readonly label: string;
  readonly kind?: "copy" | "link";
  readonly small?: boolean;
}

export function CopyButton({ text, label, kind = "copy", small = true }: CopyButtonProps) {
  const [done, setDone] = useState(false);
  useEffect(() => {
    if (!done) return undefined;
    const timer = window.setTimeout(() => setDone(false), 1_400);
    return () => window.clearTimeout(timer);
  }, [done]);
  const Icon = done ? Check : kind === "link" ? Link2 : CopyIcon;
  return (
    <IconButton
      label={done ? "Copied" : label}
      small={small}
      onClick={async (event) => {
        event.stopPropagation();
        if (await copyText(typeof text === "function" ? text() : text)) setDone(true);
        else toast("The browser did not allow copying", { tone: "err" });
      }}
    >
      <Icon size={14} aria-hidden="true" />
    </IconButton>
  );
}
