import type { ReactNode } from "react";
import { CopyButton } from "./Copy";
import css from "./Snippet.module.css";

interface SnippetProps {
  readonly title: string;
  /** What the page will show once there is something. */
  readonly children: ReactNode;
  readonly code: string;
}

/** An empty page as a lesson: what would be here, and the code that puts it there. */
export function Snippet({ title, children, code }: SnippetProps) {
  return (
    <div className={css.box}>
      <h2>{title}</h2>
      <p className={css.lead}>{children}</p>
      <Code code={code} />
    </div>
  );
}

/** Code to copy. */
export function Code({ code }: { readonly code: string }) {
  return (
    <div className={css.code}>
      <div className={css.copy}>
        <CopyButton text={code} label="Copy the snippet" small={false} />
      </div>
      <pre tabIndex={0}>
        <code>{code}</code>
      </pre>
    </div>
  );
}
