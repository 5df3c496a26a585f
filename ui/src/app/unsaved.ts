import { useBlocker } from "@tanstack/react-router";

/** While something typed is not saved: leaving the page, also by closing the tab, asks first. */
export function useUnsaved(dirty: boolean): void {
  useBlocker({
    shouldBlockFn: ({ current, next }) =>
      dirty && current.pathname !== next.pathname && !window.confirm("Leave without saving? What you typed is lost."),
    enableBeforeUnload: dirty,
    disabled: !dirty,
  });
}
