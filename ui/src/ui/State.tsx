import { CircleAlert } from "lucide-react";
import type { ReactNode } from "react";
import { ApiError } from "@/api/client";
import { Button } from "./Button";
import css from "./State.module.css";

interface EmptyProps {
  readonly title: string;
  readonly children?: ReactNode;
  readonly actions?: ReactNode;
}

/** Nothing here, and what to do about it. */
export function Empty({ title, children, actions }: EmptyProps) {
  return (
    <div className={css.box}>
      <div className={css.title}>{title}</div>
      {children ? <div className={css.detail}>{children}</div> : null}
      {actions ? <div className={css.actions}>{actions}</div> : null}
    </div>
  );
}

/** What went wrong, in the server's words, and the next step. */
export function Failure({ error, retry }: { readonly error: unknown; readonly retry?: () => void }) {
  const gone = error instanceof ApiError && error.status === 404;
  const message = error instanceof Error ? error.message : String(error);
  return (
    <div className={css.box} role="alert">
      <CircleAlert size={22} className={css.error} aria-hidden="true" />
      <div className={css.title}>{gone ? "Not found" : "This could not be loaded"}</div>
      <div className={css.detail}>{message}</div>
      <div className={css.actions}>
        {retry ? <Button onClick={retry}>Try again</Button> : null}
        {gone ? <Button onClick={() => window.history.back()}>Go back</Button> : null}
      </div>
    </div>
  );
}

/** A grey line where text will stand, as wide as the text will be: nothing moves when it arrives. */
export function Bar({ width = "100%", height }: { readonly width?: number | string; readonly height?: number }) {
  return <div className={css.bar} style={{ width, height }} aria-hidden="true" />;
}

const WIDTHS = ["14%", "22%", "10%", "30%", "8%"];

export function LoadingRows({ rows = 12 }: { readonly rows?: number }) {
  return (
    <div className={css.rows} role="status" aria-label="Loading">
      {Array.from({ length: rows }, (_, i) => (
        <div className={css.row} key={i}>
          {WIDTHS.map((_, j) => (
            <Bar key={j} width={WIDTHS[(i + j) % WIDTHS.length]} />
          ))}
        </div>
      ))}
    </div>
  );
}
