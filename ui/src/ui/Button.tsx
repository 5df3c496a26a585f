import { Tooltip } from "@mantine/core";
import type { ButtonHTMLAttributes, ReactNode, Ref } from "react";
import css from "./Button.module.css";
import { cx } from "./cx";

interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  readonly look?: "default" | "primary" | "ghost" | "danger";
  readonly small?: boolean;
  readonly icon?: ReactNode;
  /** A number in a dot: how many filters are on, rows picked. Nothing at 0. */
  readonly count?: number;
  readonly active?: boolean;
  readonly ref?: Ref<HTMLButtonElement>;
}

export function Button({ look = "default", small, icon, count, active, children, className, ...rest }: ButtonProps) {
  return (
    <button
      type="button"
      data-active={active}
      {...rest}
      className={cx(css.button, look !== "default" && css[look], small && css.small, className)}
    >
      {icon}
      {children}
      {count ? <span className={css.count}>{count}</span> : null}
    </button>
  );
}

interface IconButtonProps extends Omit<ButtonProps, "icon" | "count"> {
  /** Says what it does: the accessible name and the tooltip. */
  readonly label: string;
  readonly keys?: string;
}

export function IconButton({
  label,
  keys,
  look = "ghost",
  small,
  active,
  children,
  className,
  ...rest
}: IconButtonProps) {
  return (
    <Tooltip label={keys ? `${label} (${keys})` : label}>
      <button
        type="button"
        aria-label={label}
        data-active={active}
        {...rest}
        className={cx(css.button, css.icon, look !== "default" && css[look], small && css.small, className)}
      >
        {children}
      </button>
    </Tooltip>
  );
}
