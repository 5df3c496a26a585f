import { type ReactNode, useEffect } from "react";
import css from "./Page.module.css";

interface PageHeaderProps {
  readonly title: ReactNode;
  /** Also the title of the browser tab. */
  readonly name: string;
  readonly crumbs?: readonly ReactNode[];
  readonly children?: ReactNode;
}

export function PageHeader({ title, name, crumbs, children }: PageHeaderProps) {
  useEffect(() => {
    document.title = `${name} · Twinlens`;
  }, [name]);
  return (
    <header className={css.header}>
      {crumbs?.map((crumb, i) => (
        <span key={i} className={css.crumb}>
          {crumb}
        </span>
      ))}
      <h1 className={css.title}>{title}</h1>
      <div className={css.actions}>{children}</div>
    </header>
  );
}

export function Bar({ children, label }: { readonly children: ReactNode; readonly label?: string }) {
  return (
    <div className={css.bar} role="toolbar" aria-label={label}>
      {children}
    </div>
  );
}

export const page = css as Record<"fill" | "column" | "scroll", string>;
