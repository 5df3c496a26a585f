import { X } from "lucide-react";
import { Button, IconButton } from "./Button";
import { cx } from "./cx";
import css from "./Toasts.module.css";
import { dismiss, useToasts } from "./toast";

export function Toasts() {
  const toasts = useToasts();
  return (
    <div className={css.stack} role="status" aria-live="polite">
      {toasts.map((t) => (
        <div key={t.id} className={cx(css.toast, t.tone !== "plain" && css[t.tone])}>
          <span className={css.text}>{t.text}</span>
          {t.action ? (
            <Button
              small
              onClick={() => {
                t.action?.run();
                dismiss(t.id);
              }}
            >
              {t.action.label}
            </Button>
          ) : null}
          <IconButton label="Dismiss" small onClick={() => dismiss(t.id)}>
            <X size={14} aria-hidden="true" />
          </IconButton>
        </div>
      ))}
    </div>
  );
}
